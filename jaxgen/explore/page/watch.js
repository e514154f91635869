// A run as it trains: progress, health, sample grids over time, curves.
import { get, latest, picture } from "./api.js";

const at = (id) => document.getElementById(id);
const COLOURS = ["#2563c9", "#c2410c", "#15803d", "#9333ea", "#b45309", "#0e7490", "#be185d", "#4d7c0f"];
let name = "", run = null, curves = null, chosen = new Set(), plots = [], playing = 0, seen = "";

export function showRun(theName, theRun, isNew) {
  const isOther = theName !== name;
  [name, run] = [theName, theRun];
  if (isOther) [chosen, seen, curves] = [new Set(), "", null];
  tellProgress();
  at("config").textContent = JSON.stringify({ data: run.data, devices: run.devices, config: run.config, versions: run.versions }, null, 2);
  at("signs").replaceChildren(...run.signs.map((sign) => Object.assign(document.createElement("li"), { textContent: sign })));
  const slider = at("grid-step"), wasLast = isOther || +slider.value === +slider.max;
  slider.max = Math.max(0, run.grids.length - 1);
  if (wasLast) slider.value = slider.max;
  showGrid();
  const now = `${name} ${run.step}`;
  if (isNew || now !== seen) readCurves();
  seen = now;
}

function tellProgress() {
  const { last, step, steps } = run, seconds = last["time/seconds"];
  const speed = last["time/images_per_second"], batch = run.config.batch_size;
  const called = name === "." || name === run.experiment ? run.experiment : `${name} (${run.experiment})`;
  const parts = [`${called}, step ${step.toLocaleString()}` + (steps ? ` of ${steps.toLocaleString()}` : "")];
  if (speed) parts.push(`${Math.round(speed).toLocaleString()} images/s`);
  if (seconds) parts.push(`${duration(seconds)} of training`);
  if (run.is_training && speed && batch) {
    const bySteps = ((steps - step) * batch) / speed, byClock = 60 * (run.config.max_minutes ?? Infinity) - seconds;
    parts.push(`at most ${duration(Math.max(0, Math.min(bySteps, byClock > 0 ? byClock : bySteps)))} left`);
  } else parts.push("not training now");
  at("progress").textContent = parts.join(" · ");
  at("bar").value = steps ? step / steps : 0;
}

function duration(seconds) {
  const minutes = Math.round(seconds / 60);
  return minutes < 1 ? `${Math.round(seconds)} s` : minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const showGrid = latest(async () => {
  const step = run.grids[at("grid-step").value], image = at("grid");
  at("grid-label").textContent = step === undefined ? "–" : step.toLocaleString();
  image.hidden = step === undefined;
  const key = `${name} ${step}`;
  if (step === undefined || image.dataset.key === key) return;
  const url = await picture("grid", { run: name, step });
  URL.revokeObjectURL(image.src);
  image.src = url;
  image.dataset.key = key;
  image.alt = `Sample grid at step ${step}`;
});

function play() {
  clearInterval(playing);
  if (at("grid-play").textContent === "▶") {
    const slider = at("grid-step");
    if (slider.value === slider.max) slider.value = 0;
    at("grid-play").textContent = "⏸";
    playing = setInterval(() => {
      if (slider.value === slider.max) return play();
      slider.value = +slider.value + 1;
      showGrid();
    }, 250);
  } else at("grid-play").textContent = "▶";
}

const readCurves = latest(async () => {
  const asked = name;
  const answer = await get("curves", { run: asked });
  if (asked !== name) return;
  curves = answer;
  const names = Object.keys(curves.curves).filter((metric) => !metric.startsWith("time/"));
  if (!chosen.size) names.filter((metric) => /loss$/.test(metric)).slice(0, 6).forEach((metric) => chosen.add(metric));
  if (!chosen.size && names.length) chosen.add(names[0]);
  at("names").replaceChildren(...names.map(toggle));
  plot();
});

function toggle(metric) {
  const button = Object.assign(document.createElement("button"), { textContent: metric, type: "button" });
  button.setAttribute("aria-pressed", chosen.has(metric));
  button.addEventListener("click", () => {
    chosen.has(metric) ? chosen.delete(metric) : chosen.add(metric);
    button.setAttribute("aria-pressed", chosen.has(metric));
    plot();
  });
  return button;
}

// An exponential moving average that forgets its start, and leaves gaps out.
function smoothed(values, keep) {
  let sum = 0, weight = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = keep * sum + (1 - keep) * value;
    weight = keep * weight + 1 - keep;
    return sum / weight;
  });
}

function plot() {
  plots.forEach((one) => one.destroy());
  plots = [];
  at("plots").replaceChildren();
  if (!curves || !chosen.size) return;
  const metrics = [...chosen].filter((metric) => curves.curves[metric]), keep = +at("smooth").value;
  const isLog = at("log").checked, ink = getComputedStyle(document.body).color, line = getComputedStyle(document.body).getPropertyValue("--line");
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  const holder = document.createElement("div");
  at("plots").append(holder);
  const data = [curves.step, ...metrics.map((metric) => smoothed(curves.curves[metric], keep).map((value) => (isLog && value <= 0 ? null : value)))];
  plots.push(new uPlot({
    width: Math.max(280, at("plots").clientWidth), height: 320,
    scales: { x: { time: false }, y: isLog ? { distr: 3 } : {} },
    axes: [axis, { ...axis, size: 64 }],
    series: [{ label: "step" }, ...metrics.map((metric, number) => ({
      label: metric, stroke: COLOURS[number % COLOURS.length], width: 1.5, spanGaps: true,
      value: (_, value) => (value === null ? "–" : value.toPrecision(4)),
    }))],
  }, data, holder));
}

at("grid-step").addEventListener("input", showGrid);
at("grid-play").addEventListener("click", play);
at("smooth").addEventListener("input", plot);
at("log").addEventListener("change", plot);
addEventListener("resize", () => at("watch").hidden || plot());
