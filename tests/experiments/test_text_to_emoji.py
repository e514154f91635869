"""Captioned pictures from the command line, at tiny settings."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen import InputError
from jaxgen.data import load
from jaxgen.evaluation import Matcher, hold_out_captions, save_matcher, with_embeddings
from jaxgen.export import load_sampler
from jaxgen.nets import Matching
from tests.prepared import write_captioned
from tests.programs import ROOT, load_program, run_here

program = load_program(ROOT / "experiments" / "text_to_emoji.py")
flow = load_program(ROOT / "experiments" / "text_to_emoji_flow.py")
COLOURS = ("red", "green", "blue", "yellow", "black", "white", "pink", "grey", "brown", "orange", "teal", "gold")
THINGS = ("heart", "cat", "dog", "star", "house", "tree", "fish", "boat", "moon", "cup", "hat", "key")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All colours of all things, as pictures of noise."""
    folder = tmp_path_factory.mktemp("pictures")
    write_captioned(folder, [f"{colour} {thing}" for colour in COLOURS for thing in THINGS])
    return folder


@pytest.fixture(scope="module")
def matcher(folder, tmp_path_factory):
    """A matching network that has learned nothing."""
    training, _ = hold_out_captions(load(str(folder)), words=3, vocabulary=64)
    module = Matching(training.tokenizer.size)
    inputs = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 3), jnp.int32)
    variables = jax.jit(lambda key: module.init(key, *inputs, train=False))(jax.random.key(0))
    path = tmp_path_factory.mktemp("matcher")
    save_matcher(path, Matcher(variables, training.tokenizer))
    return path


def test_no_held_out_caption_is_trained_on_and_each_of_its_words_is(folder):
    training, held_out = hold_out_captions(load(str(folder)), words=3, vocabulary=64)
    assert not set(training.captions) & set(held_out.captions)
    assert 10 <= held_out.size <= 15
    words = {word for caption in training.captions for word in caption.split()}
    assert {word for caption in held_out.captions for word in caption.split()} <= words


@pytest.mark.long
def test_a_run_with_embeddings_is_evaluated_by_its_captions(folder, matcher, tmp_path, monkeypatch, capsys):
    embeddings = np.random.default_rng(1).normal(size=(144, 5)).astype(np.float32)
    np.savez(tmp_path / "e.npz", features=embeddings)
    small = ("--width", 2, "--hidden", 4, "--latent-size", 2, "--batch-size", 4, "--words", 3, "--vocabulary", 64)
    options = (*small, "--data", folder, "--text-embeddings", tmp_path / "e.npz", "--steps", 2, "--sample-every", 100)
    assert run_here(monkeypatch, program.main, *options, "--matcher", matcher, "--out", tmp_path / "run") == 0
    results = json.loads((tmp_path / "run" / "alignment.json").read_text())
    assert list(results) == ["train, drawn", "train, real", "held out, drawn", "held out, real", "candidates"]
    assert results["held out, real"]["captions"] == 144 - results["train, real"]["captions"]
    out = capsys.readouterr().out
    assert f"{results['train, real']['retrieval accuracy']['value']:.4g} ±" in out
    shown = out.split("held_out.png: ")[1].splitlines()[0].split(", ")
    _, held_out = hold_out_captions(load(str(folder)), words=3, vocabulary=64)
    assert len(shown) == 12
    assert set(shown) <= set(held_out.captions)
    with Image.open(tmp_path / "run" / "held_out.png") as picture:
        below = np.asarray(picture)[2 + 32 + 2 :, 2:][:32, :32]  # gaps are two wide
    np.testing.assert_array_equal(below, held_out.arrays["image"][held_out.captions.index(shown[0])])
    sampler = load_sampler(tmp_path / "run" / "sampler")
    assert list(sampler.conditions) == ["features"]
    assert sampler.draw(0, 2, fields={"features": embeddings[:2]}).shape == (2, 32, 32, 3)


@pytest.mark.long
def test_a_flow_of_larger_images_is_evaluated_by_its_captions_too(folder, matcher, tmp_path, monkeypatch):
    small = ("--width", 8, "--blocks", 1, "--batch-size", 4, "--words", 3, "--vocabulary", 64)
    options = (
        *small,
        "--autoencoder-width",
        4,
        "--autoencoder-steps",
        1,
        "--data",
        folder,
        "--steps",
        2,
        "--sample-every",
        100,
        "--sample-steps",
        2,
    )
    assert run_here(monkeypatch, flow.main, *options, "--matcher", matcher, "--out", tmp_path / "run") == 0
    results = json.loads((tmp_path / "run" / "alignment.json").read_text())
    assert list(results) == ["train, drawn", "train, real", "held out, drawn", "held out, real", "candidates"]
    sampler = load_sampler(tmp_path / "run" / "sampler")
    assert sampler.draw(0, 1, text=["red heart"]).shape == (1, 64, 64, 3)


def test_embeddings_of_other_captions_are_refused(folder, tmp_path):
    np.savez(tmp_path / "e.npz", features=np.zeros((3, 5), np.float32))
    with pytest.raises(InputError, match=r"has 3 rows; .* has 144"):
        with_embeddings(load(str(folder)), tmp_path / "e.npz")


def test_a_matcher_of_other_words_is_refused_before_training(folder, matcher, tmp_path, monkeypatch, capsys):
    options = ("--data", folder, "--matcher", matcher, "--words", 4, "--vocabulary", 64, "--out", tmp_path / "run")
    assert run_here(monkeypatch, program.main, *options) == 2
    assert "was trained on other captions, or with other --words or --vocabulary" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_images_that_a_matcher_cannot_take_are_refused_before_training(folder, matcher, tmp_path, monkeypatch, capsys):
    options = ("--data", folder, "--size", 48, "--matcher", matcher, "--words", 3, "--vocabulary", 64)
    assert run_here(monkeypatch, flow.main, *options, "--out", tmp_path / "run") == 2
    assert "images of 48x48; expected squares of a multiple of 32" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_too_few_captions_to_choose_from_are_refused(folder, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    for line in lines[:24]:
        name = json.loads(line)["file_name"]
        (few / name).write_bytes((folder / name).read_bytes())
    (few / "metadata.jsonl").write_text("\n".join(lines[:24]))
    training, _ = hold_out_captions(load(str(few)), words=3, vocabulary=64)
    matcher = tmp_path / "matcher"
    module = Matching(training.tokenizer.size)
    variables = jax.eval_shape(
        lambda: module.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 3), jnp.int32), train=False)
    )
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), variables)
    save_matcher(matcher, Matcher(zeros, training.tokenizer))
    with pytest.raises(InputError, match="needs 10 captions to choose from"):
        hold_out_captions(load(str(few)), words=3, vocabulary=64, matcher=matcher)
