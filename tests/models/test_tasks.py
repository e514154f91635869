"""Restoration tasks: deterministic, and consistent with the known pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.models import (
    colourise,
    deblur,
    denoise,
    fixed_mask,
    inpaint,
    masked,
    random_block,
    random_half,
    super_resolve,
)
from jaxgen.models.image_to_image.tasks import blurred

IMAGES = jax.random.uniform(jax.random.key(0), (6, 8, 12, 3), minval=-1, maxval=1)
MADE = jax.random.normal(jax.random.key(1), IMAGES.shape)
KEYS = jax.random.split(jax.random.key(2), 6)
TASKS = {
    "denoise": denoise(0.3),
    "inpaint block": inpaint(random_block()),
    "inpaint half": inpaint(random_half()),
    "colourise": colourise(),
    "deblur": deblur(1.5),
    "super-resolve x2": super_resolve(2),
    "super-resolve x4": super_resolve(4),
}
TASKS = {name: type(task)(*map(jax.jit, task)) for name, task in TASKS.items()}
EXACT = [name for name in TASKS if name not in ("denoise", "deblur")]


@pytest.mark.parametrize("name", TASKS)
def test_an_input_depends_on_its_own_image_and_key_alone(name):
    degrade = TASKS[name].degrade
    inputs, order = degrade(KEYS, IMAGES), jnp.array([4, 1])
    np.testing.assert_array_equal(degrade(KEYS, IMAGES), inputs)
    # A blur is a product of matrices, which may add up to 12 terms below 1 in another order elsewhere in the batch.
    rounding = 12 * np.finfo(np.float32).eps if name == "deblur" else 0
    np.testing.assert_allclose(degrade(KEYS[order], IMAGES[order]), inputs[order], rtol=0, atol=rounding)
    others = degrade(jax.random.split(jax.random.key(3), 6), IMAGES)
    assert bool((others != inputs).any()) == (name in ("denoise", "inpaint block", "inpaint half"))


@pytest.mark.parametrize("name", EXACT)
def test_what_is_completed_has_the_input_that_it_was_made_of(name):
    task = TASKS[name]
    inputs = task.degrade(KEYS, IMAGES)
    completed = task.complete(inputs, MADE)
    np.testing.assert_allclose(task.degrade(KEYS, completed), inputs, atol=1e-6)
    assert jnp.abs(completed - IMAGES).max() > 0.5
    # The truth is one of the images that the input could be of, and stays.
    np.testing.assert_allclose(task.complete(inputs, IMAGES), IMAGES, atol=1e-6)


@pytest.mark.parametrize("name", EXACT)
def test_an_image_that_something_was_done_to_already_is_the_same_input(name):
    inputs = TASKS[name].degrade(KEYS, IMAGES)
    known = inputs[..., 3:] > 0 if "inpaint" in name else jnp.ones((6, 8, 12, 1), bool)
    done = jnp.broadcast_to(inputs[..., :3], IMAGES.shape)
    np.testing.assert_allclose(TASKS[name].observation(done, known), inputs, atol=1e-6)


@pytest.mark.parametrize("mask", [random_block(), random_half()])
def test_inpainting_keeps_known_pixels_to_the_bit(mask):
    task, known = inpaint(mask), mask(KEYS, 8, 12)
    inputs = task.degrade(KEYS, IMAGES)
    np.testing.assert_array_equal(inputs[..., -1:], known)
    for images in (task.complete(inputs, MADE), task.baseline(inputs)):
        np.testing.assert_array_equal(jnp.where(known, images, 0), jnp.where(known, IMAGES, 0))
    np.testing.assert_array_equal(jnp.where(known, 0, inputs[..., :-1]), 0)


def test_the_mean_fill_is_the_mean_of_what_is_known():
    known = np.arange(12) < 5
    task = inpaint(fixed_mask(np.broadcast_to(known, (8, 12))))
    filled = task.baseline(task.degrade(KEYS, IMAGES))
    expected = np.broadcast_to(np.asarray(IMAGES)[:, :, :5].mean((1, 2), keepdims=True), (6, 8, 7, 3))
    np.testing.assert_allclose(filled[:, :, 5:], expected, atol=1e-6)


def test_a_block_is_hidden_of_the_sides_that_are_asked_for():
    keys = jax.random.split(jax.random.key(0), 500)
    hidden = ~np.asarray(jax.jit(random_block(0.25, 0.75), static_argnums=(1, 2))(keys, 8, 12))[..., 0]
    sides = hidden.any(2).sum(1), hidden.any(1).sum(1)
    np.testing.assert_array_equal(hidden.sum((1, 2)), sides[0] * sides[1])  # it is a whole rectangle
    assert [(side.min(), side.max()) for side in sides] == [(2, 6), (3, 9)]
    assert hidden.any(0).all()  # anywhere


def test_each_half_is_hidden_in_a_quarter_of_all_cases():
    keys = jax.random.split(jax.random.key(0), 400)
    hidden = ~np.asarray(jax.jit(random_half(), static_argnums=(1, 2))(keys, 8, 12))[..., 0]
    assert set(hidden.sum((1, 2))) == {48}
    places, often = np.unique(hidden.reshape(400, -1), axis=0, return_counts=True)
    assert len(places) == 4
    assert abs(often - 100).max() < 4 * np.sqrt(400 * 3 / 16)


@pytest.mark.parametrize("factor", [2, 4])
def test_the_input_of_super_resolution_is_the_mean_of_each_block(factor):
    inputs = np.asarray(super_resolve(factor).degrade(KEYS, IMAGES))
    for row in range(0, 8, factor):
        for column in range(0, 12, factor):
            block = np.s_[:, row : row + factor, column : column + factor]
            expected = np.broadcast_to(np.asarray(IMAGES)[block].mean((1, 2), keepdims=True), inputs[block].shape)
            np.testing.assert_allclose(inputs[block], expected, atol=1e-6)


def test_bicubic_interpolation_is_that_of_the_small_image():
    small = IMAGES[:, ::2, ::2]
    task = super_resolve(2)
    large = jnp.repeat(jnp.repeat(small, 2, axis=1), 2, axis=2)
    np.testing.assert_allclose(task.degrade(KEYS, large), large, atol=1e-6)
    np.testing.assert_array_equal(task.baseline(large), jax.image.resize(small, IMAGES.shape, "bicubic"))


def test_noise_has_the_deviation_that_is_asked_for():
    images = jnp.zeros((50, 20, 20, 1))
    noisy = denoise(0.3).degrade(jax.random.split(jax.random.key(0), 50), images)
    assert abs(float(noisy.mean())) < 5 * 0.3 / np.sqrt(noisy.size)
    assert float(noisy.std()) == pytest.approx(0.3, rel=0.02)


def test_grey_stays_grey_where_nothing_is_coloured():
    grey = jnp.broadcast_to(IMAGES[..., :1], IMAGES.shape)
    task = colourise()
    inputs = task.degrade(KEYS, grey)
    np.testing.assert_allclose(inputs, grey[..., :1], atol=1e-6)
    np.testing.assert_allclose(task.complete(inputs, jnp.zeros_like(IMAGES)), task.baseline(inputs), atol=1e-6)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: masked(IMAGES, jnp.ones((6, 8, 12), bool)), r"mask is \[6, 8, 12\]; expected \[6, 8, 12, 1\]"),
        (lambda: inpaint(fixed_mask(np.ones((8, 8)))).degrade(KEYS, IMAGES), "mask is 8x8, the images are 8x12"),
        (lambda: inpaint(lambda *_: jnp.ones((6, 4, 4, 1), bool)).degrade(KEYS, IMAGES), r"mask is \[6, 4, 4, 1\]"),
        (lambda: super_resolve(3).degrade(KEYS, IMAGES), "factor of 3 does not divide images of 8x12"),
        (lambda: colourise().degrade(KEYS, IMAGES[..., :1]), "images of 3 channels can be colourised; these have 1"),
    ],
)
def test_images_that_do_not_fit_a_task_are_refused_in_one_line(ask, message):
    with pytest.raises(InputError, match=message) as error:
        ask()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "make", [lambda: denoise(0), lambda: random_block(0.5, 0.2), lambda: super_resolve(1), lambda: deblur(0)]
)
def test_what_is_no_task_is_refused(make):
    with pytest.raises(ValueError, match="expected"):
        make()


def test_a_blur_is_a_gaussian_that_keeps_a_colour_and_adds_variances():
    image = np.zeros((1, 41, 31, 1), np.float32)
    image[0, 20, 15] = 1
    once, gaussian = np.asarray(blurred(image, 1.5))[0, ..., 0], np.exp(-np.square(np.arange(31) - 15) / 4.5)
    np.testing.assert_allclose(once[20] / once[20].sum(), gaussian / gaussian.sum(), atol=1e-5)
    np.testing.assert_allclose(blurred(np.ones((1, 5, 7, 3), np.float32), 2.0), 1, rtol=1e-5)
    twice = np.asarray(blurred(blurred(image, 1.5), 2.0))
    np.testing.assert_allclose(twice, blurred(image, 2.5), atol=2e-4)
