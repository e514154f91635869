"""Textures: the same weights at any size, without a seam."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import ImageSpec, to_uint8
from jaxgen.cli import main
from jaxgen.data.image_file import read_image
from jaxgen.export import ExportInfo, draw_torus, export_torus, load_torus
from jaxgen.models import GAN
from jaxgen.nets import Conv, DCGANDiscriminator, TorusGenerator, dense_outputs, forward
from tests.programs import run_here

SPEC, CHANNELS = ImageSpec(20, 24, 3), 4
GENERATOR = TorusGenerator(SPEC, CHANNELS, width=4, levels=2)


@pytest.fixture(scope="module")
def variables():
    start = jnp.zeros((1, GENERATOR.latent_size))
    return GENERATOR.init(jax.random.key(0), start, train=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory, variables):
    """A run that exports the generator."""
    folder = tmp_path_factory.mktemp("run")

    def tori(networks):
        return lambda maps: forward(GENERATOR, networks["generator"], maps, train=False)[0]

    export_torus(tori, CHANNELS)(folder / "torus", {"generator": variables}, ExportInfo(SPEC))
    return folder


def draw(variables, latents):
    return np.asarray(forward(GENERATOR, variables, latents, train=False)[0])


def test_a_shift_of_the_map_shifts_the_torus_and_a_latent_gives_its_corner(variables):
    maps = jax.random.normal(jax.random.key(1), (2, 7, 8, CHANNELS))  # what 5x6 positions and two more are
    whole = draw(variables, maps)
    assert whole.shape == (2, 28, 32, 3)
    moved = draw(variables, jnp.roll(maps, (3, -2), (1, 2)))
    # Values below 1, whose sums a machine may order by their place in the map.
    np.testing.assert_allclose(moved, np.roll(whole, (12, -8), (1, 2)), atol=1e-5)
    np.testing.assert_array_equal(draw(variables, maps.reshape(2, -1)), whole[:, :20, :24])


def test_its_latents_have_controls(variables):
    """Directions too: a map has a dense layer for each of its positions."""
    gan = GAN(GENERATOR, DCGANDiscriminator(width=4), latent_size=GENERATOR.latent_size)
    networks = {"generator": variables, "discriminator": {}}
    controls = gan.controls(networks)
    latents = controls.draw(jnp.uint32(0), jnp.arange(3))
    codes = controls.codes(latents, {})
    np.testing.assert_array_equal(controls.generate(codes, latents, {}), draw(variables, latents))
    first = controls.first_layer(codes)
    assert first.shape == (3, 7 * 8 * 16)
    one = controls.first_layer(codes.at[:, :, CHANNELS:].set(0))  # the first position alone
    np.testing.assert_array_equal(one[:, :16], first[:, :16])
    assert not one[:, 16:].any()


def test_the_exported_torus_is_that_of_the_network_at_any_size(run, variables):
    torus = load_torus(run / "torus")
    assert (torus.cell, torus.spec) == (4, SPEC)
    for height, width in ((1, 1), (3, 5)):
        key = jax.random.key(6)
        noise = [
            [jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, i), j), (CHANNELS,)) for j in range(width)]
            for i in range(height)
        ]
        expected = draw(variables, jnp.array(noise)[None])[0]
        drawn = torus.call(jnp.uint32(6), jnp.arange(height), jnp.arange(width))
        np.testing.assert_allclose(drawn, expected, atol=1e-5)  # as above
        np.testing.assert_array_equal(draw_torus(torus, (4 * height, 4 * width), seed=6), to_uint8(drawn))


def test_a_network_without_dense_layers_has_no_directions():
    network, images = Conv(2, (3, 3)), jnp.zeros((1, 4, 4, 1))
    with pytest.raises(ValueError, match="A Conv has no dense layers"):
        dense_outputs(network, network.init(jax.random.key(0), images), images)


def test_panorama_draws_it(run, tmp_path, monkeypatch, capsys):
    out = tmp_path / "a.png"
    assert run_here(monkeypatch, main, "panorama", run, "--width", 64, "--height", 32, "--seed", 2, "--out", out) == 0
    np.testing.assert_array_equal(read_image(out), draw_torus(load_torus(run / "torus"), (32, 64), seed=2))
    assert run_here(monkeypatch, main, "panorama", run, "--width", 80, "--equirectangular", "--out", out) == 0
    assert read_image(out).shape == (40, 80, 3)
    capsys.readouterr()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--width", 30), "--width 30: expected a multiple of 4"),
        (("--steps", 8), "--steps 8: {run} draws at once"),
        (("--label", "cat", "dog"), "--label cat dog: {run} draws at once"),
    ],
)
def test_what_it_cannot_draw_is_one_line(run, tmp_path, monkeypatch, capsys, options, line):
    assert run_here(monkeypatch, main, "panorama", run, *options, "--out", tmp_path / "a.png") == 2
    error = capsys.readouterr().err
    assert line.format(run=run) in error
    assert error.count("\n") == 1
    assert not any(tmp_path.iterdir())
