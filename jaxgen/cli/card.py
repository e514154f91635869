"""`python -m jaxgen card`: a finished run as a folder to share, in the layout of the Hugging Face Hub."""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from safetensors.numpy import save

from jaxgen.cli.arguments import require_run, writing
from jaxgen.cli.space import SPACE_HEAD, add_page
from jaxgen.explore.watched import describe
from jaxgen.export import ExportedSampler, load_sampler, save_grid
from jaxgen.export.films import FRAME_SAMPLER
from jaxgen.io.errors import InputError, refuse_damage
from jaxgen.io.files import write_whole
from jaxgen.io.program import UserPath
from jaxgen.io.terminal import say
from jaxgen.training.checkpoint import Checkpoints, read_networks
from jaxgen.training.manifest import find_damage
from jaxgen.training.run_directory import read_record

MACHINE = ("out", "data_dir", "start_from", "inception", "matcher", "offline", "resume", "distributed")
"""Options that name places or habits of one machine, which are not shared."""

SHOWN = 64
FILMS = "\n\nIts images are strips of the frames of a clip: `python -m jaxgen film .` draws films."


@dataclass(frozen=True)
class Card:
    """Write a run as a folder to share: a model card, the weights, the exported functions, and a picture."""

    run: Annotated[UserPath, tyro.conf.Positional]
    """Run directory; it must have ended, so that it has exported its sampler."""
    out: UserPath = Path("card")
    """The new folder."""
    license: str = ""
    """The licence of the weights, as the Hub names it: apache-2.0, cc-by-4.0, ...; it may depend on the data's."""
    title: str = ""
    """The model's name; by default that of the run directory."""
    space: bool = False
    """Add what makes the folder a Space of the Hugging Face Hub, with the page of `explore`."""


def write_card(options: Card) -> None:
    """Writes the folder: what was written before an error is removed again.

    Raises:
      InputError: the run has not ended, its files are damaged, or the folder exists or cannot be written.
    """
    require_run(options.run)
    if options.license and not re.fullmatch(r"[a-z0-9.+-]+", options.license):
        raise InputError(f"--license {options.license}: expected a name of the Hub, such as apache-2.0 or cc-by-4.0.")
    if options.out.exists():
        raise InputError(f"--out {options.out} exists: choose a new folder.")
    sampler = load_sampler(options.run / "sampler")
    try:
        facts = describe(options.run)
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"{options.run / 'config.json'} cannot be read ({error}).") from error
    partial = options.out.with_name(f".{options.out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with writing(options.out):
            _fill(partial, options, facts, sampler)
            partial.rename(options.out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    say(f"A card of {options.run} in {options.out}: read its README.md, and complete it before you share it")


def _fill(folder: Path, options: Card, facts: Mapping[str, Any], sampler: ExportedSampler) -> None:
    folder.mkdir(parents=True)
    for name in sorted(path.parent.name for path in options.run.glob("*/signature.json")):
        shutil.copytree(options.run / name, folder / name)
    shared = {name: _without_folders(value) for name, value in facts["config"].items() if name not in MACHINE}
    write_whole(folder / "config.json", json.dumps(_record(options.run, shared), indent=2) + "\n")
    metrics = options.run / "metrics.jsonl"
    if metrics.is_file():
        shutil.copyfile(metrics, folder / metrics.name)
    if options.space:
        add_page(folder)
    weights = _weights(options.run)
    if weights:
        write_whole(folder / "model.safetensors", save(weights))
    has_picture = {"text", "features", "image"}.isdisjoint(sampler.conditions)
    if has_picture:
        save_grid(folder / "samples.png", sampler.draw(0, SHOWN))
    write_whole(folder / "README.md", _card(options, facts, shared, sampler, has_picture=has_picture))


def _record(run: Path, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The run's record with the options that are shared: the verbs that draw from runs read the folder as one."""
    record = read_record(run / "config.json")
    data = {**record["data"], "source": _without_folders(str(record["data"]["source"]))}
    sessions = [
        {name: session[name] for name in ("versions", "devices") if name in session} for session in record["sessions"]
    ]
    kept = {name: record[name] for name in ("format", "experiment", "recipe") if name in record}
    return {**kept, "config": dict(shared), "data": data, "sessions": sessions}


def _weights(run: Path) -> dict[str, np.ndarray]:
    """The networks of the last checkpoint, by path."""
    steps = Checkpoints(run / "checkpoints").steps() if (run / "checkpoints").is_dir() else []
    if not steps:
        return {}
    checkpoint = run / "checkpoints" / str(steps[-1])
    with refuse_damage(str(checkpoint), "a checkpoint"):
        if damage := find_damage(checkpoint):
            raise InputError(f"{checkpoint} is damaged: {damage}.")
        leaves = read_networks(checkpoint)
    return {path: np.asarray(leaf, order="C") for path, leaf in leaves.items()}


def _card(
    options: Card, facts: Mapping[str, Any], config: Mapping[str, Any], sampler: ExportedSampler, *, has_picture: bool
) -> str:
    title = " ".join(options.title.split()) or options.run.resolve().name
    spec, has_clips = sampler.spec, (options.run / FRAME_SAMPLER).is_dir()
    licence = f"license: {options.license}" if options.license else "# license: to be chosen; mind the data's"
    kind = "text-to-image" if "text" in sampler.conditions else "unconditional-image-generation"
    head = (
        SPACE_HEAD.format(title=json.dumps(title)) if options.space else f"library_name: jaxgen\npipeline_tag: {kind}"
    )
    parts = [
        f"---\n{head}\n{licence}\ntags: [jax, jaxgen]\n---",
        f"# {title}",
        f"Images of {spec.height}x{spec.width}x{spec.channels}, drawn by `{facts['experiment']}` of jaxgen after "
        f"{facts['step']:,} steps.",
    ]
    if has_picture:
        parts.append("![Images drawn with seed 0](samples.png)")
    parts += [
        "## Draw images",
        _usage(sampler) + (FILMS if has_clips else ""),
        "## Evaluation",
        _measures(facts["measures"]),
        "## Training",
        f"Data: {_without_folders(str(facts['data']))}.",
        _table(config),
        "## Limits",
        "The model draws what its data hold, with their biases, and may draw images that are near to some of them: see "
        "`memorization` and `copies` above, where they were measured. It was not checked for any use beyond research "
        "and play.",
        "## Files",
        "`sampler/` and the folders beside it hold exported functions, which need no model code; `model.safetensors`, "
        "if there is one, the networks of the last checkpoint and their averages; `config.json` options and versions.",
    ]
    return "\n\n".join(parts) + "\n"


def _without_folders(value: Any) -> Any:
    """A text without the folders of its paths: "TFDS mnist 3.0.1 in /data/mnist" is "TFDS mnist 3.0.1".

    Those of a list or an object are without them too.
    """
    if isinstance(value, list):
        return [_without_folders(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _without_folders(inner) for name, inner in value.items()}
    if not isinstance(value, str):
        return value
    return re.sub(r"\S*/(?=\S)", "", re.sub(r" in /.*", "", value.rstrip("/")))


def _usage(sampler: ExportedSampler) -> str:
    given = {"label": ", label=0", "text": ', text="a red heart"'}
    words = "".join(words for name, words in given.items() if name in sampler.conditions)
    return "\n".join(
        [
            "```python",
            "import jaxgen",
            "from jaxgen.export import save_grid",
            "",
            'model = jaxgen.load(".")  # this folder',
            f'save_grid("drawn.png", model.sample(16, seed=0{words}))',
            "```",
        ]
    )


def _measures(measures: Mapping[str, Any]) -> str:
    if not measures:
        return "It was not evaluated: `python -m jaxgen evaluate` does, before a card is written."
    rows = [
        f"| {name} | {one['value']:.4g}" + (f" ± {one['error']:.2g} |" if one.get("error") else " |")
        for name, one in measures.items()
    ]
    return "\n".join(["| | |", "| --- | --- |", *rows])


def _table(config: Mapping[str, Any]) -> str:
    rows = [
        f"| `--{name.replace('_', '-')}` | {_cell(value)} |"
        for name, value in config.items()
        if value not in (None, "", [])
    ]
    return "\n".join(["| option | |", "| --- | --- |", *rows])


def _cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")
