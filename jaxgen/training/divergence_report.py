"""The report on a divergence: `report.md`, `metrics.png`, and the last sample grid as `drawn.png`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxgen.io.files import write_whole
from jaxgen.training.plot import plot_metrics
from jaxgen.training.watchdog import Divergence

LAST = 8
"""Rows of metrics in the report's table."""


def save_divergence(
    folder: Path, divergence: Divergence, *, outcome: str, rows: Sequence[dict[str, Any]], grids: Sequence[Path]
) -> None:
    """Writes a report: what went wrong and since when, what was done, what to try, and the metrics up to then."""
    since, step = divergence.since, divergence.step
    folder.mkdir(parents=True, exist_ok=True)
    plot_metrics(folder / "metrics.png", rows, mark=since)
    lines = [
        f"# {divergence.what}",
        "",
        f"Noticed at step {step:,}; all was well until step {since:,} (the dashed line in the plots).",
        "",
        outcome,
        "",
        divergence.advice,
        "",
        "![Metrics](metrics.png)",
        "",
    ]
    if grids:
        write_whole(folder / "drawn.png", grids[-1].read_bytes())
        lines += [f"The last grid that was drawn, {grids[-1].stem.replace('_', ' ')}:", "", "![Drawn](drawn.png)", ""]
    write_whole(folder / "report.md", "\n".join([*lines, *_table(rows[-LAST:])]) + "\n")


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    names = sorted({name for row in rows for name in row if name != "step" and not name.startswith("time/")})
    steps = [f"{row['step']:,}" for row in rows]
    head = ["| step | " + " | ".join(steps) + " |", "| --- |" + " ---: |" * len(rows)]
    return head + [f"| {name} | " + " | ".join(_cell(row, name) for row in rows) + " |" for name in names]


def _cell(row: dict[str, Any], name: str) -> str:
    if name not in row:
        return ""
    return "not finite" if row[name] is None else f"{row[name]:.4g}"
