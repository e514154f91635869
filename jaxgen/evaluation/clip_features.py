"""The packaged classifier of moving digits: features in which clips are compared.

Its 40 classes are the digit, and the quadrant into which it moves from the first frame to the second.  It was trained
on clips of the training digits by `experiments/classifiers/clip_classifier.py`.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.map_rows import map_rows
from jaxgen.core.precision import at_precision
from jaxgen.core.types import Array
from jaxgen.evaluation.estimate import Estimate
from jaxgen.evaluation.frechet import estimated_distance
from jaxgen.evaluation.resize import resize
from jaxgen.evaluation.video import require_clips
from jaxgen.evaluation.weights import read_weights
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath
from jaxgen.nets import ClipClassifier, forward

WEIGHTS = Path(__file__).parent / "moving_digit_classifier.safetensors"
FRAMES, SPEC = 10, ImageSpec(32, 32, 1)
"""The clips that the classifier takes; of other sizes they are resized, of other lengths refused."""
DIGITS, QUADRANTS = 10, 4
MODULE = ClipClassifier(DIGITS * QUADRANTS)
CHUNK = 64
FRECHET_OF_CLIPS = "frechet_of_moving_digits"
"""What the distance is called in results: it says whose features these are."""


def clip_features(clips: np.ndarray, weights: AnyPath = WEIGHTS) -> tuple[np.ndarray, np.ndarray]:
    """The features [N, 64] and the logits [N, 40] of clips uint8 [N, 10, H, W, 1].

    Raises:
      InputError: the clips have another shape, or the weights are damaged or belong to another network.
    """
    require_clips(clips)
    if clips.shape[1] != FRAMES or clips.shape[-1] != 1:
        raise InputError(f"Clips of {list(clips.shape)}; expected [N, {FRAMES}, H, W, 1].")
    template = jax.eval_shape(lambda: MODULE.init(jax.random.key(0), jnp.zeros((1, FRAMES, *SPEC)), train=False))
    variables = read_weights(weights, template)
    return _extractor()(variables, clips, size=CHUNK, what=f"Features of {len(clips):,} clips")


@cache
def _extractor() -> Callable:
    """The features and logits of clips in chunks; it is compiled once for each size."""

    def extract(variables: dict, clip: Array) -> tuple[Array, Array]:
        frames = clip.reshape(-1, *clip.shape[2:])
        frames = frames if frames.shape[1:] == SPEC else resize(frames, SPEC)
        return forward(MODULE, variables, to_float(frames).reshape(-1, FRAMES, *SPEC), train=False)[0]

    return map_rows(at_precision("highest", extract))


def frechet_of_clips(first: np.ndarray, second: np.ndarray, *, seed: int = 0) -> Estimate:
    """The Fréchet distance of two sets of more than 64 clips uint8 [N, 10, H, W, 1], in the classifier's features.

    It is not FVD, whose features are of a network for videos of human actions.  Compare only distances of equally many
    clips: the bias falls with their number.

    Raises:
      InputError: as `clip_features`; or there are too few clips.
    """
    return estimated_distance(clip_features(first)[0], clip_features(second)[0], seed=seed)


def motion_class(labels: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The classes int32 [N] of single digits, from their labels [N] and positions [N, T, 2] of rows and columns."""
    down, right = (positions[:, 1] > positions[:, 0]).T
    return (labels * QUADRANTS + 2 * down + right).astype(np.int32)
