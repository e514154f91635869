"""Curves of a run's metrics."""

import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from jaxgen.files import write_whole

WIDTH, ROW_HEIGHT = 9.0, 2.6


def plot_metrics(path: Path, rows: Sequence[dict[str, float]]) -> None:
    """Writes a PNG with a panel for each kind of metric (the last part of its name) against the step."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = defaultdict(set)
    for name in {name for row in rows for name in row if "/" in name}:
        panels[name.rsplit("/", 1)[1]].add(name)
    figure = Figure(figsize=(WIDTH, ROW_HEIGHT * max(1, len(panels))), layout="constrained")
    axes = figure.subplots(max(1, len(panels)), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (kind, names) in zip(
        axes, sorted(panels.items(), key=lambda panel: (panel[0] != "loss", panel[0])), strict=False
    ):
        for name in sorted(names):
            points = [(row["step"], row[name]) for row in rows if name in row]
            label = name.rsplit("/", 1)[0] if len(names) > 1 else name
            axis.plot(*zip(*points, strict=True), label=label, linewidth=1.0)
        axis.set_ylabel(kind)
        axis.legend(loc="upper right", fontsize="small", frameon=False)
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("step")
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)
    write_whole(path, file.getvalue())
