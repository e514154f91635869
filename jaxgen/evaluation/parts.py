"""Test images in parts: how many suit the length of a run, and their evaluation with progress, ended by Ctrl-C."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxgen.evaluation.order import content_order
from jaxgen.io.terminal import progress, say

FULL_STEPS = 1_000
"""A run of fewer steps is a trial, whose test takes proportionally fewer images."""

FEWEST = 50
"""Images that the shortest run is tested with, where there are as many."""


def images_to_test(images: np.ndarray, step: int, most: int) -> np.ndarray:
    """The images uint8 [M, H, W, C] that a run of `step` steps is tested with, in random order, at most `most` of [N].

    A run of fewer than 1,000 steps takes proportionally fewer, at least 50, and says so.
    """
    wanted = min(most, len(images))
    suited = min(wanted, max(FEWEST, wanted * step // FULL_STEPS))
    shorter = f": the run has {step:,} steps, and from {FULL_STEPS:,} on all are evaluated" if suited < wanted else ""
    say(f"Evaluating {suited:,} of {len(images):,} test images (Ctrl-C ends with those so far){shorter}")
    return images[content_order(images)[:suited]]


def in_parts(function: Callable[[np.ndarray], Any], images: np.ndarray, *, size: int = 100) -> Any:
    """The outputs [M, ...] of a function of images uint8 [b, H, W, C], a tree of arrays, over parts of about `size`.

    All N images are evaluated, or the first M where Ctrl-C ends it.
    """
    parts = np.array_split(images, math.ceil(len(images) / size))
    outputs = progress(lambda part: jax.device_get(function(part)), parts, "Evaluating test images", may_stop=True)
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *outputs)
