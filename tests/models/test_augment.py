"""Augmentation of the training images: each transform against NumPy, and what it leaves as it was."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import Context, ImageSpec, Update, init_state, make_step, minimize
from jaxgen.losses import absolute_error
from jaxgen.models import (
    ImageToImage,
    augment,
    crop,
    inpaint,
    jitter_colour,
    mirror,
    random_block,
    restoration_loss,
    shift,
    turn,
)
from jaxgen.nets import ClassicCNN

SIDE, KEYS = 32, jax.random.split(jax.random.key(1), 200)
PIXELS = np.arange(SIDE)
IMAGE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
BATCH = {"image": np.stack([IMAGE, IMAGE, IMAGE[::-1]]), "label": np.arange(3, dtype=np.int32)}
ALL = (mirror, crop, shift, turn, jitter_colour)

keeping = Update(lambda networks: (networks, ()), lambda networks, _, context: (networks, context, {}), ("a",), ("b",))


def many(transform, image=IMAGE):
    made = jax.jit(jax.vmap(transform, (0, None)))(KEYS, image)
    assert made.dtype == jnp.uint8
    return np.asarray(made)


def seen(*transforms, step=0, seed=2):
    """The context that an augmented update works in."""
    context = Context(BATCH, jax.random.fold_in(jax.random.key(seed), step), jnp.int32(step))
    return jax.jit(augment(keeping, *transforms).update)({}, (), context)[1]


def numbers_of(made, expected):
    """For each image the number of the one that it equals."""
    equal = [[np.array_equal(one, other) for other in expected] for one in made]
    assert all(sum(row) == 1 for row in equal)
    return [row.index(True) for row in equal]


def test_a_mirror_image_is_drawn_in_half_of_all_cases():
    assert 70 < sum(numbers_of(many(mirror), [IMAGE, IMAGE[:, ::-1]])) < 130  # four standard deviations


def test_a_turned_image_is_as_often_in_each_of_four_positions():
    numbers = numbers_of(many(turn), [np.rot90(IMAGE, k) for k in range(4)])
    assert all(25 < numbers.count(k) < 75 for k in range(4))


@pytest.mark.parametrize(("shape", "most"), [((SIDE, SIDE, 3), (2, 2)), ((8, 48, 1), (1, 3))])
def test_a_shifted_image_repeats_its_edge(shape, most):
    (up, left), image = most, np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    padded = np.pad(image, ((up, up), (left, left), (0, 0)), "edge")
    windows = [padded[y : y + shape[0], x : x + shape[1]] for y in range(2 * up + 1) for x in range(2 * left + 1)]
    assert set(numbers_of(many(shift, image), windows)) == set(range(len(windows)))


def test_a_crop_is_a_window_between_whose_pixels_is_interpolated():
    for key, made in zip(KEYS[:20], many(crop), strict=False):
        side, place = jax.random.split(key)
        share = float(jax.random.uniform(side, minval=7 / 8, maxval=1.0))
        start = np.asarray(jax.random.uniform(place, (2,))) * (1 - share) * SIDE
        rows, columns = ((PIXELS + 0.5) * share - 0.5 + first for first in start)
        along = np.apply_along_axis(lambda line, at=rows: np.interp(at, PIXELS, line), 0, IMAGE)
        expected = np.apply_along_axis(lambda line, at=columns: np.interp(at, PIXELS, line), 1, along)
        # Half a level of rounding; weights in float32 times 255 levels are off by less than a thousandth.
        np.testing.assert_allclose(made, expected, atol=0.501)


def test_a_cropped_ramp_is_a_flatter_ramp_within_the_image():
    ramp = np.broadcast_to((8 * np.arange(SIDE, dtype=np.uint8))[:, None, None], (SIDE, SIDE, 3))
    slopes = []
    for made in many(crop, ramp):
        assert (made == made[:, :1, :1]).all()
        inner = made[1:-1, 0, 0].astype(float)  # the outermost rows may be half a pixel beyond the last centre
        slope, offset = np.polyfit(np.arange(1, SIDE - 1), inner, 1)
        np.testing.assert_allclose(inner, slope * np.arange(1, SIDE - 1) + offset, atol=1.0)
        slopes.append(slope)
    assert 6.98 <= min(slopes) < 7.1
    assert 7.9 < max(slopes) <= 8.02


def test_colours_of_a_grey_image_change_along_one_line():
    grey = np.broadcast_to(IMAGE[..., :1] // 2 + 64, IMAGE.shape)
    brightness = []
    for made in many(jitter_colour, grey):
        assert (made == made[..., :1]).all()
        slope, offset = np.polyfit(grey.ravel(), made.ravel(), 1)
        np.testing.assert_allclose(made, slope * grey + offset, atol=1.0)  # half a level, and another of the fit
        assert 0.87 <= slope <= 1.13
        brightness.append(made.mean() - grey.mean())
    assert 12 < max(brightness) < 16.1
    assert -16.1 < min(brightness) < -12


def test_without_transforms_the_update_is_itself():
    assert augment(keeping) is keeping


def test_only_the_images_change():
    augmented, plain = augment(keeping, *ALL), seen()
    context = seen(*ALL)
    assert (augmented.owns, augmented.losses, augmented.init) == (keeping.owns, keeping.losses, keeping.init)
    np.testing.assert_array_equal(context.batch["label"], BATCH["label"])
    np.testing.assert_array_equal(jax.random.key_data(context.key), jax.random.key_data(plain.key))


def test_the_images_depend_on_the_seed_and_the_step_and_differ_within_a_batch():
    images = seen(crop).batch["image"]
    np.testing.assert_array_equal(seen(crop).batch["image"], images)
    assert not np.array_equal(images[0], images[1])
    for other in (seen(crop, step=1), seen(crop, seed=3)):
        assert not np.array_equal(other.batch["image"], images)


def test_images_are_degraded_after_they_were_augmented():
    spec = ImageSpec(8, 8, 1)
    model = ImageToImage(ClassicCNN(1), inpaint(random_block()))
    update = minimize(restoration_loss(model, absolute_error), optax.sgd(0.1), wrt="generator")
    state = init_state(update, model.init(jax.random.key(0), spec), jax.random.key(1))
    image = np.random.default_rng(2).integers(0, 256, (4, *spec), dtype=np.uint8)
    negative = augment(update, lambda _, image: 255 - image)
    after, metrics = jax.jit(make_step(negative))(state, {"image": image})
    expected, measured = jax.jit(make_step(update))(state, {"image": 255 - image})
    assert jax.tree.all(jax.tree.map(np.array_equal, after.networks, expected.networks))
    assert metrics == measured


def test_only_squares_are_turned():
    with pytest.raises(ValueError, match="turn was given an image of 8x6; expected a square"):
        turn(KEYS[0], np.zeros((8, 6, 1), np.uint8))
