"""Films by diffusion, from the command line."""

import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import ImageSpec, InputError, make_step
from jaxgen.cli import main as jaxgen
from jaxgen.data.clip_file import read_clip
from jaxgen.data.image_options import AS_STORED
from jaxgen.export import load_sampler, save_animation
from jaxgen.training import first_state
from tests.prepared import write_mnist
from tests.programs import ROOT, load_program, loaded, run_here

program = load_program(ROOT / "experiments" / "video.py")
TINY = ("--width", 4, "--batch-size", 4, "--steps", 2, "--log-every", 1, "--sample-every", 10, "--sample-steps", 2)


@pytest.mark.parametrize(("channels", "options"), [(1, {}), (3, {"classes": 3, "text": True, "guidance": 2.0})])
def test_a_step_keeps_the_types_of_the_state_and_the_sampler_draws_strips(channels, options):
    config = program.Config(width=2, batch_size=4, frames=6, dtype=jnp.dtype("bfloat16"), **options)
    spec = ImageSpec(8, 12, channels)
    recipe = program.build(config, spec)
    state = jax.eval_shape(lambda: first_state(config, recipe))
    conditions = recipe.sampler.conditions
    assert set(conditions) == ({"label", "text"} if options else set())
    batch = {"clip": jax.ShapeDtypeStruct((4, 6, *spec), jnp.uint8)}
    batch |= {name: jax.ShapeDtypeStruct((4, *one.shape), one.dtype) for name, one in conditions.items()}
    after, metrics = jax.eval_shape(make_step(recipe.update), state, batch)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    assert all(metric.dtype == jnp.float32 for metric in jax.tree.leaves(metrics))
    (number,) = jax.export.symbolic_shape("B")
    keys = jax.ShapeDtypeStruct((number,), jax.random.key(0).dtype)
    fields = {name: jax.ShapeDtypeStruct((number, *one.shape), one.dtype) for name, one in conditions.items()}
    strips = jax.eval_shape(recipe.sampler, state.networks, keys, **fields)
    assert (strips.shape, strips.dtype) == ((number, 8, 6 * 12, channels), jnp.float32)


@pytest.mark.long
def test_a_run_on_a_folder_of_clips_draws_films_of_its_classes_and_captions(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for name in ("cat/a", "cat/b", "cat/c", "dog/d", "dog/e"):
        path = tmp_path / "clips" / f"{name}.webp"
        save_animation(path, rng.integers(0, 256, (6, 1, 8, 8, 3), np.uint8), is_loop=True)
        path.with_suffix(".txt").write_text(f"the {name[:3]} runs")
    options = ("--data", tmp_path / "clips", "--size", 8, "--frames", 6, "--out", tmp_path / "run")
    described = ("--classes", "auto", "--text", "--guidance", 2)
    assert run_here(monkeypatch, program.main, *TINY, *options, *described) == 0
    strips = load_sampler(tmp_path / "run" / "sampler").sample(2, label="dog", text="the dog runs")
    assert strips.shape == (2, 8, 6 * 8, 3)
    drawn = ("--label", "dog", "--text", "the cat runs", "--num", 2, "--frames", 9, "--out", tmp_path / "films.npz")
    assert run_here(monkeypatch, jaxgen, "film", tmp_path / "run", *drawn) == 0
    assert loaded(tmp_path / "films.npz")["arr_0"].shape == (2, 9, 8, 8, 3)


@pytest.mark.long
def test_a_run_on_moving_digits_ends_with_a_test(tmp_path, monkeypatch):
    digits = np.random.default_rng(0).integers(0, 256, (10, 28, 28), np.uint8)
    write_mnist(tmp_path, train=digits, test=digits)
    # A network of clips of 24 frames sees more than the 10 known ones of the test.
    options = ("--data-dir", tmp_path, "--frames", 24, "--test-clips", 4, "--classes", 10, "--out", tmp_path / "run")
    assert run_here(monkeypatch, program.main, *TINY, *options) == 0
    results = json.loads((tmp_path / "run" / "test.json").read_text())
    assert {"diffusion", "extrapolated", "repeated"} <= results.keys()
    assert results["repeated"]["speed_error"]["value"] > 0
    assert len(read_clip(tmp_path / "run" / "predicted.gif", AS_STORED)) > 10


def test_guidance_without_what_it_strengthens_is_refused():
    with pytest.raises(InputError, match=r"--guidance 2\.0 strengthens a label or a caption: give --classes or --text"):
        program.build(program.Config(guidance=2.0), ImageSpec(8, 8, 1))


def test_a_run_without_test_digits_is_refused_before_it_trains(tmp_path, monkeypatch, capsys):
    assert run_here(monkeypatch, program.main, *TINY, "--offline", "--out", tmp_path / "run") == 2
    assert "mnist (test) was not found" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
