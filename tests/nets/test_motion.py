"""The motion of known frames: correlations of frames whose displacement is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.core.image import ImageSpec
from jaxgen.models.diffusion import known_frames
from jaxgen.nets import DiffusionUNet, MotionEncoder, TextEncoder, WithMaps, WithMotion, WithText
from jaxgen.nets.layers.motion import FARTHEST, NEAR, REACH, by_frame, correlations, moved_frames, shrunk

FRAMES, SIDE = 4, 32


def encoded(clip, is_known=None):
    """Known frames as the network takes them, of a clip uint8 [T, H, W, C]."""
    known = clip.astype(np.int16)
    if is_known is not None:
        known[~np.asarray(is_known)] = -1
    return known_frames(ImageSpec(*clip.shape[1:]), len(clip))["known"].encode(jnp.asarray(known)[None])


def moving(displacements, channels=1):
    """A clip of a square of noise on grey, which moves by rows and columns a frame: uint8 [T, 32, 32, C]."""
    clip = np.full((len(displacements) + 1, SIDE, SIDE, channels), 90, np.uint8)
    square = np.random.default_rng(0).integers(0, 256, (10, 10, channels), np.uint8)
    row, column = 11, 11
    for frame, (down, right) in zip(clip, [(0, 0), *displacements], strict=True):
        row, column = row + down, column + right
        frame[row : row + 10, column : column + 10] = square
    return clip


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_correlate_by_1_at_their_displacement(channels):
    moves = [(1, -2), (0, 0), (-2, 2)]
    values = np.asarray(correlations(by_frame(encoded(moving(moves, channels)), FRAMES)))[0]
    assert values.shape == (3, (2 * REACH + 1) ** 2)
    for value, (down, right) in zip(values, moves, strict=True):
        at = (down + REACH) * (2 * REACH + 1) + right + REACH
        assert value.argmax() == at
        # The windows lose some of the ground's share of the norm at the edge, and nothing of the square.
        assert 0.98 < value[at] <= 1 + 1e-4


def test_what_is_next_to_an_unknown_frame_has_no_motion():
    values = np.asarray(correlations(by_frame(encoded(moving([(1, 1)] * 3), [True, True, False, True]), FRAMES)))[0]
    assert values[0].max() > 0.98
    np.testing.assert_array_equal(values[1:], 0)
    np.testing.assert_array_equal(correlations(by_frame(encoded(moving([(1, 1)] * 3), [False] * 4), FRAMES)), 0)


def test_frames_of_one_grey_have_no_motion_and_no_nan():
    clip = np.full((FRAMES, SIDE, SIDE, 1), 90, np.uint8)
    np.testing.assert_allclose(correlations(by_frame(encoded(clip), FRAMES)), 0, atol=1e-5)


def test_shrinking_averages_and_keeps_the_proportions():
    image = jax.random.normal(jax.random.key(0), (2, 64, 96, 3))
    assert shrunk(image, 32).shape == (2, 32, 48, 3)
    np.testing.assert_allclose(shrunk(image, 32).mean(), image.mean(), atol=0.02)
    np.testing.assert_array_equal(shrunk(image[:, :16, :16], 32), image[:, :16, :16])


def test_an_unknown_frame_is_the_nearest_known_one_moved():
    clip = moving([(1, -2), (0, 1), (2, 2)])
    known = encoded(clip, [False, True, False, True])
    weights = np.zeros((1, FRAMES, 2, 2 * FARTHEST + 1), np.float32)
    for frame, (down, right) in enumerate([(-1, 2), (5, 5), (0, 1), (5, 5)]):  # as the clip moves
        weights[0, frame, 0, FARTHEST + down] = weights[0, frame, 1, FARTHEST + right] = 1
    moved = np.asarray(moved_frames(by_frame(known, FRAMES), jnp.asarray(weights)))[0]
    true = np.moveaxis(clip / 127.5 - 1, 0, 2)
    np.testing.assert_allclose(moved[:, :, [0, 2]], true[:, :, [0, 2]], atol=1e-6)
    np.testing.assert_array_equal(moved[:, :, [1, 3]], 0)
    nothing = by_frame(encoded(clip, [False] * FRAMES), FRAMES)
    np.testing.assert_array_equal(moved_frames(nothing, jnp.asarray(weights)), 0)


def test_moved_frames_count_as_much_as_noise_hides():
    """The last layer of a U-Net is zero at first: what is left are moved frames."""
    known, image = encoded(moving([(1, 1)] * 3), [True, True, False, False]), jnp.ones((1, SIDE, SIDE, FRAMES))
    network = WithMotion(WithMaps(DiffusionUNet(8, (1,), folded=True)), MotionEncoder(FRAMES, 16))
    variables = network.init(jax.random.key(0), image, known, train=True, noise_level=jnp.ones(1))
    none, half, all_ = (
        np.asarray(network.apply(variables, image, known, train=True, noise_level=jnp.full(1, level)))
        for level in (0.0, 0.5, 1.0)
    )
    np.testing.assert_array_equal(none, 0)
    np.testing.assert_allclose(half, all_ / (1 + NEAR**2), rtol=1e-5)
    assert abs(all_[..., 2:]).min() > 0.1  # grey, and noise around it
    np.testing.assert_array_equal(all_[..., :2], 0)


def test_a_network_is_told_the_motion_beside_its_other_conditions():
    known, image = encoded(moving([(1, 1)] * 3)), jnp.zeros((1, SIDE, SIDE, FRAMES))
    tokens, label = jnp.array([[1, 2]]), jnp.eye(3)[:1]
    network = WithMotion(
        WithMaps(WithText(DiffusionUNet(8, (1,), folded=True), TextEncoder(5, 8))), MotionEncoder(FRAMES, 16)
    )
    options = {"train": True, "noise_level": jnp.ones(1)}
    variables = network.init(jax.random.key(0), image, known, tokens, label, **options)
    condition = variables["params"]["network"]["network"]["network"]["condition"]["kernel"]
    assert len(condition) == 8 + 3 + 16  # words, label and motion
    assert network.apply(variables, image, known, tokens, label, **options).shape == image.shape
