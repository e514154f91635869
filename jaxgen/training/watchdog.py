"""Signs of divergence, read from the rows of a run's metrics.

    not finite   a parameter or a statistic is NaN or infinite, or a moment NaN; or a loss, in two rows running
    saturated    the discriminator's loss is below 0.001 for 1,000 steps: it has won, the generator learns no more
    collapsed    drawn images are a tenth as far from their nearest neighbours as real ones, or less, at three looks

Signs are folded from rows, so that a run that was interrupted judges as one that was not.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

SATURATED, SATURATED_STEPS = 1e-3, 1_000
COLLAPSED, COLLAPSED_LOOKS = 0.1, 3
LOST_ROWS = 2
DIVERSITY = "drawn/diversity"
"""The metric of `diversity` of drawn images over that of real ones."""


class Streak(NamedTuple):
    """A sign in so many rows running, the last good row of which was that of step `since`."""

    rows: int = 0
    since: int = 0

    def extended(self, sign: bool, before: int) -> "Streak":
        """The streak after a row with or without the sign; `before` is the step of the row before."""
        return Streak(self.rows + 1, self.since if self.rows else before) if sign else Streak()


class Signs(NamedTuple):
    """What the rows up to `step` show."""

    step: int = 0
    lost: Streak = Streak()
    saturated: Streak = Streak()
    collapsed: Streak = Streak()
    looked: int = 0

    @property
    def healthy(self) -> int:
        """The newest step before the first of the present signs."""
        return min([self.step, *(s.since for s in (self.lost, self.saturated, self.collapsed) if s.rows)])


class Divergence(NamedTuple):
    """What went wrong, since when, and what to try, in words."""

    what: str
    since: int
    step: int
    advice: str


def observe(signs: Signs, row: Mapping[str, Any], discriminator_loss: str | None) -> Signs:
    """The signs after one more row; numbers that are not finite may be None."""
    lost = any(name.endswith("loss") and not _is_finite(value) for name, value in row.items())
    after = signs._replace(step=row["step"], lost=signs.lost.extended(lost, signs.step))
    if discriminator_loss is not None and discriminator_loss in row:
        is_small = _is_finite(row[discriminator_loss]) and row[discriminator_loss] < SATURATED
        after = after._replace(saturated=signs.saturated.extended(is_small, signs.step))
    if DIVERSITY in row:
        is_small = row[DIVERSITY] < COLLAPSED
        after = after._replace(collapsed=signs.collapsed.extended(is_small, signs.looked), looked=row["step"])
    return after


def observe_all(rows: Iterable[Mapping[str, Any]], discriminator_loss: str | None) -> Signs:
    """The signs after these rows."""
    signs = Signs()
    for row in rows:
        signs = observe(signs, row, discriminator_loss)
    return signs


def diagnose(signs: Signs) -> Divergence | None:
    """What the signs amount to, if anything."""
    saturated = signs.step - signs.saturated.since if signs.saturated.rows else 0
    if signs.lost.rows >= LOST_ROWS:
        what, advice = "A loss is not finite", _ADVICE_NOT_FINITE
    elif saturated >= SATURATED_STEPS:
        what = f"The discriminator's loss has been below {SATURATED} for {saturated:,} steps"
        advice = _ADVICE_SATURATED
    elif signs.collapsed.rows >= COLLAPSED_LOOKS:
        what = f"Drawn images differ from each other less than {COLLAPSED:.0%} as much as real ones"
        advice = _ADVICE_COLLAPSED
    else:
        return None
    return Divergence(what, signs.healthy, signs.step, advice)


def not_finite(names: list[str], signs: Signs, step: int) -> Divergence:
    """The divergence of a state in which the arrays of these names are not finite."""
    told = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return Divergence(f"Not finite: {told}", signs.healthy, step, _ADVICE_NOT_FINITE)


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
