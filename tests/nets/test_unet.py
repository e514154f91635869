"""Networks from image to image: sizes, skips, conditions and dropout."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.nets import ClassicCNN, Dropout, PatchDiscriminator, UNet, forward
from jaxgen.nets.layers.resizing import enlarge, fold
from tests.nets.variables import normal, variables_of

IMAGES = normal(2, 8, 12, 3)
NETWORKS = {
    "strides": UNet(5, width=2),
    "pooling": UNet(5, width=2, halving="pool"),
    "without skips": UNet(5, width=2, skips=False),
    "folded": UNet(5, width=2, levels=1, folded=True),
    "classic": ClassicCNN(5, width=2, hidden=4),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_size_stays_and_the_condition_reaches_the_output(name):
    module, condition = NETWORKS[name], np.eye(2, dtype=np.float32)
    variables = variables_of(module, IMAGES, condition)
    run = jax.jit(lambda *given: forward(module, variables, *given, train=False)[0])
    output = run(IMAGES, condition)
    assert output.shape == (2, 8, 12, 5)
    assert jnp.abs(run(IMAGES, condition[::-1]) - output).max() > 1e-4
    assert jnp.abs(run(IMAGES[::-1], condition) - output).max() > 1e-4


def test_without_skips_all_passes_through_the_smallest_map():
    for skips in (True, False):
        module = UNet(1, width=2, levels=1, blocks=1, skips=skips, dropout=1 - 1e-7)
        variables = variables_of(module, IMAGES)
        run = jax.jit(partial(forward, module, train=True))
        # With the smallest map gone, what is left went over the skips.
        one, other = (run(variables, images, key=jax.random.key(0))[0] for images in (IMAGES, -IMAGES))
        assert bool(jnp.abs(one - other).max() > 1e-5) == skips


@pytest.mark.parametrize(
    ("module", "multiple"), [(UNet(1, levels=3), 8), (UNet(1, folded=True), 8), (ClassicCNN(1), 2)]
)
def test_sides_that_cannot_be_halved_are_refused(module, multiple):
    shape = jax.ShapeDtypeStruct((1, 8, multiple + 1, 1), jnp.float32)
    with pytest.raises(InputError, match=f"multiples of {multiple}; got {multiple + 1}"):
        jax.eval_shape(lambda image: module.init(jax.random.key(0), image, train=False), shape)


def test_folding_is_undone_by_enlarging():
    np.testing.assert_array_equal(jax.jit(lambda images: enlarge(fold(images)))(IMAGES), IMAGES)


def test_dropout_leaves_out_its_share_keeps_the_mean_and_follows_its_key():
    ones = np.ones((200, 100), np.float32)

    @partial(jax.jit, static_argnames="train")
    def drop(key, train=True):
        return forward(Dropout(0.25), {}, ones, train=train, key=key)[0]

    dropped = drop(jax.random.key(0))
    np.testing.assert_allclose(np.unique(dropped), [0, 1 / 0.75], rtol=1e-6)
    assert abs(float(dropped.mean()) - 1) < 5 * np.sqrt(0.25 / 0.75 / ones.size)
    np.testing.assert_array_equal(drop(jax.random.key(0)), dropped)
    assert (drop(jax.random.key(1)) != dropped).any()
    np.testing.assert_array_equal(drop(jax.random.key(0), train=False), ones)


def test_what_shares_no_patch_is_judged_apart():
    module, images = PatchDiscriminator(width=4, layers=1), jnp.zeros((1, 24, 24, 1))
    inputs = normal(1, 24, 24, 3)
    variables = variables_of(module, images, inputs)
    judge = jax.jit(lambda images: module.apply(variables, images, inputs, train=False)[0])

    def together(first, second):
        """What two pixels change in the logit beyond what each does alone."""
        one, other = (images.at[0, 12, column].set(9.0) for column in (first, second))
        return float(judge(one + other) - judge(one) - judge(other) + judge(images))

    assert max(abs(together(8, 8 + distance)) for distance in (1, 2)) > 1e-4
    assert max(abs(together(start, start + 8)) for start in (4, 5, 8)) < 1e-6
