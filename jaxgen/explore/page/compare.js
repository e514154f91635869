// Runs side by side: how far, how good, and in which options they differ.
let sortedBy = "run", descending = false, runs = {}, shown = "";

export function showRuns(theRuns) {
  runs = theRuns;
  const rows = Object.entries(runs).map(([name, run]) => rowOf(name, run));
  const now = JSON.stringify([rows, sortedBy, descending]);
  if (now === shown) return;  // the heading that has the focus stays
  shown = now;
  const all = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((column) => isShown(column, rows));
  // What most runs have comes first; options last.
  const having = (column) => rows.filter((row) => (row[column] ?? null) !== null).length;
  const columns = all.sort((a, b) => isOption(a) - isOption(b) || (isOption(a) ? 0 : having(b) - having(a)));
  const order = [...rows].sort((a, b) => (descending ? -1 : 1) * compared(a[sortedBy], b[sortedBy]));
  document.getElementById("table").replaceChildren(head(columns), ...order.map((row) => line(row, columns)));
}

function rowOf(name, run) {
  const row = { run: name === "." ? run.experiment : name, experiment: run.experiment, step: run.step };
  row.minutes = run.last["time/seconds"] ? run.last["time/seconds"] / 60 : null;
  row["images/s"] = run.last["time/images_per_second"] ?? null;
  for (const [measure, found] of Object.entries(run.measures)) row[measure] = found;
  for (const [option, value] of Object.entries(run.config)) {
    if (option !== "out") row[`--${option.replaceAll("_", "-")}`] = typeof value === "object" && value ? JSON.stringify(value) : value;
  }
  return row;
}

const isOption = (column) => column.startsWith("--");

// Options are shown where the runs differ, or do not all have them.
function isShown(column, rows) {
  return !isOption(column) || new Set(rows.map((row) => row[column])).size > 1;
}

const number = (cell) => (cell && typeof cell === "object" ? cell.value : cell);

function compared(a, b) {
  [a, b] = [number(a), number(b)];
  if (a == null || b == null) return (a == null) - (b == null);
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
}

function text(cell) {
  if (cell === null || cell === undefined) return "";
  if (typeof cell === "object") {
    return cell.value == null ? "" : `${cell.value.toPrecision(4)}${cell.error ? ` ± ${cell.error.toPrecision(2)}` : ""}`;
  }
  return typeof cell === "number" && !Number.isInteger(cell) ? cell.toPrecision(4) : String(cell);
}

function head(columns) {
  const row = document.createElement("tr");
  for (const column of columns) {
    const cell = document.createElement("th"), button = Object.assign(document.createElement("button"), { textContent: column, type: "button" });
    cell.setAttribute("aria-sort", column === sortedBy ? (descending ? "descending" : "ascending") : "none");
    if (column === sortedBy) button.textContent += descending ? " ▼" : " ▲";
    button.addEventListener("click", () => {
      [descending, sortedBy] = [column === sortedBy && !descending, column];
      showRuns(runs);
    });
    cell.append(button);
    row.append(cell);
  }
  return row;
}

function line(row, columns) {
  const cells = columns.map((column) => {
    const cell = Object.assign(document.createElement("td"), { textContent: text(row[column]) });
    if (typeof number(row[column]) === "number") cell.className = "number";
    return cell;
  });
  const made = document.createElement("tr");
  made.append(...cells);
  return made;
}
