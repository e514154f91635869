"""What `search` searches for, on the command line: each --for to a reward."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from PIL import ImageColor

from jaxgen.cli.conditions import DrawOptions
from jaxgen.core.image import ImageSpec
from jaxgen.core.reward import Reward
from jaxgen.data.image_file import read_image, with_channels
from jaxgen.data.image_options import ImageOptions
from jaxgen.evaluation.classifiers import packaged_classifier
from jaxgen.evaluation.matcher import load_matcher
from jaxgen.evaluation.rewards import (
    Goal,
    class_reward,
    own_reward,
    palette_reward,
    picture_reward,
    pixel_reward,
    words_reward,
)
from jaxgen.io.errors import InputError
from jaxgen.io.files import expanded
from jaxgen.io.program import UserPath

KINDS = "class:7, picture:cat.png, pixels:cat.png, palette:red,#ffffff, words:'a red heart' or my_module:my_function"


@dataclass(frozen=True)
class GoalOptions(DrawOptions):
    """Options that say what is searched for."""

    goals: Annotated[
        tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(name="for", metavar="GOAL [GOAL ...]")
    ] = field(default=())
    """What the images should be; several add up.  class:7 or class:frog, by the packaged classifier (digits for images
    of 28x28x1, else CIFAR-10's classes); picture:cat.png, near to a picture in that classifier's features;
    pixels:cat.png, near to it in pixels; palette:red,#ffffff, of these colours; words:"a red heart", by a matching
    network (--matcher); my_module:my_function, your own function of images float32 [N, H, W, C] in [-1, 1] to N
    rewards, imported from the working directory."""
    weights: tuple[float, ...] = ()
    """The weight of each goal, in their order; by default all 1."""
    matcher: UserPath | None = None
    """The folder of experiments/classifiers/emoji_matcher.py, for words."""
    classifier: UserPath | None = None
    """Weights (.safetensors) of experiments/classifiers/classifier.py in the place of the packaged ones."""


def read_goals(options: GoalOptions, spec: ImageSpec) -> list[Goal]:
    """The goals of the options, for images of a size.

    Raises:
      InputError: there are none, one is unknown or cannot be used, or the weights do not fit.
    """
    typed = [goal for goals in options.goals for goal in goals]
    if not typed:
        raise InputError(f"--for is missing: say what to search for, as {KINDS}.")
    weights = options.weights or (1.0,) * len(typed)
    if len(weights) != len(typed) or not np.isfinite(weights).all():
        given = " ".join(f"{weight:g}" for weight in weights)
        raise InputError(f"--weights {given}: expected a finite number for each of the {len(typed)} goals.")
    if options.matcher and not any(goal.startswith("words:") for goal in typed):
        raise InputError(f"--matcher {options.matcher} belongs to --for words:..., which is not there.")
    if options.classifier and not any(goal.startswith(("class:", "picture:")) for goal in typed):
        raise InputError(
            f"--classifier {options.classifier} belongs to --for class:... or picture:..., neither is there."
        )
    return [Goal(goal, _read(goal, options, spec), weight) for goal, weight in zip(typed, weights, strict=True)]


def _read(goal: str, options: GoalOptions, spec: ImageSpec) -> Reward:
    kind, _, rest = goal.partition(":")
    if not rest:
        raise InputError(f"--for {goal}: expected {KINDS}.")
    classifier = packaged_classifier(spec)
    if options.classifier:
        classifier = classifier._replace(weights=options.classifier)
    try:
        if kind == "class":
            return class_reward(classifier, rest)
        if kind == "picture":
            return picture_reward(classifier, _picture(expanded(rest), spec))
        if kind == "pixels":
            return pixel_reward(_picture(expanded(rest), spec))
        if kind == "palette":
            return palette_reward(np.array([_colour(name) for name in rest.split(",")], np.uint8))
        if kind == "words":
            return _words(rest, options.matcher)
        return _own(goal)
    except InputError as error:
        raise InputError(f"--for {goal}: {error}") from error


def _picture(path: Path, spec: ImageSpec) -> np.ndarray:
    """A picture uint8 [H, W, C], whose centre is brought to the size and the channels of the run's images."""
    return with_channels(read_image(path, ImageOptions(size=spec[:2], grey=spec.channels == 1)), spec.channels)


def _colour(name: str) -> tuple[int, int, int]:
    try:
        return ImageColor.getrgb(name.strip())[:3]
    except ValueError as error:
        raise InputError(f"{name!r} is no colour: expected a name or #rrggbb.") from error


def _own(name: str) -> Reward:
    try:
        return own_reward(name)
    except InputError as error:
        raise InputError(f"{error}; expected {KINDS}.") from error


def _words(caption: str, matcher: Path | None) -> Reward:
    if matcher is None:
        raise InputError("--matcher is missing: the folder that experiments/classifiers/emoji_matcher.py writes.")
    return words_reward(load_matcher(matcher), caption)
