import jax
import jax.numpy as jnp

from jaxgen import ImageSpec
from jaxgen.training import first_state
from tests.programs import ROOT, load_program

vae_mnist = load_program(ROOT / "experiments" / "vae_mnist.py")


def test_a_run_leaves_pictures_of_reconstructions_interpolations_and_a_map():
    config, spec = vae_mnist.Config(width=2), ImageSpec(8, 8, 1)
    recipe = vae_mnist.build(config, spec)
    networks = jax.eval_shape(lambda: first_state(config, recipe)).networks
    pictures = jax.eval_shape(recipe.pictures, networks, {"image": jax.ShapeDtypeStruct((64, *spec), jnp.uint8)})
    assert set(pictures) == {"reconstructions", "interpolations", "latent_map"}
    assert all(rows.shape[2:] == spec and rows.dtype == jnp.uint8 for rows in pictures.values())
