"""What the page asks for: a view of a run, read from JSON and refused where it makes no sense."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from jaxgen.core.condition import require_labels
from jaxgen.data.captions import require_characters
from jaxgen.data.class_names import label_of
from jaxgen.data.tokenizer import Tokenizer
from jaxgen.export import ConditionSpec
from jaxgen.export.solving import SolverName
from jaxgen.io.errors import InputError

MOST_IMAGES, MOST_FRAMES, MOST_STEPS = 100, 120, 1_000

Kind = Literal[
    "wall", "point", "film", "mixture", "trajectory", "clips", "panorama", "sphere", "restored", "similar", "stylised"
]
FILMS = ("film", "trajectory", "clips")
"""Kinds of views whose images move."""
SOLVING = ("solver", "steps", "guidance")
"""The fields of a view that are those of `Solving`."""

PICTURE = -1
"""The corner that is the picture."""


@dataclass(frozen=True)
class View:
    """Which images are drawn, and how.

        wall        images 0 to `num` of a seed
        point       a place between four of them
        film        around all four
        mixture     the first corner's content in the second corner's style: from `layer` on, a style-based generator
                    takes the second one's code
        trajectory  how images come out of noise, of a diffusion run
        clips       films of a run of clips, of `frames` frames
        panorama    a picture that is `num` times as wide as the run's images and wraps around, of a diffusion run or a
                    texture_gan run
        sphere      the same as a band around the equator of a sphere
        restored    a picture, whose pixels are unknown where the mask is black
        similar     images of the seed, the most similar to a picture first
        stylised    a picture in the style of another

    `corners` are the numbers of the images at (0, 0), (1, 0), (0, 1) and (1, 1), where PICTURE is the code found for
    the picture; `across` and `down` say where between them.  `moves` are in standard deviations along the run's
    directions.  Each of `rounds` has the numbers of the images that were liked; the next are `children` of these.
    `picture`, `mask` and `style` are names of files.
    """

    kind: Kind = "wall"
    seed: int = 0
    num: int = 24
    label: str = ""
    text: str = ""
    truncation: float = 1.0
    spherical: bool = False
    corners: tuple[int, ...] = (0, 1, 2, 3)
    across: float = 0.0
    down: float = 0.0
    moves: tuple[float, ...] = ()
    layer: int = 2
    frames: int = 24
    rounds: tuple[tuple[int, ...], ...] = ()
    solver: SolverName | None = None
    steps: int | None = None
    guidance: float | None = None
    picture: str = ""
    mask: str = ""
    style: str = ""
    strength: float = 1.0


LEAST_AND_MOST = {
    "seed": (0, 2**32 - 1),
    "num": (1, MOST_IMAGES),
    "truncation": (0, 1),
    "corners": (PICTURE, 2**31 - 1),
    "across": (0, 1),
    "down": (0, 1),
    "moves": (-10, 10),
    "rounds": (0, MOST_IMAGES - 1),
    "frames": (2, MOST_FRAMES),
    "layer": (0, 100),
    "strength": (0, 1),
    "steps": (1, MOST_STEPS),
    "guidance": (0, 100),
}


def read_view(given: Any) -> View:
    """The view in the JSON of a request.

    Raises:
      InputError: naming what is not understood, of another type, or out of range.
    """
    if not isinstance(given, dict):
        raise InputError("A view is an object with the fields of one.")
    hints = get_type_hints(View)
    values = {}
    for name, value in given.items():
        if name not in hints:
            raise InputError(f"A view has no {str(name)[:50]!r}.")
        values[name] = _value(name, value, hints[name])
    view = View(**values)
    if len(view.corners) != 4:
        raise InputError(f"A view has four corners, not {len(view.corners)}.")
    if view.rounds:
        if not all(view.rounds):
            raise InputError("In a round of the view nothing was liked.")
        if max(max(liked) for liked in view.rounds) >= view.num:
            raise InputError(f"A round of the view has an image that is not one of {view.num}.")
    return view


def _value(name: str, value: Any, hint: Any) -> Any:
    if get_origin(hint) is tuple:
        if not isinstance(value, list) or len(value) > MOST_IMAGES:
            raise InputError(f"{name} is a short list.")
        return tuple(_value(name, one, get_args(hint)[0]) for one in value)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise InputError(f"{name} is one of {', '.join(get_args(hint))}.")
        return value
    if isinstance(hint, UnionType) or type(None) in get_args(hint):
        (inner,) = (one for one in get_args(hint) if one is not type(None))
        return None if value is None else _value(name, value, inner)
    if hint is float and type(value) is int:
        value = float(value) if abs(value) < 2**53 else math.inf
    if type(value) is not hint:
        raise InputError(f"{name} is of type {hint.__name__}.")
    if hint is str:
        require_characters(value, name)
        if len(value) > 1_000:
            raise InputError(f"{name} has {len(value):,} characters; expected at most 1,000.")
    elif name in LEAST_AND_MOST:
        least, most = LEAST_AND_MOST[name]
        if not (math.isfinite(value) and least <= value <= most):
            raise InputError(f"{name} is {value}; expected {least} to {most}.")
    return value


def fields_of(
    view: View, conditions: Mapping[str, ConditionSpec], tokenizer: Tokenizer | None, num: int
) -> dict[str, np.ndarray]:
    """The fields [num, ...] of a run's conditions; without a label all classes in turn.

    Raises:
      InputError: a label or a caption is missing or unknown, or there is a condition that the page has no field for.
    """
    made = {}
    for name, condition in conditions.items():
        if name == "label":
            label = [label_of(view.label, condition.class_names)] if view.label else range(condition.classes)
            require_labels(examples := np.asarray(label), condition.classes, f"Class {view.label}")
        elif name == "text":
            if tokenizer is None or not view.text.strip():
                raise InputError("Write a caption: this run draws what words say.")
            examples = tokenizer.encode([view.text])
            if not examples.any():
                raise InputError(f"None of the words of {view.text!r} is in the vocabulary of the run.")
        else:
            raise InputError(f"The page cannot tell a run its {name}: draw it by `python -m jaxgen sample`.")
        made[name] = np.resize(examples, (num, *condition.shape)).astype(condition.dtype)
    return made
