"""Any pictures: the experiment's options, and what it says and refuses."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import ImageSpec, make_step
from jaxgen.training import RunDirectory, first_state, memory
from tests.programs import ROOT, load_program, run_here

pictures = load_program(ROOT / "experiments" / "pictures.py")
SPEC, LARGER = ImageSpec(32, 48, 3), ImageSpec(52, 48, 3)  # a map of the larger has sides that no patch divides


def write_labelled(path, num=16, shape=(32, 32, 3), **fields):
    image = np.random.default_rng(0).integers(0, 256, (num, *shape), dtype=np.uint8)
    np.savez(path, image=image, **fields)
    return path


@pytest.mark.parametrize(("family", "spec"), [("gan", SPEC), ("vae", SPEC), ("flow", SPEC), ("flow", LARGER)])
def test_a_step_of_rectangles_with_classes_and_captions_keeps_the_types(family, spec):
    config = pictures.Config(family=family, width=2, batch_size=4, classes=3, text=True)
    recipe = pictures.build(config, spec)
    state = jax.eval_shape(lambda: first_state(config, recipe))
    batch = {
        "image": jax.ShapeDtypeStruct((4, *spec), jnp.uint8),
        "label": jax.ShapeDtypeStruct((4,), jnp.int32),
        "text": jax.ShapeDtypeStruct((4, pictures.WORDS), jnp.int32),
    }
    after, metrics = jax.eval_shape(make_step(recipe.update), state, batch)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert set(recipe.discriminators) <= metrics.keys()
    assert set(recipe.sampler.conditions) == {"label", "text"}
    fields = {name: batch[name] for name in ("label", "text")}
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 4))
    assert jax.eval_shape(recipe.sampler, state.networks, keys, **fields).shape == (4, *spec)


@pytest.mark.parametrize("sides", [(28, 28), (44, 512), (48, 48), (60, 52), (512, 48), (512, 512)])
def test_a_flow_is_one_of_pixels_which_exports_its_denoiser_or_of_maps_of_a_quarter_of_the_sides(sides):
    recipe = pictures.build(pictures.Config(family="flow", width=2), ImageSpec(*sides, 3))
    networks = jax.eval_shape(recipe.networks, jax.random.key(0))
    patches = networks["denoiser"]["params"]["places"].shape[0]
    if min(sides) < 48:
        patch = min(sides) // 8
        assert patches == -(-sides[0] // patch) * -(-sides[1] // patch)
    else:
        assert patches == -(-sides[0] // 16) * -(-sides[1] // 16)
    assert ("denoiser" in recipe.exports) == ("encoder" not in networks) == (min(sides) < 48)


@pytest.mark.parametrize(
    ("step", "folder", "is_said"), [(5, "controls", True), (6, "controls", False), (5, "denoiser", False)]
)
def test_a_run_that_ends_before_its_flow_has_trained_says_so(step, folder, is_said, tmp_path, monkeypatch, capsys):
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": step}) + "\n")
    (tmp_path / folder).mkdir()
    monkeypatch.setattr(pictures, "run", lambda *_, afterwards, **__: afterwards(RunDirectory(tmp_path)))
    assert run_here(monkeypatch, pictures.main, "--family", "flow", "--autoencoder-steps", 5) == 0
    assert ("The flow has not trained yet" in capsys.readouterr().out) == is_said


def test_wider_presets_have_more_parameters_and_larger_images_narrower_maps():
    def widths(side, **options):
        spec, presets = ImageSpec(side, side, 3), ("small", "base", "large")
        return [pictures.width_of(pictures.Config(preset=preset, **options), spec) for preset in presets]

    assert widths(64) == [16, 32, 64]
    assert widths(256) == [8, 16, 32]
    assert widths(64, family="vae") == [8, 16, 32]
    assert widths(256, family="flow") == widths(64, family="flow") == [128, 256, 512]
    assert pictures.width_of(pictures.Config(width=3), SPEC) == 3


REFUSED = [
    ((32, 40, 3), {}, ("--classes", "auto"), "--classes auto: "),
    ((30, 32, 3), {}, (), "got 30: the nearest are 28 and 32."),
    ((32, 130, 3), {}, ("--family", "vae"), "got 130: the nearest are 128 and 144."),
    ((32, 32, 3), {"label": np.arange(16) % 2}, ("--classes", 3), "has 2 classes; the model has 3: give --classes 2."),
    ((32, 32, 3), {}, ("--text",), "There are no captions, or no words in them"),
    ((32, 32, 3), {}, ("--classes", -1), "--classes -1: expected at least 0"),
    ((32, 32, 3), {}, ("--width", 4, "--preset", "large"), "--preset large and --width 4: give one of them"),
    ((32, 32, 3), {}, ("--family", "flow", "--latent-size", 3), "--latent-size 3: the latents of a flow have the size"),
    ((32, 64, 3), {}, ("--family", "flow", "--autoencoder-steps", 9), "--autoencoder-steps 9: only a flow of 48x48"),
    ((50, 52, 3), {}, ("--family", "flow"), "got 50: the nearest are 48 and 52."),
]


@pytest.mark.parametrize(("shape", "fields", "options", "message"), REFUSED)
def test_what_cannot_be_done_is_refused_in_one_line(tmp_path, monkeypatch, capsys, shape, fields, options, message):
    data = write_labelled(tmp_path / "some.npz", shape=shape, **fields)
    given = ("--data", data, "--out", tmp_path / "run", "--width", 2, "--batch-size", 4, "--steps", 1, *options)
    assert run_here(monkeypatch, pictures.main, *given) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_networks_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(memory, "device_memory", lambda: 2.0**10)
    data = write_labelled(tmp_path / "some.npz")
    options = ("--data", data, "--out", tmp_path / "run", "--width", 2, "--batch-size", 4)
    assert run_here(monkeypatch, pictures.main, *options) == 2
    assert "GiB of memory, and there are 0.0: make --batch-size, the width" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_classes_auto_are_those_of_the_data(tmp_path):
    data = write_labelled(tmp_path / "some.npz", label=np.arange(16) % 4)
    config = pictures.Config(data=str(data), out=tmp_path / "run", classes="auto", steps=1, batch_size=4, width=1)
    seen = {}

    def build(config, spec):
        seen["classes"] = config.classes
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pictures.run(config, build, name="pictures")
    assert seen == {"classes": 4}
