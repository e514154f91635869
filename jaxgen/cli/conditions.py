"""Conditions on the command line: --label, --features, --text and --images to the fields of a run's conditions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast, get_args

import numpy as np
import tyro

from jaxgen.cli.arguments import read_images
from jaxgen.cli.trained_on import images_of
from jaxgen.core.condition import require_labels
from jaxgen.core.image import ImageSpec
from jaxgen.data.arrays import read_features
from jaxgen.data.captions import require_characters
from jaxgen.data.class_names import label_of
from jaxgen.data.image_file import SUFFIXES, read_image, with_channels
from jaxgen.data.tokenizer import Tokenizer
from jaxgen.evaluation import Kind, describe_shrunk
from jaxgen.export import ConditionSpec, ExportedControls, ExportedDenoiser, ExportedSampler
from jaxgen.io.errors import InputError
from jaxgen.io.program import UserPath
from jaxgen.io.terminal import say
from jaxgen.training.config import Seed

ONE = {"features": "row of features", "text": "caption"}
"""What one example of a condition is called, where that is not its name."""


@dataclass(frozen=True)
class DrawOptions:
    """Options of all verbs that draw from a run."""

    run: Annotated[UserPath, tyro.conf.Positional]
    """Run directory."""
    seed: Seed = 0
    """Random seed.  Image i depends on the seed, i and its conditions alone."""
    label: tuple[str, ...] = ()
    """Class labels that condition the images (or rows, or films) in turn, as numbers or by the names of the classes;
    by default all classes.  For runs that are conditioned on labels."""
    features: UserPath | None = None
    """An .npz whose `features` [N, F] condition the images (or rows, or films) in turn; or a picture or a folder of
    pictures, of which the run computes them, if it records their kind.  With several captions, each row of features is
    drawn with all of them before the next one.  For runs that are conditioned on features."""
    text: tuple[str, ...] = ()
    """Captions that condition the images (or rows, or films) in turn, e.g. "a red heart".  For runs that are
    conditioned on text."""


def fields_from_options(
    options: DrawOptions,
    exported: ExportedSampler | ExportedControls | ExportedDenoiser,
    num: int,
    *,
    images: str = "",
) -> dict[str, np.ndarray]:
    """The fields [num, ...] of a run's conditions by name, from the options in turn; labels are by default all classes.

    `images` is the value of --images, for verbs that have it.  Words without a token are reported on stderr.

    Raises:
      InputError: an option is missing, does not fit, or belongs to no condition of the run.
    """
    examples = _examples(options, exported, images)
    return {name: np.resize(rows, (num, *rows.shape[1:])) for name, rows in examples.items()}


def fields_of_one(
    options: DrawOptions, exported: ExportedSampler | ExportedControls | ExportedDenoiser, what: str
) -> dict[str, np.ndarray]:
    """The fields [1, ...] of a run's conditions by name, for one image, which messages call `what`.

    Raises:
      InputError: as `fields_from_options`; or an option gives several, or no label where the run has them.
    """
    fields = _examples(options, exported)
    for name, rows in fields.items():
        if len(rows) != 1:
            given = getattr(options, name)
            words = " ".join((f"--{name}", *(given if isinstance(given, tuple) else (str(given),))))
            raise InputError(f"{words}: {what} has one {ONE.get(name, name)}; got {len(rows) if given else 0}.")
    return fields


def _examples(
    options: DrawOptions, exported: ExportedSampler | ExportedControls | ExportedDenoiser, images: str = ""
) -> dict[str, np.ndarray]:
    """The fields [N, ...] by name, with the N of each."""
    run, conditions = options.run, exported.conditions
    if options.label and "label" not in conditions:
        raise InputError(f"--label {options.label[0]}: {run} is not conditioned on labels.")
    if options.features and "features" not in conditions:
        raise InputError(f"--features {options.features}: {run} is not conditioned on features.")
    if options.text and "text" not in conditions:
        raise InputError(f"--text {options.text[0]!r}: {run} is not conditioned on text.")
    if images and "image" not in conditions:
        raise InputError(f"--images {images}: {run} is not conditioned on images.")
    fields = {}
    for name, condition in conditions.items():
        if name == "label":
            examples = _labels(options.label, condition)
        elif name == "features":
            examples = _features(run, options.features, condition, exported.spec).repeat(
                max(1, len(options.text)), axis=0
            )
        elif name == "text":
            examples = _tokens(run, options.text, exported.tokenizer)
        elif name == "image":
            examples = _images(run, images, condition)
        else:
            raise InputError(f"{run} is conditioned on {name!r}, for which there is no option: draw from Python.")
        fields[name] = examples
    return fields


def negative_fields(negative: str, run: Path, exported: ExportedDenoiser) -> dict[str, np.ndarray]:
    """The field [1, ...] of --negative by its name: of the text if the run has captions, or of the label.

    Raises:
      InputError: the run has neither, or the label or the words are unknown.
    """
    if "text" in exported.conditions:
        return {"text": _tokens(run, (negative,), exported.tokenizer, option="--negative")}
    if "label" in exported.conditions:
        return {"label": _labels((negative,), exported.conditions["label"], option="--negative")}
    raise InputError(f"--negative {negative!r}: {run} is conditioned on neither captions nor labels.")


def _labels(label: tuple[str, ...], condition: ConditionSpec, option: str = "--label") -> np.ndarray:
    numbers = [label_of(word, condition.class_names, option=option) for word in label] or range(condition.classes)
    labels = np.asarray(numbers)
    require_labels(labels, condition.classes, f"{option} {' '.join(label)}")
    return labels.astype(np.int32)


def _tokens(run: Path, text: tuple[str, ...], tokenizer: Tokenizer | None, option: str = "--text") -> np.ndarray:
    if tokenizer is None:
        raise InputError(f"{run} is conditioned on text but has no tokenizer: draw from Python, with tokens.")
    if not text:
        raise InputError(f'--text is missing: {run} is conditioned on captions, e.g. --text "a red heart".')
    for caption in text:
        require_characters(caption, option)
        if not caption.strip():
            raise InputError(f"{option} {caption!r} is empty: expected words.")
        unknown = ", ".join(tokenizer.unknown_words(caption))
        if not tokenizer.encode([caption]).any():
            raise InputError(f"{option} {caption!r}: none of its words is in the vocabulary of {run}.")
        if unknown:
            say(f"{option} {caption!r}: words that are not in the vocabulary are left out: {unknown}", error=True)
    return tokenizer.encode(text)


def _features(run: Path, path: Path | None, condition: ConditionSpec, spec: ImageSpec) -> np.ndarray:
    if path is None:
        raise InputError(f"--features is missing: {run} is conditioned on features.")
    if not (path.is_dir() or path.suffix.lower() in SUFFIXES):
        features = read_features(path)
    elif condition.kind in get_args(Kind):
        features = describe_shrunk(_pictures(run, path, spec), cast("Kind", condition.kind))
    else:
        raise InputError(f"--features {path}: {run} does not record of what kind its features are; expected an .npz.")
    if features.shape[1:] != condition.shape:
        raise InputError(f"--features {path}: {features.shape[1]} features per row; expected {condition.shape[0]}.")
    return features


def _pictures(run: Path, path: Path, spec: ImageSpec) -> np.ndarray:
    """A picture or those of a folder, uint8 [N, H, W, C], brought to the size of a run's images as its data are."""
    options = images_of(run)._replace(size=spec[:2], grey=spec.channels == 1)
    if path.is_dir():
        pictures = read_images(str(path), option="--features", images=options).arrays["image"]
    else:
        pictures = read_image(path, options)[np.newaxis]
    return with_channels(pictures, spec.channels)


def _images(run: Path, path: str, condition: ConditionSpec) -> np.ndarray:
    if not path:
        raise InputError(f"--images is missing: {run} is conditioned on images.")
    data = read_images(path, images=images_of(run))
    images, (height, width, channels) = data.arrays["image"], condition.shape
    if data.spec == (height, width, 1):
        return with_channels(images, channels)  # a grey image is a colour image too
    if data.spec != condition.shape:
        size, expected = ("x".join(map(str, shape)) for shape in (data.spec, condition.shape))
        raise InputError(f"--images {path} are {size}; {run} takes {expected}.")
    return images
