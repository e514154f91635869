"""Averages of any length after training, from a few that were stored on the way.

Karras et al. (2024), https://arxiv.org/abs/2312.02696, section 3.2 and appendix C.5.  The average of `power_decay`
after T steps has the profile

    (1) p(t) = (gamma + 1) t^gamma / T^(gamma + 1)   for 0 < t <= T                       equation (121)

The weights x of stored averages whose profile sum_i x_i p_i is closest to a wished profile p solve

    (2) A x = b,   A_ij = <p_i, p_j>,   b_i = <p_i, p>                                    equations (141) to (143)
    (3) <p_i, p_j> = (gamma_i + 1) (gamma_j + 1) (T_i / T_j)^gamma_j / ((gamma_i + gamma_j + 1) T_j)   for T_i <= T_j

which is equation (151).  An update with averages of two lengths,

    short=ema("denoiser", into="denoiser_ema", decay=power_decay(0.05)),
    long=ema("denoiser", into="denoiser_ema_long", decay=power_decay(0.1)),

in 32 checkpoints at equal distances gives any length from 0.02 to 0.25 within 4% of its profile.  A run keeps them with
`--keep-every`, and `jaxgen.training.post_hoc_network` reads them.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.types import PyTree
from jaxgen.models.ema import power_exponent


class EMAProfile(NamedTuple):
    """The profile (1) of an average by `power_decay(relative_length)` after a number of steps."""

    steps: int
    relative_length: float


class PostHocWeights(NamedTuple):
    """Weights float64 [N] of stored averages, which sum to 1.

    `error` is the distance of their profile from the wished one, ||sum_i x_i p_i - p|| / ||p||.
    """

    weights: np.ndarray
    error: float


def post_hoc_weights(stored: Sequence[EMAProfile], wished: EMAProfile) -> PostHocWeights:
    """The weights (2) of the stored averages, divided by their sum.

    Raises:
      ValueError: nothing is stored, two stored averages are the same, one is of no steps, or a length is out of range.
    """
    if not stored or len(set(stored)) < len(stored):
        raise ValueError(f"The stored averages are {list(stored)}; expected at least one, and none twice.")
    if min(profile.steps for profile in (*stored, wished)) < 1:
        raise ValueError("An average of no steps has no profile; expected at least 1 step.")
    steps, exponents = np.array([_parameters(profile) for profile in stored]).T
    target = _parameters(wished)
    gram = _inner_product(steps[:, None], exponents[:, None], steps, exponents)
    towards, norm = _inner_product(steps, exponents, *target), _inner_product(*target, *target)
    weights = np.linalg.solve(gram, towards)
    weights /= weights.sum()
    squared = weights @ gram @ weights - 2 * weights @ towards + norm
    return PostHocWeights(weights, float(np.sqrt(max(squared, 0) / norm)))


def post_hoc_average(weights: Sequence[float] | np.ndarray, averages: Iterable[PyTree]) -> PyTree:
    """The sum of the averages times their weights, computed in float64; whole-number leaves are those of the last.

    The leaves are NumPy arrays of the types that they had.  The averages are taken one by one: a generator that reads
    them keeps one in memory.
    """
    total = last = None
    for weight, last in zip(weights, averages, strict=True):
        scaled = jax.tree.map(partial(_scaled, weight), last)
        total = scaled if total is None else jax.tree.map(np.add, total, scaled)
    return jax.tree.map(lambda leaf, value: value.astype(leaf.dtype) if _is_averaged(leaf) else leaf, last, total)


def _scaled(weight: float, leaf: Any) -> Any:
    return weight * np.asarray(leaf, np.float64) if _is_averaged(leaf) else 0


def _is_averaged(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def _parameters(profile: EMAProfile) -> tuple[float, float]:
    return float(profile.steps), power_exponent(profile.relative_length)


def _inner_product(steps: Any, exponents: Any, other_steps: Any, other_exponents: Any) -> Any:
    """(3), where either may be the earlier one."""
    earlier, later = np.minimum(steps, other_steps), np.maximum(steps, other_steps)
    decay = (earlier / later) ** np.where(steps < other_steps, other_exponents, exponents)
    return (exponents + 1) * (other_exponents + 1) * decay / ((exponents + other_exponents + 1) * later)
