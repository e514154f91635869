"""Images for words and, independently of them, for features of a picture."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen import ImageSpec, Sampler
from jaxgen.cli import main as jaxgen
from jaxgen.data import load, make_dataset, train_tokenizer, with_field, with_text
from jaxgen.data.image_file import read_image
from jaxgen.data.image_options import ImageOptions
from jaxgen.evaluation import describe_shrunk, evaluate_text_and_features
from jaxgen.export import ExportInfo, export_sampler, load_sampler, save_image
from jaxgen.io.pictures import EMPTY, MIN_SIDE
from jaxgen.models import features, text
from jaxgen.training import first_state
from tests.models.programs import networks_like
from tests.prepared import write_captioned
from tests.programs import ROOT, load_program, loaded, run_here

program = load_program(ROOT / "experiments" / "text_and_features_to_image.py")
CAPTIONS = ["a red heart", "a blue heart", "a cat", "a dog"]
TOKENIZER = train_tokenizer(CAPTIONS, length=3, size=32)
SPEC, RANDOM = ImageSpec(8, 8, 3), np.random.default_rng(0)
PICTURES = RANDOM.integers(0, 256, (4, *SPEC), np.uint8)


def shown(networks, keys, fields):
    """Images whose first row shows the features, and whose other rows show the tokens."""
    del networks, keys
    tokens = jnp.repeat(fields["text"] / 32, 8, axis=1)
    features, tokens = (rows.reshape(-1, 1, 8, 3) for rows in (fields["features"], tokens))
    return jnp.concatenate([features, jnp.repeat(tokens, 7, axis=1)], axis=1)


def write_run(folder, kind, draw=shown):
    sampler = Sampler(draw, text(3) | features(24, kind))
    networks = {"none": {"params": {"nothing": jnp.zeros(1)}}}
    export_sampler(sampler)(folder / "sampler", networks, ExportInfo(SPEC, sampler.conditions, TOKENIZER))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"), "palette")


def drawn(run, monkeypatch, out, *options):
    assert run_here(monkeypatch, jaxgen, "sample", run, "--out", out, *options) == 0
    return loaded(out)["arr_0"]


def test_a_picture_stands_for_its_features_at_the_size_of_the_run(run, tmp_path, monkeypatch):
    picture = tmp_path / "a.png"
    save_image(picture, RANDOM.integers(0, 256, (20, 24, 3), np.uint8))
    expected = describe_shrunk(read_image(picture, ImageOptions(size=(8, 8)))[None], "palette")
    np.savez(tmp_path / "a.npz", features=expected)
    one, other = (
        drawn(run, monkeypatch, tmp_path / "out.npz", "--text", "a cat", "--num", 2, "--features", tmp_path / name)
        for name in ("a.png", "a.npz")
    )
    np.testing.assert_array_equal(one, other)
    colours = np.round((expected + 1) * 127.5).reshape(8, 3)
    assert np.abs(one[0, 0] - colours).max() <= 1  # rounded to grey levels


def test_each_picture_of_a_folder_is_drawn_with_each_caption(run, tmp_path, monkeypatch):
    for number, picture in enumerate(PICTURES[:3]):
        save_image(tmp_path / "styles" / f"{number}.png", picture)
    words = "--text", *CAPTIONS[:3], "--features", tmp_path / "styles", "--num", 9
    grid = drawn(run, monkeypatch, tmp_path / "out.npz", *words).reshape(3, 3, *SPEC)
    sampler = load_sampler(run / "sampler")
    fields = {"features": describe_shrunk(PICTURES[:3], "palette")}
    for number, caption in enumerate(CAPTIONS[:3]):
        np.testing.assert_array_equal(grid[:, number], sampler.draw(0, 3, fields=fields, text=[caption] * 3))


def test_a_run_that_does_not_record_its_kind_takes_no_pictures(tmp_path, monkeypatch, capsys):
    run = write_run(tmp_path, "")
    save_image(tmp_path / "a.png", PICTURES[0])
    options = "--text", "a cat", "--features", tmp_path / "a.png", "--out", tmp_path / "out.npz"
    assert run_here(monkeypatch, jaxgen, "sample", run, *options) == 2
    assert "does not record of what kind its features are; expected an .npz" in capsys.readouterr().err


def test_a_sampler_that_draws_the_picture_of_the_features_is_at_distance_zero_from_them(tmp_path):
    known = jnp.asarray(describe_shrunk(PICTURES, "palette"))

    def draw(networks, keys, fields):
        del networks, keys
        nearest = jnp.abs(fields["features"][:, None] - known).sum(-1).argmin(-1)
        return jnp.asarray(PICTURES, jnp.float32)[nearest] / 127.5 - 1

    write_run(tmp_path, "palette", draw)
    part = make_dataset(PICTURES, None, captions=tuple(CAPTIONS), source="", split="held out")
    part = with_field(with_text(part, TOKENIZER), features=np.asarray(known))
    evaluate_text_and_features(tmp_path, part, "palette", matcher=None, seed=0)
    results = json.loads((tmp_path / "text_and_features.json").read_text())
    distance = {name: results[name]["relative distance"] for name in ("own", "another's", "real, another's")}
    assert distance["own"] == distance["another's"] == 0
    assert distance["real, another's"] > 0.5
    with Image.open(tmp_path / "text_and_features.png") as picture:
        pixels = np.asarray(picture)
    cells = pixels[:: MIN_SIDE // 8, :: MIN_SIDE // 8]  # small images are enlarged
    grid = np.stack([[cells[2 + 10 * i :][:8, 2 + 10 * j :][:, :8] for j in range(5)] for i in range(5)])
    assert (grid[0, 0] == EMPTY).all()
    assert {image.tobytes() for image in grid[0, 1:]} == {image.tobytes() for image in PICTURES}
    np.testing.assert_array_equal(grid[1:, 1:], np.broadcast_to(grid[:1, 1:], grid[1:, 1:].shape))
    assert {image.tobytes() for image in grid[1:, 0]} == {image.tobytes() for image in PICTURES}


def test_without_guidance_to_the_features_only_the_caption_counts():
    spec, keys = ImageSpec(32, 32, 3), jax.random.split(jax.random.key(0), 2)
    small = {"width": 8, "blocks": 1, "autoencoder_width": 4, "words": 3, "vocabulary": 32, "sample_steps": 2}
    palettes = np.random.default_rng(1).uniform(-1, 1, (2, 24)).astype(np.float32)
    cat, dog = (TOKENIZER.encode([caption] * 2) for caption in ("a cat", "a dog"))
    config = program.Config(**small)
    networks = networks_like(lambda: first_state(config, program.build(config, spec)).networks)
    networks["moments"]["averages"]["square"] += 2  # variances are positive

    def images(scale):
        recipe = program.build(replace(config, features_guidance=scale), spec)
        draw = jax.jit(lambda tokens, palette: recipe.sampler(networks, keys, text=tokens, features=palette))
        return draw(cat, palettes), draw(cat, palettes[::-1]), draw(dog, palettes)

    one, other_features, other_words = images(0.0)
    np.testing.assert_array_equal(one, other_features)
    assert (one != other_words).any()
    one, other_features, other_words = images(2.0)
    assert (one != other_features).any()
    assert (one != other_words).any()


def test_the_flow_trains_on_images_in_other_colours_and_is_evaluated_in_their_own(tmp_path):
    write_captioned(tmp_path, [f"{colour} {thing}" for colour in "abcdefgh" for thing in "mnopqrst"])
    dataset, config = load(str(tmp_path)), program.Config(words=3, vocabulary=64)
    training, held_out = (program.part(config, dataset, is_held_out=choice) for choice in (False, True))
    assert training.size == (program.COPIES + 1) * (dataset.size - held_out.size)
    assert not set(training.captions) & set(held_out.captions)
    for one in (training, held_out):
        np.testing.assert_array_equal(one.arrays["features"], describe_shrunk(one.arrays["image"], "palette"))
    edges = program.part(program.Config(kind="edges", words=3, vocabulary=64), dataset, is_held_out=False)
    assert edges.size == dataset.size - held_out.size
