"""A texture from one picture: what the experiment refuses, and the tile of its network."""

from functools import partial

import chex
import jax
import numpy as np
import pytest

from jaxgen import ImageSpec
from tests.prepared import png
from tests.programs import ROOT, load_program, run_here

texture, texture_gan = (load_program(ROOT / "experiments" / f"{name}.py") for name in ("texture", "texture_gan"))


def test_the_weights_of_crops_are_those_of_tiles():
    config, specs = texture.Config(width=4), (ImageSpec(8, 8, 3), ImageSpec(16, 24, 3))
    crops, tiles = (texture.make_model(config, spec, is_torus=spec == specs[1]) for spec in specs)
    assert tiles.network != crops.network
    inits = [partial(model.init, jax.random.key(0), model.spec) for model in (crops, tiles)]
    chex.assert_trees_all_equal_shapes(*map(jax.eval_shape, inits))


@pytest.mark.parametrize(
    ("program", "options", "line"),
    [
        (texture, ("--tile", 100), "--tile 100: expected a multiple of 8"),
        (texture_gan, ("--tile", 100), "--tile 100: expected a multiple of 8"),
        (texture, ("--side", 40), "Crops of 48 are larger than a.png, which has 40x56 pixels here"),
        (texture, ("--size", 20), "multiples of 8; got 20"),
        (texture, ("--data", "missing.png"), "missing.png cannot be read as an image"),
    ],
)
def test_what_cannot_be_learnt_is_one_line(tmp_path, monkeypatch, capsys, program, options, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(png(np.random.default_rng(0).integers(0, 256, (20, 28, 3), np.uint8)))
    assert run_here(monkeypatch, program.main, "--data", "a.png", *options) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
    assert not (tmp_path / "runs").exists()
