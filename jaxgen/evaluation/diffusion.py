"""Likelihoods of discrete images under a diffusion model: the variational bound, and the probability flow.

Both are upper bounds on the negative log-likelihood in expectation, in nats per image, and can be compared with those
of a VAE or an autoregressive model.  Their names say which they are.  An image has the same estimate in any order.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.precision import at_precision
from jaxgen.core.sampler import image_keys
from jaxgen.core.types import Array
from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.likelihood import bits_of
from jaxgen.evaluation.order import content_order
from jaxgen.evaluation.parts import in_parts
from jaxgen.io.errors import InputError
from jaxgen.models.diffusion.probability_flow import FlowLikelihood
from jaxgen.models.diffusion.variational_bound import VariationalBound

BOUND = "variational bound on the NLL, nats"
"""The name of the bound among the measures."""

Keyed = Callable[[Mapping[str, Array], Array], Any]
"""A batch and a key for each image [B] to a tree of arrays [B]."""


def measure_bound(
    bound: Callable[[Mapping[str, Array], Array], VariationalBound],
    images: np.ndarray,
    *,
    levels: int = 256,
    fields: Mapping[str, np.ndarray] = {},
    seed: int = 0,
    size: int = 100,
) -> dict[str, Estimate]:
    """The mean over images uint8 [N, H, W, C] of a `variational_bound` for pixels of as many levels, and of its terms.

    The standard errors include the chance in noise and noise levels.  `fields` [N, ...] are those of the conditions.

    Raises:
      InputError: there are no images, or pixels between the levels.
    """
    require_levels(images, levels)
    terms: VariationalBound = _keyed(bound, images, fields, seed, size)
    total = mean_of(np.asarray(terms.nats))
    return {
        BOUND: total,
        "bits/dim": bits_of(total, math.prod(images.shape[1:])),
        **{name: mean_of(values) for name, values in terms._asdict().items()},
    }


def measure_flow(
    likelihood: Callable[[Mapping[str, Array], Array], FlowLikelihood],
    images: np.ndarray,
    *,
    fields: Mapping[str, np.ndarray] = {},
    seed: int = 0,
    size: int = 100,
) -> dict[str, Estimate]:
    """The mean over images uint8 [N, H, W, C] of a `flow_likelihood`, with uniform dequantisation.

    The standard error includes all chance; with several probes that of the trace alone is given too.

    Raises:
      InputError: there are no images.
    """
    of_images: FlowLikelihood = _keyed(likelihood, images, fields, seed, size)
    total, errors = mean_of(np.asarray(of_images.nats)), np.asarray(of_images.standard_error)
    trace = float(np.sqrt(np.square(errors, dtype=np.float64).sum())) / len(errors)
    measures = {
        "dequantised NLL of the probability flow, nats": total,
        "bits/dim": bits_of(total, math.prod(images.shape[1:])),
    }
    return measures if math.isnan(trace) else measures | {"error of Hutchinson's estimator, nats": Estimate(trace)}


def require_levels(images: np.ndarray, levels: int) -> None:
    """Refuses images uint8 with pixels that are not the nearest to one of `levels` equal steps from 0 to 255.

    Raises:
      InputError: naming such a pixel.
    """
    allowed = np.round(np.linspace(0, 255, levels)).astype(np.uint8)
    if others := sorted(set(np.unique(images).tolist()) - set(allowed.tolist())):
        raise InputError(f"A likelihood of {levels} levels was given pixels of {others[0]}; binarise the images first.")


def _keyed(function: Keyed, images: np.ndarray, fields: Mapping[str, np.ndarray], seed: int, size: int) -> Any:
    """The outputs for all images, or for random ones where Ctrl-C ends it; keys follow the order by content."""
    if not len(images):
        raise InputError("A likelihood of 0 images; expected at least 1.")
    order, batch = content_order(images), {"image": images, **fields}
    at_highest = jax.jit(at_precision("highest", function))

    def of_part(numbers: np.ndarray) -> Any:
        part = {name: jnp.asarray(array[order[numbers]]) for name, array in batch.items()}
        return at_highest(part, image_keys(jnp.uint32(seed), jnp.asarray(numbers)))

    return in_parts(of_part, np.arange(len(images), dtype=np.int32), size=size)
