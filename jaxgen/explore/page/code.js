// The commands, or the lines of Python, that draw the same; each can be copied.
import { say } from "./api.js";

export function showCode(...parts) {
  document.getElementById("code").replaceChildren(...parts.filter(Boolean).flatMap(lines));
}

function lines(shown) {
  const copy = Object.assign(document.createElement("button"), { type: "button", textContent: "Copy" });
  copy.setAttribute("aria-label", `Copy the ${shown.startsWith("python") ? "command" : "Python"}`);
  copy.addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(shown); copy.textContent = "Copied"; } catch { say("Select the lines and copy them: this browser does not allow it."); }
  });
  return [Object.assign(document.createElement("pre"), { textContent: shown }), copy];
}
