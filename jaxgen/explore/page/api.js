// Requests to the server.  The token of the page's address goes into a header, and out of the address.
const address = new URL(location.href);
const token = address.searchParams.get("token") ?? sessionStorage.getItem("token") ?? "";
sessionStorage.setItem("token", token);
if (address.searchParams.has("token")) {
  address.searchParams.delete("token");
  history.replaceState(null, "", address);
}

const SLOW = 400, DRAWING = "Drawing …";
const SILENT = "The server does not answer. Is it still running?";

export function say(message) {
  document.getElementById("message").textContent = message;
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...options.headers, "X-Token": token } });
  } catch (error) {
    if (error.name !== "AbortError") say(SILENT);
    throw error;
  }
  if (document.getElementById("message").textContent === SILENT) say("");
  if (!response.ok) {
    const reason = (await response.text()).trim();
    say(reason);
    throw new Error(reason);
  }
  return response;
}

export async function get(path, query = {}) {
  return (await ask(`/api/${path}?${new URLSearchParams(query)}`)).json();
}

export async function picture(path, query) {
  return URL.createObjectURL(await (await ask(`/api/${path}?${new URLSearchParams(query)}`)).blob());
}

export async function draw(run, view) {
  const slow = setTimeout(() => say(DRAWING), SLOW);
  let response;
  try { response = await ask("/api/draw", { method: "POST", body: JSON.stringify({ run, view }) }); } finally { clearTimeout(slow); }
  say("");
  const told = (header) => JSON.parse(response.headers.get(header));
  return { blob: await response.blob(), code: told("X-Code"), numbers: told("X-Numbers") };
}

// Sends a picture, and returns the name that views call it by.
export async function send(blob, name) {
  return (await (await ask(`/api/picture?${new URLSearchParams({ name })}`, { method: "POST", body: blob })).json()).picture;
}

// Shows a picture in an image and behind its link, in the place of the one before, whose memory is freed.
export function show(image, link, blob) {
  URL.revokeObjectURL(image.src);
  image.src = link.href = URL.createObjectURL(blob);
  image.hidden = link.hidden = false;
}

// Calls of an asynchronous function of which the latest wins: one runs, one waits, those between are dropped.
export function latest(work) {
  let running = false, waiting = null;
  return async function call(...given) {
    waiting = given;
    if (running) return;
    running = true;
    while (waiting) {
      const now = waiting;
      waiting = null;
      try { await work(...now); } catch { /* said already */ }
    }
    running = false;
  };
}
