from itertools import cycle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import ImageSpec, InputError
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator, forward
from tests.nets.variables import normal, variables_of


def shapes(module, *arguments):
    return jax.eval_shape(lambda key: module.init(key, *arguments, train=False), jax.random.key(0))


def size(variables):
    return sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))


def test_the_classic_case_has_the_classic_numbers_of_parameters():
    spec = ImageSpec(64, 64, 3)
    # 16 taps, no biases, two BatchNorm vectors a normalised layer: the sums of the published network
    generator = 100 * 512 * 16 + 16 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 3) + 2 * (512 + 256 + 128 + 64)
    discriminator = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512) + 2 * (128 + 256 + 512)
    assert generator == 3_576_704
    assert discriminator == 2_765_568
    assert size(shapes(DCGANGenerator(spec), jnp.zeros((1, 100)))) == generator
    assert size(shapes(DCGANDiscriminator(), jnp.zeros((1, *spec)))) == discriminator


@pytest.mark.parametrize(
    "spec", [ImageSpec(s, s, c) for s, c in zip(range(28, 129, 4), cycle((1, 3)))] + [ImageSpec(28, 44, 1)]
)
def test_every_allowed_size_gives_images_of_that_size_and_one_logit_each(spec):
    generator, discriminator = DCGANGenerator(spec, width=2), DCGANDiscriminator(width=2)
    latent, image = jnp.zeros((3, 5)), jnp.zeros((3, *spec))
    drawn = jax.eval_shape(lambda key: generator.init_with_output(key, latent, train=False)[0], jax.random.key(0))
    judged = jax.eval_shape(lambda key: discriminator.init_with_output(key, image, train=False)[0], jax.random.key(0))
    assert (drawn.shape, drawn.dtype) == (image.shape, jnp.float32)
    assert (judged.shape, judged.dtype) == ((3,), jnp.float32)


@pytest.mark.parametrize(
    "spec", [ImageSpec(24, 24, 1), ImageSpec(30, 30, 1), ImageSpec(132, 132, 3), ImageSpec(28, 28, 2)]
)
def test_a_size_that_does_not_fit_is_refused(spec):
    with pytest.raises(InputError, match=r"(multiples of 4 from 28 to 128, or of 16 up to 512|1 or 3 channels); got"):
        shapes(DCGANGenerator(spec, width=2), jnp.zeros((1, 5)))


def test_hidden_adds_one_dense_layer():
    spec, h = ImageSpec(28, 28, 1), 6
    without, with_ = (shapes(DCGANGenerator(spec, 2, hidden=n), jnp.zeros((1, 5))) for n in (0, h))
    assert size(with_) - size(without) == 5 * h + 2 * h + (h - 5) * 7 * 7 * 4
    without, with_ = (shapes(DCGANDiscriminator(2, n, normalize=False), jnp.zeros((1, *spec))) for n in (0, h))
    assert size(with_) - size(without) == (7 * 7 * 4 * h + h) + (h + 1) - (7 * 7 * 4 + 1)


def test_images_are_in_range_and_parameters_stay_float32_in_any_precision():
    generator = DCGANGenerator(ImageSpec(28, 28, 1), width=2, dtype=jnp.bfloat16)
    run = jax.jit(lambda key: generator.init_with_output(key, 100 * jnp.ones((2, 5)), train=False))
    images, variables = run(jax.random.key(0))
    assert images.dtype == jnp.float32
    assert (jnp.abs(images) <= 1).all()
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}


def test_training_normalises_over_the_batch_and_inference_over_what_was_learnt():
    generator = DCGANGenerator(ImageSpec(28, 28, 1), width=2)
    latent = normal(4, 5)

    @jax.jit
    def run(variables):
        given = [(latent, True), (latent, False), (latent[:1], False)]
        return [forward(generator, variables, latent, train=train) for latent, train in given]

    (trained, changes), (drawn, nothing), (alone, _) = run(variables_of(generator, latent))
    assert set(changes) == {"batch_stats"}
    assert not nothing
    assert not np.allclose(trained, drawn)
    np.testing.assert_allclose(alone[0], drawn[0], atol=1e-6)


def test_changes_carry_no_gradient():
    generator = DCGANGenerator(ImageSpec(28, 28, 1), width=2)
    latent = normal(4, 5)
    variables = variables_of(generator, latent)

    def statistics(params):
        _, changes = forward(generator, {**variables, "params": params}, latent, train=True)
        return sum(leaf.sum() for leaf in jax.tree.leaves(changes))

    gradients = jax.jit(jax.grad(statistics))(variables["params"])
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(gradients))
