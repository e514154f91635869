// A picture that somebody brings: found among the run's codes, filled in, drawn in a style, or more like it.
import { draw, latest, say, send } from "./api.js";

const at = (id) => document.getElementById(id);
const RED = "#ff4d6d";
let name = "", about = null, page = null, picture = "", bitmap = null, mask = null, style = "";

// `thePage` gives the view, and takes what comes of the picture.
export function offerPictures(theName, theAbout, thePage) {
  [name, about, page] = [theName, theAbout, thePage];
  const canDraw = !about.others.length;
  at("find").hidden = !about.has_controls;
  at("similar").hidden = !canDraw;
  at("restore").hidden = at("painting").hidden = !about.restores;
  at("stylising").hidden = !about.stylises;
  at("yours").hidden = !(about.has_controls || canDraw || about.restores || about.stylises);
  at("made").hidden = at("save-made").hidden = true;
  if (bitmap) show();
}

async function take(file) {
  if (!file) return;
  say("Reading the picture …");
  const made = await createImageBitmap(file).catch(() => null);
  try { picture = await send(file, file.name); } catch { return; }
  say("");
  bitmap = made;  // the browser may not know a format that the server reads
  show();
}

// The picture as the run sees it: the largest centred rectangle of the right shape.
function show() {
  const [height, width] = about.spec, scale = Math.max(1, Math.round(280 / Math.max(height, width)));
  const canvas = Object.assign(at("paint"), { width: width * scale, height: height * scale });
  mask = new OffscreenCanvas(canvas.width, canvas.height);
  at("given").hidden = false;
  paint();
}

function paint() {
  const canvas = at("paint"), brush = canvas.getContext("2d");
  brush.clearRect(0, 0, canvas.width, canvas.height);
  if (bitmap) {
    const scale = Math.max(canvas.width / bitmap.width, canvas.height / bitmap.height);
    const [width, height] = [bitmap.width * scale, bitmap.height * scale];
    brush.filter = about.spec[2] === 1 ? "grayscale(1)" : "none";
    brush.drawImage(bitmap, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
    brush.filter = "none";
  }
  brush.globalAlpha = 0.75;
  brush.drawImage(mask, 0, 0);
  brush.globalAlpha = 1;
}

function hide(draw) {
  const brush = mask.getContext("2d");
  brush.fillStyle = RED;
  draw(brush, mask.width, mask.height);
  paint();
}

// Black where the picture is hidden, white elsewhere: the mask of `restore --mask`.
async function maskFile() {
  const [height, width] = about.spec, whole = new OffscreenCanvas(width, height), brush = whole.getContext("2d");
  brush.drawImage(mask, 0, 0, width, height);
  const pixels = brush.getImageData(0, 0, width, height);
  for (let place = 0; place < pixels.data.length; place += 4) {
    const shade = pixels.data[place + 3] > 127 ? 0 : 255;
    pixels.data.set([shade, shade, shade, 255], place);
  }
  brush.putImageData(pixels, 0, 0);
  return whole.convertToBlob({ type: "image/png" });
}

const drawn = (view) => draw(name, { ...page.view(), rounds: [], truncation: 1, picture, ...view });

const make = latest(async (view, after) => {
  const asked = name, buttons = at("given").querySelectorAll("button");
  buttons.forEach((button) => (button.disabled = true));
  const { blob, code } = await drawn(view).finally(() => buttons.forEach((button) => (button.disabled = false)));
  if (asked !== name) return;
  const url = URL.createObjectURL(blob);  // it may become a corner, and is not freed
  at("made").src = at("save-made").href = url;
  at("made").hidden = at("save-made").hidden = false;
  page.tell("film", code);
  after?.(url);
});

async function restore() {
  let sent;
  try { sent = await send(await maskFile(), "mask.png"); } catch { return; }
  make({ kind: "restored", mask: sent, num: 4 });
}

function find() {
  const label = page.view().label || (about.labels.length ? "0" : "");
  make({ kind: "point", label, corners: Array(4).fill(-1) }, (url) => page.useAsCorner(picture, url));
}

at("file").addEventListener("change", () => take(at("file").files[0]));
at("style-file").addEventListener("change", async () => {
  const file = at("style-file").files[0];
  if (file) try { style = await send(file, file.name); } catch { style = ""; }
});
at("yours").addEventListener("dragover", (event) => { event.preventDefault(); at("yours").classList.add("over"); });
at("yours").addEventListener("dragleave", () => at("yours").classList.remove("over"));
at("yours").addEventListener("drop", (event) => {
  event.preventDefault();
  at("yours").classList.remove("over");
  take(event.dataTransfer.files[0]);
});
function stroke(event) {
  const box = at("paint").getBoundingClientRect();
  const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  hide((brush, width, height) => {
    brush.beginPath();
    brush.arc(x * width, y * height, (at("brush").value / 100) * width, 0, 2 * Math.PI);
    brush.fill();
  });
}
at("paint").addEventListener("pointerdown", (event) => { if (about.restores) { at("paint").setPointerCapture(event.pointerId); stroke(event); } });
at("paint").addEventListener("pointermove", (event) => { if (event.buttons && about.restores) stroke(event); });
at("hide-half").addEventListener("click", () => hide((brush, width, height) => brush.fillRect(0, height / 2, width, height / 2)));
at("clear").addEventListener("click", () => hide((brush, width, height) => brush.clearRect(0, 0, width, height)));
at("save-mask").addEventListener("click", async () => {
  Object.assign(document.createElement("a"), { href: URL.createObjectURL(await maskFile()), download: "mask.png" }).click();
});
at("find").addEventListener("click", find);
at("similar").addEventListener("click", () => page.showSimilar(picture));
at("restore").addEventListener("click", restore);
at("stylise").addEventListener("click", () => make({ kind: "stylised", style, strength: +at("strength").value }));
