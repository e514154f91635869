"""Transfers by networks that are known exactly, and by trained ones."""

from functools import cache
from itertools import pairwise

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import Context, ImageSpec, InputError, chain, init_state, make_step, minimize, to_float, until
from jaxgen.export import ExportInfo, export_stylizer, load_stylizer
from jaxgen.losses import channel_moments, gram_matrix, gram_style_loss, moment_style_loss
from jaxgen.models import (
    StyleTransfer,
    adaptive_instance_norm,
    identity_loss,
    image_network,
    optimized_transfer_loss,
    strengths,
    style_transfer_loss,
    swapped,
)
from jaxgen.models.style_transfer.model import moved
from jaxgen.nets import PyramidDecoder, PyramidEncoder
from jaxgen.nets.layers.resizing import mean_pool, upsample

SPEC = ImageSpec(12, 8, 3)
IMAGES = jax.random.randint(jax.random.key(0), (4, *SPEC), 0, 256).astype(jnp.uint8)
CONTENT = to_float(IMAGES)
STYLE = to_float(jax.random.randint(jax.random.key(1), (4, 7, 9, 3), 100, 256).astype(jnp.uint8))


class Pixels(nn.Module):
    """An encoder whose only level is the image, and a decoder of that: both ideal."""

    @nn.compact
    def __call__(self, image, *, train):
        return image


class Levels(Pixels):
    @nn.compact
    def __call__(self, image, *, train):
        return (image,)


class LinearLevels(nn.Module):
    @nn.compact
    def __call__(self, image, *, train):
        level = nn.Dense(4)(image)
        return level, nn.Dense(4)(mean_pool(level))


class LinearDecoder(nn.Module):
    @nn.compact
    def __call__(self, features, *, train):
        return nn.Dense(3)(upsample(features))


@cache
def linear():
    """Networks of two levels that train fast."""
    model = StyleTransfer(LinearLevels(), LinearDecoder())
    return model, jax.jit(lambda key: model.init(key, ImageSpec(*IMAGES.shape[1:])))(jax.random.key(3))


IDEAL, NOTHING = StyleTransfer(Levels(), Pixels()), {"encoder": {}, "decoder": {}}


@cache
def pyramid(channels=3):
    """Networks of any size of image, as they start."""
    model = StyleTransfer(PyramidEncoder(width=2), PyramidDecoder(channels, width=2))
    return model, jax.jit(lambda key: model.init(key, ImageSpec(*IMAGES.shape[1:3], channels)))(jax.random.key(3))


def test_normalised_maps_have_the_moments_of_the_style():
    styled = jax.jit(adaptive_instance_norm)(CONTENT, STYLE)
    for ours, theirs in zip(*map(jax.jit(channel_moments), (styled, STYLE)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)  # up to what is added to variances


def test_normalisation_keeps_the_order_of_the_content():
    styled = jax.jit(adaptive_instance_norm)(CONTENT, STYLE)
    ours, theirs = (np.asarray(maps[0, ..., 0]).ravel() for maps in (styled, CONTENT))
    np.testing.assert_allclose(np.corrcoef(ours, theirs), 1, rtol=1e-5)


def test_with_ideal_networks_strength_goes_from_the_content_to_the_moments_of_the_style():
    transfer, moments = jax.jit(lambda *given: IDEAL.transfer(NOTHING, *given)), jax.jit(channel_moments)
    for strength in (0.0, 0.3, 1.0):
        result = transfer(CONTENT, STYLE, strength)
        centres = [np.asarray(moments(maps)[0]) for maps in (result, CONTENT, STYLE)]
        np.testing.assert_allclose(centres[0], (1 - strength) * centres[1] + strength * centres[2], atol=1e-5)
    np.testing.assert_array_equal(transfer(CONTENT, STYLE, 0.0), CONTENT)
    each = np.asarray(transfer(CONTENT, STYLE, np.array([0.0, 0.3, 0.3, 1.0], np.float32)))
    np.testing.assert_array_equal(each[3], np.asarray(transfer(CONTENT, STYLE))[3])
    np.testing.assert_array_equal(each[0], np.asarray(CONTENT)[0])


def test_a_mask_keeps_the_content_outside():
    model, networks = pyramid()
    mask = np.zeros((4, 12, 8, 1), np.float32)
    mask[:, :, 3:] = 1.0
    transfer, content = jax.jit(model.transfer), np.asarray(CONTENT)
    whole, part = (
        np.asarray(transfer(networks, content, content[::-1], 1.0, given)) for given in (np.ones_like(mask), mask)
    )
    np.testing.assert_array_equal(part[:, :, :3], content[:, :, :3])
    np.testing.assert_array_equal(part[:, :, 3:], whole[:, :, 3:])
    assert np.abs(whole - CONTENT).max() > 0.1


def test_an_ideal_transfer_loses_nothing_but_what_one_level_cannot_hold():
    losses = jax.jit(lambda made: IDEAL.losses(NOTHING, made, CONTENT, STYLE))
    content, style = losses(jax.jit(lambda: IDEAL.transfer(NOTHING, CONTENT, STYLE))())
    np.testing.assert_allclose(content, 0, atol=1e-10)
    np.testing.assert_allclose(style, 0, atol=1e-8)
    for trivial in (CONTENT, np.asarray(STYLE)[:, :, :8].repeat(2, axis=1)[:, :12]):
        assert (np.asarray(losses(trivial)[0]) > 0.01).all()


def test_neighbours_of_a_batch_are_swapped_and_an_odd_one_is_refused():
    np.testing.assert_array_equal(swapped(jnp.arange(6)), [1, 0, 3, 2, 5, 4])
    with pytest.raises(InputError, match="of 3 images"):
        swapped(jnp.arange(3))


def test_a_result_is_seen_from_every_place():
    place = jnp.arange(12 * 8).reshape(1, 12, 8, 1)
    seen = jax.jit(jax.vmap(lambda key: moved(key, place)))(jax.random.split(jax.random.key(0), 300))
    assert seen.shape == (300, 1, 8, 4, 1)
    assert set(seen[:, 0, 0, 0, 0].tolist()) == {8 * row + column for row in range(4) for column in range(4)}
    np.testing.assert_array_equal(seen - seen[:, :, :1, :1], jnp.broadcast_to(place[:, :8, :4], seen.shape))


def test_nothing_is_left_of_small_images_to_be_moved():
    with pytest.raises(InputError, match=r"Images of 4x8: .* expected at least 5x5"):
        moved(jax.random.key(0), jnp.zeros((2, 4, 8, 3)))


def test_content_is_asked_of_the_result_and_style_of_the_moved_result():
    model, networks = linear()
    styles = swapped(CONTENT)

    @jax.jit
    def by_hand(networks, key):
        made = model.transfer(networks, CONTENT, styles)
        content, _ = (loss.mean() for loss in model.losses(networks, made, CONTENT, styles))
        style = moment_style_loss(model.encode(networks, moved(key, made)), model.encode(networks, styles)).mean()
        return content, style

    loss = jax.jit(style_transfer_loss(model, weight=3.0))
    content, _ = by_hand(networks, jax.random.key(0))
    assert content > 0.01
    found = set()
    for key in jax.random.split(jax.random.key(0)):
        total, aux = loss(networks, Context({"image": IMAGES}, key, jnp.int32(0)))
        _, style = by_hand(networks, key)
        for name, expected in (("content", content), ("style", style)):
            np.testing.assert_allclose(aux.metrics[name].total / aux.metrics[name].count, expected, rtol=1e-4)
        np.testing.assert_allclose(total, content + 3 * style, rtol=1e-4)
        found.add(round(float(style), 5))
    assert len(found) == 2


def test_the_encoder_is_trained_first_and_then_stays_while_the_decoder_learns():
    model, networks = linear()
    update = chain(
        encoder=until(2, minimize(identity_loss(model), optax.adam(1e-2), wrt="encoder")),
        decoder=minimize(style_transfer_loss(model), optax.adam(1e-2), wrt="decoder"),
    )
    batch = {"image": IMAGES}
    state = jax.jit(lambda networks: init_state(update, networks, jax.random.key(1)))(networks)
    step = jax.jit(make_step(update))
    encoders, losses = [networks["encoder"]], []
    for _ in range(20):
        state, metrics = step(state, batch)
        encoders.append(state.networks["encoder"])
        losses.append(float(metrics["decoder/loss"].total))
    encoders = jax.device_get(encoders)
    has_changed = [
        any(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a != b).any()), *pair))) for pair in pairwise(encoders)
    ]
    assert has_changed == [True, True] + [False] * 18
    assert losses[-1] < losses[2]


def test_the_transfer_loss_leaves_no_gradient_in_the_encoder():
    model, networks = linear()
    context = Context({"image": IMAGES}, jax.random.key(0), jnp.int32(0))
    gradients = jax.jit(jax.grad(lambda networks: style_transfer_loss(model)(networks, context)[0]))(networks)
    gradients = jax.device_get(gradients)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradients["encoder"]))
    assert any((leaf != 0).any() for leaf in jax.tree.leaves(gradients["decoder"]))


def test_rows_go_from_the_content_to_its_neighbour():
    rows = np.asarray(jax.jit(lambda batch: strengths(IDEAL, NOTHING, batch))({"image": IMAGES}))
    assert rows.shape == (2, 7, *SPEC)
    np.testing.assert_array_equal(rows[:, 0], IMAGES[::2])
    np.testing.assert_array_equal(rows[:, 1], IMAGES[::2])
    np.testing.assert_array_equal(rows[:, -1], IMAGES[1::2])


@pytest.mark.parametrize(("channels", "size"), [(1, (5, 9)), (3, (1, 30))])
def test_the_exported_function_is_the_live_one_at_any_size(tmp_path, channels, size):
    model, networks = pyramid(channels)
    info = ExportInfo(SPEC._replace(channels=channels), {}, None)
    export_stylizer(model.stylizer)(tmp_path, networks, info)
    content = np.asarray(jax.random.randint(jax.random.key(0), (*size, channels), 0, 256), np.uint8)
    style = np.asarray(IMAGES[0, ..., :channels])
    loaded = load_stylizer(tmp_path)
    given = (to_float(jnp.asarray(image[None])) for image in (content, style))
    live = jax.jit(model.transfer)(networks, *given, 0.7)
    expected = np.clip(np.round((np.asarray(live[0]) + 1) * 127.5), 0, 255)
    assert np.abs(loaded.stylize(content, style, 0.7) - expected).max() <= 1  # a value may be at the edge of two levels
    np.testing.assert_array_equal(loaded.stylize(content, style, 1.0, np.zeros((*size, 1), np.uint8)), content)
    with pytest.raises(InputError, match="The mask is"):
        loaded.stylize(content, style, 1.0, np.zeros((2, 2, 1), np.uint8))


LINEAR = jax.random.normal(jax.random.key(7), (3, 2))


def linear_features(images):
    """Two levels that are linear in the pixels."""
    return [images @ LINEAR, mean_pool(images) @ LINEAR]


def optimized(start, content, style, weight, steps=150, descent=optax.adam(0.05)):  # noqa: B008
    update = minimize(optimized_transfer_loss(linear_features, weight=weight), descent, wrt="image")
    batch = {"content": content, "style": style}
    state = jax.jit(lambda start: init_state(update, {"image": image_network(start)}, jax.random.key(0)))(start)
    step, losses = jax.jit(make_step(update)), []
    for _ in range(steps):
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"].total))
    return state.networks["image"]["params"], losses


def test_optimisation_recovers_the_gram_matrix_of_a_texture():
    texture = IMAGES[:1]
    noise = 0.1 * jax.random.normal(jax.random.key(2), (1, *SPEC))
    found, losses = optimized(noise, IMAGES[1:2], texture, weight=1e4)
    assert losses[-1] < 1e-2 * losses[0]
    grams = jax.jit(lambda image: [gram_matrix(level) for level in linear_features(image)])
    for ours, theirs in zip(grams(found), grams(to_float(texture)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.05)


def test_optimisation_without_weight_on_style_is_the_content_and_weight_brings_the_style():
    start = to_float(IMAGES[:1])
    # The features of content and image may be rounded differently, which Adam would take for a slope.
    stays, losses = optimized(start, IMAGES[:1], IMAGES[1:2], weight=0.0, steps=3, descent=optax.sgd(0.05))
    np.testing.assert_allclose(stays, start, atol=1e-6)
    np.testing.assert_allclose(losses, 0, atol=1e-12)
    style = to_float(IMAGES[1:2])
    distance = jax.jit(lambda image: gram_style_loss(linear_features(image), linear_features(style)))
    found, _ = optimized(start, IMAGES[:1], IMAGES[1:2], weight=10.0, steps=60)
    assert distance(found) < 0.2 * distance(start)
