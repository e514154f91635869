// The page: which run, which view, and news of the runs every two seconds.
import { get, say } from "./api.js";
import { showRun as watch } from "./watch.js";
import { showRun as explore } from "./explore.js";
import { showRuns as compare } from "./compare.js";

const NEWS = 2000;
const tabs = ["watch", "explore", "compare"];
const chooser = document.getElementById("run");
let runs = {}, view = "watch", shown = "";

function choose(name) {
  view = name;
  for (const tab of tabs) {
    document.getElementById(tab).hidden = tab !== view;
    const button = document.getElementById(`tab-${tab}`);
    button.setAttribute("aria-selected", tab === view);
    button.tabIndex = tab === view ? 0 : -1;
  }
  location.hash = view;
  show(true);
}

function show(isNew) {
  const name = chooser.value, run = runs[name];
  if (!run) return;
  if (isNew) say("");
  if (view === "watch") watch(name, run, isNew);
  if (view === "explore") explore(name, run, isNew);
  if (view === "compare") compare(runs);
}

function offer() {
  const names = Object.keys(runs), chosen = chooser.value;
  if (names.join() === shown) return;
  shown = names.join();
  chooser.replaceChildren(...names.map((name) => new Option(name === "." ? runs[name].experiment : name, name)));
  if (names.includes(chosen)) chooser.value = chosen;
}

async function news() {
  const isFirst = !shown;
  try {
    const answer = await get("runs");
    runs = answer.runs;
    if (!Object.keys(runs).length) say(`There is no run in ${answer.root} yet.`);
    const before = chooser.value;
    offer();
    isFirst ? choose(view) : show(chooser.value !== before);  // the chosen run may be gone
  } catch { /* said already */ }
  setTimeout(news, document.hidden ? 5 * NEWS : NEWS);
}

for (const tab of tabs) document.getElementById(`tab-${tab}`).addEventListener("click", () => choose(tab));
document.querySelector("nav").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  choose(tabs[(tabs.indexOf(view) + step + tabs.length) % tabs.length]);
  document.getElementById(`tab-${view}`).focus();
});
chooser.addEventListener("change", () => show(true));
if (tabs.includes(location.hash.slice(1))) view = location.hash.slice(1);
news();
