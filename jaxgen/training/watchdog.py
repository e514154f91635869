"""Signs of divergence, read from the rows of a run's metrics.

    not finite   a parameter or a statistic is NaN or infinite, or a moment NaN; or a loss, in two consecutive rows
    saturated    a discriminator's loss is below 0.001 for 1,000 steps: it has won, and the generator learns no more
    collapsed    in three consecutive grids, drawn images are at most a tenth as far from their nearest neighbours as
                 real images are

Signs are folded from rows, so that an interruption changes no diagnosis.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

SATURATED, SATURATED_STEPS = 1e-3, 1_000
COLLAPSED, COLLAPSED_GRIDS = 0.1, 3
LOST_ROWS = 2
DIVERSITY = "drawn/diversity"
"""The metric: `diversity` of drawn images over that of real ones."""


class Watched(NamedTuple):
    """The metrics to watch, by name: losses that must stay finite, and discriminators' losses, above 0.001."""

    losses: tuple[str, ...] = ()
    discriminators: tuple[str, ...] = ()


class Streak(NamedTuple):
    """The number of consecutive rows that show a sign, and the step of the last row before them."""

    rows: int = 0
    since: int = 0

    def extended(self, sign: bool, before: int) -> "Streak":
        """The streak after a row with or without the sign; `before` is the step of the row before."""
        return Streak(self.rows + 1, self.since if self.rows else before) if sign else Streak()


class Signs(NamedTuple):
    """The signs in the rows up to `step`; `saturated` by discriminator.  `grid` is the step of the last grid."""

    step: int = 0
    lost: Streak = Streak()
    saturated: Mapping[str, Streak] = {}
    collapsed: Streak = Streak()
    grid: int = 0

    @property
    def healthy(self) -> int:
        """The newest step before the first of the present signs."""
        return min([self.step, *(s.since for s in (self.lost, *self.saturated.values(), self.collapsed) if s.rows)])


class Divergence(NamedTuple):
    """What went wrong, since which step, when it was noticed, and what to try."""

    what: str
    since: int
    step: int
    advice: str


def observe(signs: Signs, row: Mapping[str, Any], watched: Watched) -> Signs:
    """The signs after one more row; values that are not finite may be None."""
    lost = any(name in row and not _is_finite(row[name]) for name in watched.losses)
    after = signs._replace(step=row["step"], lost=signs.lost.extended(lost, signs.step))
    for name in watched.discriminators:
        if name in row:
            is_small = _is_finite(row[name]) and row[name] < SATURATED
            streak = signs.saturated.get(name, Streak()).extended(is_small, signs.step)
            after = after._replace(saturated={**after.saturated, name: streak})
    if DIVERSITY in row:
        is_small = _is_finite(row[DIVERSITY]) and row[DIVERSITY] < COLLAPSED
        after = after._replace(collapsed=signs.collapsed.extended(is_small, signs.grid), grid=row["step"])
    return after


def observe_all(rows: Iterable[Mapping[str, Any]], watched: Watched) -> Signs:
    """The signs after these rows."""
    signs = Signs(saturated=dict.fromkeys(watched.discriminators, Streak()))
    for row in rows:
        signs = observe(signs, row, watched)
    return signs


def diagnose(signs: Signs) -> Divergence | None:
    """The divergence that the signs amount to, if any."""
    if signs.lost.rows >= LOST_ROWS:
        return Divergence("A loss is not finite", signs.healthy, signs.step, _ADVICE_NOT_FINITE)
    for name, streak in signs.saturated.items():
        steps = signs.step - streak.since if streak.rows else 0
        if steps >= SATURATED_STEPS:
            what = f"The discriminator's loss {name} has been below {SATURATED} for {steps:,} steps"
            return Divergence(what, signs.healthy, signs.step, _ADVICE_SATURATED)
    if signs.collapsed.rows >= COLLAPSED_GRIDS:
        what = f"Drawn images differ from each other less than {COLLAPSED:.0%} as much as real ones"
        return Divergence(what, signs.healthy, signs.step, _ADVICE_COLLAPSED)
    return None


def not_finite(names: list[str], signs: Signs, step: int) -> Divergence:
    """The divergence of a state whose arrays of these names are not finite."""
    listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return Divergence(f"Not finite: {listed}", signs.healthy, step, _ADVICE_NOT_FINITE)


def diversity(images: np.ndarray) -> float:
    """The mean distance of images uint8 [N, H, W, C] to their nearest neighbours among them, in grey levels (0 to 255).

    A distance is the root of the mean squared difference, so that images of different sizes compare.
    """
    from scipy.spatial.distance import pdist, squareform

    distances = squareform(pdist(images.reshape(len(images), -1)))
    np.fill_diagonal(distances, np.inf)
    return float(distances.min(axis=1).mean()) / math.sqrt(images[0].size)


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


_ADVICE_NOT_FINITE = (
    "Try a smaller learning rate, optax.clip_by_global_norm before the optimiser, or float32 throughout."
)
_ADVICE_SATURATED = (
    "The discriminator is too strong: try a gradient penalty (r1_loss, r2_loss) or more of it, a smaller learning rate "
    "for the discriminator, or more data."
)
_ADVICE_COLLAPSED = (
    "The generator draws few different images: try gradient penalties on real and on drawn images (r1_loss, r2_loss), "
    "larger batches, or a smaller learning rate for the generator."
)
