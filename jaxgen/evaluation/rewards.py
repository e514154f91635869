"""Rewards of images: a class, a picture, a palette, words, or a function of one's own.

Of an image x [H, W, C] with colours x_i, for a classifier with features f and a palette of colours c_k, both colours
red, green and blue in [-1, 1],

    (1) class      log p(class | x)
    (2) picture    -|f(x) - f(picture)|^2;  pixels: the mean of -(x - picture)^2
    (3) palette    -mean_i min_k d(x_i, c_k) - mean_k min_i d(x_i, c_k),    d(x, c) = |x - c|^2 / 3
    (4) words      u . v / temperature, of the unit features of the image and of the caption in a matching network

(3) is the Chamfer distance of two sets of points, Fan et al. (2017), https://arxiv.org/abs/1612.00603: it is 0 if every
pixel has a colour of the palette, and every colour is that of a pixel.  All but one's own functions are differentiable.
"""

import importlib
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgen.core.condition import require_labels
from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.precision import at_precision
from jaxgen.core.reward import Reward, Score, Scores
from jaxgen.core.types import Array
from jaxgen.data.class_names import CLASS_NAMES, label_of
from jaxgen.evaluation.classifiers import Classifier, classify
from jaxgen.evaluation.matcher import SPEC, Matcher
from jaxgen.io.errors import InputError, first_line, lacks_memory
from jaxgen.nets import Matching, forward


class Goal(NamedTuple):
    """A reward, its name in messages, and its weight in a sum."""

    name: str
    reward: Reward
    weight: float = 1.0


def class_reward(classifier: Classifier, word: str) -> Reward:
    """(1) of the class with this name or number; images of other sizes are resized.

    Raises:
      InputError: there is no such class, or the weights cannot be read.
    """
    names = CLASS_NAMES[classifier.labels_of[0]]
    label = label_of(word, names, option="class")
    require_labels(np.array([label]), len(names), f"the {classifier.name}")
    network = classify(classifier)
    return _compiled(lambda images: jax.nn.log_softmax(network(_resized(images, classifier.spec))[1])[:, label])


def picture_reward(classifier: Classifier, picture: np.ndarray) -> Reward:
    """(2) in a classifier's features, of a picture uint8 [H, W, C].

    Raises:
      InputError: the weights cannot be read.
    """
    network = classify(classifier)

    def features(images: Array) -> Array:
        return network(_resized(images, classifier.spec))[0]

    target = at_precision("highest", features)(to_float(jnp.asarray(picture)[None]))
    return _compiled(lambda images: -jnp.square(features(images) - target).sum(-1))


def pixel_reward(picture: np.ndarray) -> Reward:
    """(2) in pixels, of a picture uint8 [H, W, C] with the size of the images."""
    target = to_float(jnp.asarray(picture))
    return _compiled(lambda images: -jnp.square(images - target).mean((1, 2, 3)))


def palette_reward(colours: np.ndarray) -> Reward:
    """(3) of colours uint8 [K, 3]; the three channels of a grey pixel are equal."""
    palette = to_float(jnp.asarray(colours))

    def reward(images: Array) -> Array:
        pixels = jnp.broadcast_to(images, (*images.shape[:3], 3)).reshape(len(images), -1, 1, 3)
        distances = jnp.square(pixels - palette).mean(-1)
        return -distances.min(2).mean(1) - distances.min(1).mean(1)

    return _compiled(reward)


def words_reward(matcher: Matcher, caption: str) -> Reward:
    """(4) of a caption; images of other sizes are resized.

    Raises:
      InputError: the matching network knows none of the words, or the caption is too long.
    """
    tokens = jnp.asarray(matcher.tokenizer.encode([caption]))
    if not tokens.any():
        raise InputError(f"{caption!r}: the matching network knows none of these words.")
    module = Matching(matcher.tokenizer.size)

    def reward(images: Array) -> Array:
        inputs = _resized(images, SPEC), tokens
        (of_images, of_texts, temperature), _ = forward(module, matcher.variables, *inputs, train=False)
        return of_images @ of_texts[0] / temperature

    return _compiled(reward)


def own_reward(name: str) -> Reward:
    """The function `module:function` of images float32 [N, H, W, C] in [-1, 1] to rewards [N].

    It need not be of JAX; only methods that follow gradients need that.

    Raises:
      InputError: the module cannot be imported, or has no such function.
    """
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # of whatever kind: it is code of the user
        raise InputError(f"it is no reward that can be imported ({first_line(error)})") from error
    if not callable(function):
        raise InputError("it is no function of images")

    def reward(images: Array) -> Array:
        try:
            return jnp.asarray(function(images), jnp.float32)
        except (Exception, SystemExit) as error:
            if lacks_memory(error):
                raise
            why = f"{type(error).__name__}: {first_line(error)}"
            if isinstance(images, Tracer):
                raise InputError(f"{name} cannot be differentiated by JAX: take another method ({why})") from error
            raise InputError(f"{name} failed ({why})") from error

    return reward


def weighted_sum(goals: Sequence[Goal]) -> Reward:
    """The sum of rewards, each times its weight.

    Raises:
      InputError: when it is computed, if a reward is not [N].
    """

    def reward(images: Array) -> Array:
        return sum((goal.weight * _values(goal, images) for goal in goals), jnp.zeros(len(images)))

    return reward


def score_by(goals: Sequence[Goal]) -> Score:
    """The weighted sum on the host; a reward that raises an `InputError` or is not finite is the failure, by name.

    Where the sum is finite it is that of all goals.
    """

    def score(images: Array) -> Scores:
        total, failure = np.zeros(len(images), np.float32), ""
        for goal in goals:
            try:
                values = np.asarray(_values(goal, images))
            except InputError as error:
                return Scores(np.full(len(images), np.nan, np.float32), str(error).removesuffix("."))
            total += np.float32(goal.weight) * values
            if not failure and not np.isfinite(total).all():
                bad = values[~np.isfinite(total)]
                failure = f"{goal.name} is {bad[0]} for {len(bad)} of {len(images)} images"
        return Scores(total, failure)

    return score


def _values(goal: Goal, images: Array) -> Array:
    values = goal.reward(images)
    if values.shape != images.shape[:1]:
        shapes = f"{list(values.shape)} for {len(images)} images"
        raise InputError(f"{goal.name} gives rewards of shape {shapes}; expected one for each")
    return values


def _compiled(reward: Reward) -> Reward:
    return jax.jit(at_precision("highest", reward))  # the same on any device


def _resized(images: Array, spec: ImageSpec) -> Array:
    """Images in another size, without rounding, so that gradients pass; grey ones are repeated to its channels."""
    if images.shape[1:3] != spec[:2]:
        shape = len(images), *spec[:2], images.shape[3]
        images = jnp.clip(jax.image.resize(images, shape, "bicubic", antialias=True), -1, 1)
    return jnp.broadcast_to(images, (len(images), *spec))
