// Play with what a run has learnt: a wall of images, the plane between four of them, directions, films.
import { draw, get, latest, say, show } from "./api.js";
import { showCode } from "./code.js";
import { Sphere } from "./sphere.js";
import { offerPictures } from "./yours.js";

const at = (id) => document.getElementById(id);
const sphere = new Sphere(at("sphere"));
const NUM = 24, IN_FILM = 16, FRAMES = 40, WIDTH = 16, AROUND = 6, STEP = 0.04, PICTURE = -1;
let name = "", exported = "", about = null, corners = [0, 1, 2, 3], place = [0, 0], liked = new Set(), rounds = [], code = {}, nextCorner = 0;
// The wall's canvases by the numbers of their images; the picture that is a corner, and the one that the wall is like.
let tiles = new Map(), cornerPicture = "", similarTo = "", turned = 0;

export async function showRun(theName, run, isNew) {
  const now = run.exports.join();  // a run that ends exports while the page is open
  if (theName === name && now === exported && (about || !isNew)) return;
  [name, exported, about] = [theName, now, null];
  parts().forEach((part) => (part.hidden = true));
  if (!run.exports.includes("sampler")) {
    say("This run has not exported its sampler yet: it does at its end.");
    return;
  }
  say(`Loading ${theName} …`);
  let answer;
  try { answer = await get("about", { run: name }); } catch { return; }
  if (theName !== name) return;
  about = answer;
  say(about.others.length && !about.restores && !about.stylises ? `The page cannot tell this run its ${about.others.join(", ")}.` : "");
  parts().forEach((part) => (part.hidden = false));
  offer();
  if (!about.others.length) showWall();
}

const parts = () => ["conditions", "playing", "yours", "code-box"].map(at);

function offer() {
  at("label-field").hidden = !about.labels.length;
  at("label").replaceChildren(new Option("all in turn", ""), ...about.labels.map((label, number) => new Option(label, number)));
  at("text-field").hidden = !about.takes_text;
  at("truncation-field").hidden = !about.has_controls || about.is_diffusion;
  at("solving").hidden = !about.is_diffusion;
  at("solver").replaceChildren(new Option("as exported", ""), ...(about.solvers ?? []).map((solver) => new Option(solver, solver)));
  at("guidance").value = about.guidance ?? 1;
  at("playing").hidden = at("conditions").hidden = about.others.length > 0;
  at("make-trajectory").hidden = !about.is_diffusion;
  at("make-panorama").hidden = at("make-sphere").hidden = !about.draws_panoramas;
  at("make-clips").hidden = !about.draws_clips;
  for (const id of ["trajectory", "save-trajectory", "panorama", "panorama-hint", "save-panorama", "sphere", "sphere-hint", "save-sphere"]) at(id).hidden = true;
  at("mixing").hidden = about.layers < 2;
  [at("layer").max, at("layer").value] = [about.layers, Math.min(2, about.layers)];
  offerPictures(name, about, { view, tell, useAsCorner, showSimilar });
  at("between").hidden = !about.has_controls;
  at("search").hidden = !about.has_controls;
  at("spherical").checked = about.is_diffusion;
  at("point").hidden = true;
  at("wall").replaceChildren();
  at("pad").querySelectorAll(".corner").forEach((image) => image.removeAttribute("src"));
  at("film").hidden = at("save-film").hidden = true;
  code = {};
  at("moves").replaceChildren(...Array.from({ length: about.directions }, (_, number) => slider(number)));
  showCode();
  [corners, nextCorner, place, rounds, cornerPicture, similarTo] = [[0, 1, 2, 3], 0, [0, 0], [], "", ""];
  allow();
}

function slider(number) {
  const label = document.createElement("label"), shown = document.createElement("output");
  const input = Object.assign(document.createElement("input"), { type: "range", min: -3, max: 3, step: 0.1, value: 0 });
  shown.textContent = "0";
  input.addEventListener("input", () => { shown.textContent = input.value; showPoint(); });
  label.append(`Direction ${number + 1}`, input, shown);
  return label;
}

function allow() {
  at("steps").disabled = at("guidance").disabled = !at("solver").value;
  at("guidance").parentElement.hidden = !about.labels.length && !about.takes_text;
  at("truncation-shown").textContent = at("truncation").value;
  at("make-panorama").textContent = about.labels.length && !at("label").value ? `Panorama (class ${about.labels[0]})` : "Panorama";
}

function view() {
  const seed = Math.min(2 ** 32 - 1, Math.max(0, Math.trunc(+at("seed").value || 0)));
  // A field that is hidden may hold what was chosen for another run.
  const chosen = (id, none) => (at(`${id}-field`).hidden ? none : at(id).value);
  return { seed, num: NUM, label: chosen("label", ""), text: chosen("text", ""), truncation: +chosen("truncation", 1), rounds };
}

// The picture as a corner, which `url` shows as the run draws it.
function useAsCorner(picture, url) {
  [cornerPicture, corners[0], nextCorner] = [picture, PICTURE, 1];
  tiles.set(PICTURE, Object.assign(new Image(), { src: url }));
  mark();
  showPoint();
}

function showSimilar(picture) {
  [similarTo, rounds] = [picture, []];
  showWall(true);
}

function solving() {
  if (!about.is_diffusion || !at("solver").value || rounds.length) return {};
  const guidance = about.labels.length || about.takes_text ? { guidance: +at("guidance").value } : {};
  return { solver: at("solver").value, steps: Math.trunc(+at("steps").value), ...guidance };
}

const showWall = latest(async (isNew) => {
  for (const id of ["wall", "code"]) at(id).classList.add("busy");
  try { await drawWall(isNew); } finally { for (const id of ["wall", "code"]) at(id).classList.remove("busy"); }
});

async function drawWall(isNew) {
  const asked = name, like = similarTo ? { kind: "similar", picture: similarTo } : { kind: "wall", ...solving() };
  const { blob, code: shown, numbers } = await draw(name, { ...view(), ...like });
  if (asked !== name) return;
  const sheet = await createImageBitmap(blob), width = sheet.width / NUM, picture = tiles.get(PICTURE);
  tiles = new Map(Array.from({ length: NUM }, (_, place) => {
    const canvas = Object.assign(document.createElement("canvas"), { width, height: sheet.height });
    canvas.getContext("2d").drawImage(sheet, -place * width, 0);
    return [numbers[place], canvas];
  }));
  if (isNew) [corners, nextCorner] = [numbers.slice(0, 4), 0];
  liked = new Set();
  at("wall").replaceChildren(...[...tiles].map(([number, canvas]) => tile(canvas, number)));
  if (picture) tiles.set(PICTURE, picture);
  countLiked();
  tell("wall", shown);
  mark();
  if (about.has_controls) showPoint(true);
}

function tile(canvas, number) {
  const image = Object.assign(document.createElement("button"), { type: "button", className: "image", title: `Image ${number}` });
  image.setAttribute("aria-label", `Image ${number}: make it a corner`);
  image.dataset.number = number;
  image.append(canvas);
  image.addEventListener("click", () => {
    corners[nextCorner] = number;
    nextCorner = (nextCorner + 1) % 4;
    mark();
    showPoint();
  });
  const made = Object.assign(document.createElement("div"), { className: "tile" });
  made.append(image, ...(about.has_controls && !similarTo ? [heart(number)] : []));
  return made;
}

function heart(number) {
  const like = Object.assign(document.createElement("button"), { type: "button", className: "like", textContent: "♥" });
  like.setAttribute("aria-label", `Like image ${number}`);
  like.setAttribute("aria-pressed", false);
  like.addEventListener("click", () => {
    liked.has(number) ? liked.delete(number) : liked.add(number);
    like.setAttribute("aria-pressed", liked.has(number));
    countLiked();
  });
  return like;
}

function countLiked() {
  at("nearer").disabled = !liked.size;
  at("back").disabled = !rounds.length;
  at("round").textContent = similarTo ? "the images of the seed that are the most similar to your picture" : rounds.length ? `round ${rounds.length + 1}: those you liked, then their children` : "";
}

function search(next) {
  // Images of several classes have no children: the first class that is liked is searched.
  if (about.labels.length && !at("label").value) at("label").value = [...liked][0] % about.labels.length;
  [rounds, liked] = [next, new Set()];
  countLiked();
  showWall(true);
}

function mark() {
  at("wall").querySelectorAll(".image").forEach((one) => {
    const places = corners.flatMap((corner, index) => (corner === +one.dataset.number ? [index + 1] : []));
    places.length ? (one.dataset.corner = places.join(" ")) : delete one.dataset.corner;
  });
  corners.forEach((corner, index) => {
    const shown = tiles.get(corner);
    if (shown) at(`corner-${index}`).src = shown.src ?? shown.toDataURL();
  });
  if (about.layers > 1) showMixture();
}

function pointView() {
  // A class that changes from image to image has no place between them.
  const label = about.labels.length && !at("label").value ? "0" : at("label").value;
  const moves = [...at("moves").querySelectorAll("input")].map((input) => +input.value);
  const [across, down] = place.map((share) => Math.round(1e4 * share) / 1e4);
  const picture = corners.includes(PICTURE) ? { picture: cornerPicture } : {};
  return { ...view(), ...picture, label, corners, across, down, moves: moves.some(Boolean) ? moves : [], spherical: at("spherical").checked };
}

const showPoint = latest(async (isOfWall) => {
  at("dot").style.left = `${100 * place[0]}%`;
  at("dot").style.top = `${100 * place[1]}%`;
  if (!about?.has_controls) return;
  const notes = [about.labels.length && !at("label").value && `all as class ${about.labels[0]}`, at("solver").value && "drawn as exported"];
  at("between-class").textContent = notes.filter(Boolean).map((note) => `, ${note}`).join("");
  const asked = name;
  const { blob, code: shown } = await draw(name, { ...pointView(), kind: "point" });
  if (asked !== name) return;
  show(at("point"), at("save"), blob);
  at("point").dataset.count = 1 + +(at("point").dataset.count ?? 0);
  if (isOfWall !== true || !code.film) tell("point", shown);  // a film that was made meanwhile is what one looks at
});

const showMixture = latest(async (isAsked) => {
  at("layer-shown").textContent = at("layer").value;
  const asked = name;
  const { blob, code: shown } = await draw(name, { ...pointView(), across: 0, down: 0, moves: [], kind: "mixture", layer: +at("layer").value });
  if (asked !== name) return;
  show(at("mixture"), at("save-mixture"), blob);
  if (isAsked) tell("film", shown);
});

const showTrajectory = latest(async (asks) => {
  const asked = name;
  const { blob, code: shown } = await draw(name, { ...view(), rounds: [], ...asks });
  if (asked !== name) return;
  show(at("trajectory"), at("save-trajectory"), blob);
  tell("film", shown);
});

const showFilm = latest(async (corners) => {
  const asked = name;
  const { blob, code: shown } = await draw(name, { ...pointView(), corners, across: 0, down: 0, kind: "film", frames: 48 });
  if (asked !== name) return;
  show(at("film"), at("save-film"), blob);
  at("save-film").scrollIntoView({ block: "nearest" });
  tell("film", shown);
});

// The code of the wall, and of what was drawn last beside it.
function tell(kind, shown) {
  if (kind === "point") code.film = "";
  code[kind] = shown;
  showCode(code.wall, code.film || code.point);
}

const showPanorama = latest(async () => {
  const asked = name;
  const { blob, code: shown } = await draw(name, { ...view(), rounds: [], ...solving(), num: WIDTH, kind: "panorama" });
  if (asked !== name) return;
  const url = URL.createObjectURL(blob);
  at("save-panorama").href = url;
  at("panorama").style.backgroundImage = `url(${url})`;
  at("panorama").hidden = at("panorama-hint").hidden = at("save-panorama").hidden = false;
  tell("film", shown);
});

const showSphere = latest(async () => {
  const asked = name;
  const { blob, code: shown } = await draw(name, { ...view(), rounds: [], ...solving(), num: AROUND, kind: "sphere" });
  await sphere.show(blob);
  if (asked !== name) return;
  URL.revokeObjectURL(at("save-sphere").href);
  at("save-sphere").href = URL.createObjectURL(blob);
  at("sphere").hidden = at("sphere-hint").hidden = at("save-sphere").hidden = false;
  tell("film", shown);
});

// The strip repeats to both sides.
function turn(pixels) {
  turned += pixels;
  at("panorama").style.backgroundPositionX = `${turned}px`;
}

// Other images: the search begins anew.
function restart() {
  if (similarTo) [corners, nextCorner] = [[0, 1, 2, 3], 0];
  [rounds, similarTo] = [[], ""];
}

function moveTo(event) {
  const box = at("pad").getBoundingClientRect();
  place = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((share) => Math.min(1, Math.max(0, share)));
  showPoint();
}

at("pad").addEventListener("pointerdown", (event) => { at("pad").setPointerCapture(event.pointerId); moveTo(event); });
at("pad").addEventListener("pointermove", (event) => { if (event.buttons) moveTo(event); });
at("pad").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
  if (!step) return;
  event.preventDefault();
  place = place.map((share, index) => Math.min(1, Math.max(0, share + step[index])));
  showPoint();
});
for (const id of ["seed", "label", "text", "truncation", "solver", "steps", "guidance"]) {
  at(id).addEventListener("change", () => { restart(); allow(); showWall(); });
}
at("next-seed").addEventListener("click", () => { at("seed").value = +at("seed").value + 1; restart(); showWall(); });
at("truncation").addEventListener("input", () => { at("truncation-shown").textContent = at("truncation").value; });
at("layer").addEventListener("input", () => showMixture(true));
at("make-trajectory").addEventListener("click", () => showTrajectory({ ...solving(), num: IN_FILM, kind: "trajectory" }));
at("make-clips").addEventListener("click", () => showTrajectory({ num: IN_FILM, frames: FRAMES, kind: "clips" }));
at("make-panorama").addEventListener("click", () => showPanorama());
at("make-sphere").addEventListener("click", () => showSphere());
at("panorama").addEventListener("pointerdown", (event) => at("panorama").setPointerCapture(event.pointerId));
at("panorama").addEventListener("pointermove", (event) => { if (event.buttons) turn(event.movementX); });
at("panorama").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: 20, ArrowRight: -20 }[event.key];
  if (!step) return;
  event.preventDefault();
  turn(step);
});
at("nearer").addEventListener("click", () => search([...rounds, [...liked].sort((a, b) => a - b)]));
at("back").addEventListener("click", () => search(rounds.slice(0, -1)));
at("conditions").addEventListener("submit", (event) => { event.preventDefault(); showWall(); });
at("spherical").addEventListener("change", showPoint);
at("make-film").addEventListener("click", () => showFilm(corners));
// Around a rectangle whose left corners are 1 and whose right ones are 2: the film pauses at both.
at("make-pair").addEventListener("click", () => showFilm([corners[0], corners[1], corners[0], corners[1]]));
