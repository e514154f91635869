"""Curves of a run's metrics."""

import io
import math
import os
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxgen.io.files import AnyPath, cache_folder, write_whole
from jaxgen.io.system import has_home

WIDTH, ROW_HEIGHT = 9.0, 2.4


def plot_metrics(path: AnyPath, rows: Sequence[dict[str, Any]], *, mark: int | None = None) -> None:
    """Plots every metric against the step as PNG: a panel for each kind, the losses first.

    The kind of `discriminator/adversarial/real_logit` is `logit`, the last word of its name.  Values that are not
    finite may be None.  A dashed line marks the step `mark`.
    """
    panels = panels_of(rows)
    figure = _figure(max(1, len(panels)))
    axes = figure.subplots(max(1, len(panels)), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (kind, names) in zip(axes, panels.items(), strict=False):
        for name in names:
            points = [(row["step"], math.nan if row[name] is None else row[name]) for row in rows if name in row]
            axis.plot(*zip(*points, strict=True), label=name, linewidth=1.0)
        if mark is not None:
            axis.axvline(mark, color="tab:red", linestyle="--", linewidth=1.0, label=f"step {mark:,}")
        axis.set_ylabel(kind)
        axis.legend(loc="best", fontsize="small", frameon=False)
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("step")
    _write(path, figure)


def plot_search(path: AnyPath, curve: np.ndarray) -> None:
    """Plots the best reward [M] against the number of images that were scored as PNG; -inf, before any, is left out."""
    figure = _figure(1)
    axis = figure.subplots()
    axis.step(np.arange(1, len(curve) + 1), np.where(np.isfinite(curve), curve, np.nan), where="post")
    axis.set_xlabel("images scored")
    axis.set_ylabel("best reward")
    axis.grid(alpha=0.3)
    _write(path, figure)


def _figure(rows: int) -> Any:
    if not has_home():  # where Matplotlib would keep its cache
        os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, ROW_HEIGHT * rows), layout="constrained")


def _write(path: AnyPath, figure: Any) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)
    write_whole(path, file.getvalue())


def panels_of(rows: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """The metrics' names by kind, in the order of the panels; the metrics beside a `loss` are its terms."""
    panels = defaultdict(list)
    names = sorted({name for row in rows for name in row if name != "step" and not name.startswith("time/")})
    for name in names:
        *parents, last = name.split("/")
        is_term = last != "loss" and "/".join([*parents, "loss"]) in names
        panels["term" if is_term else last.rsplit("_", 1)[-1]].append(name)
    return dict(sorted(panels.items(), key=lambda panel: (panel[0] != "loss", panel[0] != "term", panel[0])))
