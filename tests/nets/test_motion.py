"""The motion of known frames: correlations of frames whose displacement is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.core.image import ImageSpec
from jaxgen.models.diffusion import known_frames
from jaxgen.nets import DiffusionUNet, MotionEncoder, TextEncoder, WithMaps, WithMotion, WithText
from jaxgen.nets.layers.motion import (
    FARTHEST,
    NEAR,
    REACH,
    by_frame,
    correlations,
    expected_frames,
    nearest_known,
    shrunk,
)

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


def prior_of(*shifts):
    """The logarithms of a prior [1, T, 2, shifts] that is certain of the shift of each frame."""
    weights = np.full((1, len(shifts), 2, 2 * FARTHEST + 1), -1e4, np.float32)
    for frame, (down, right) in enumerate(shifts):
        weights[0, frame, 0, FARTHEST + down] = weights[0, frame, 1, FARTHEST + right] = 0
    return jnp.asarray(weights)


def test_a_frame_hidden_by_noise_is_the_nearest_known_one_moved():
    clip = moving([(1, -2), (0, 1), (2, 2)])
    source, distance = nearest_known(by_frame(encoded(clip, [False, True, False, True]), FRAMES))
    np.testing.assert_array_equal(distance, [[1, 0, 1, 0]])
    noise = jax.random.normal(jax.random.key(0), (1, SIDE, SIDE, FRAMES, 1))
    prior = prior_of((-1, 2), (0, 0), (0, 1), (0, 0))  # as the clip moves
    found, hidden = expected_frames(source, noise, prior, jnp.ones(1), jnp.full((1, FRAMES), 0.1))
    np.testing.assert_allclose(found[0], np.moveaxis(clip / 127.5 - 1, 0, 2), atol=1e-6)
    np.testing.assert_array_equal(hidden, 1)
    _, none = nearest_known(by_frame(encoded(clip, [False] * FRAMES), FRAMES))
    np.testing.assert_array_equal(none, FRAMES)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_frame_has_its_expectation_given_itself_with_noise(channels):
    """Against the sum over all shifts, one by one, of the means of Gaussian posteriors."""
    level, deviation, rng = 0.8, 0.3, np.random.default_rng(1)
    clip = moving([(3, -2)], channels)
    true = clip / 127.5 - 1
    y = (1 - level) * true[1] + level * rng.normal(size=true[1].shape)
    prior = rng.normal(size=(1, 1, 2, 2 * FARTHEST + 1)).astype(np.float32)
    precisions = (
        1 / deviation**2,
        ((1 - level) / level) ** 2,
    )  # of the frame around the moved one, and of y / a around it
    steps, means, logits = range(-FARTHEST, FARTHEST + 1), [], []
    for down in steps:
        for right in steps:
            rows, columns = (np.clip(np.arange(SIDE) - step, 0, SIDE - 1) for step in (down, right))
            moved = true[0][rows][:, columns]
            means.append((precisions[0] * moved + precisions[1] * y / (1 - level)) / sum(precisions))
            fit = np.square(y - (1 - level) * moved).sum() / (2 * level**2 + 2 * (1 - level) ** 2 * deviation**2)
            logits.append(prior[0, 0, 0, down + FARTHEST] + prior[0, 0, 1, right + FARTHEST] - fit)
    weights = np.exp(logits - np.max(logits))
    assert weights.max() < 0.9 * weights.sum()  # several shifts are plausible
    source, noised = (jnp.asarray(frame[None, :, :, None], jnp.float32) for frame in (true[0], y))
    variance = jnp.full((1, 1), deviation**2)
    found, _ = expected_frames(source, noised, jnp.asarray(prior), jnp.full(1, level), variance)
    expected = np.tensordot(weights / weights.sum(), means, axes=1)
    # float32 sums of up to 3,072 terms stand in an exponent.
    np.testing.assert_allclose(found[0, :, :, 0], expected, atol=1e-3)


def test_a_network_begins_with_expected_frames_where_one_is_known_and_with_zeros_elsewhere():
    """The last layer of a U-Net is zero at first."""
    clip, image = np.full((FRAMES, SIDE, SIDE, 1), 90, np.uint8), jnp.full((1, SIDE, SIDE, FRAMES), 0.5)
    known = encoded(clip, [True, True, False, False])
    network = WithMotion(WithMaps(DiffusionUNet(8, (1,), folded=True)), MotionEncoder(FRAMES, 16))
    variables = network.init(jax.random.key(0), image, known, train=True, noise_level=jnp.ones(1))

    def drawn(known, level):
        return np.asarray(network.apply(variables, image, known, train=True, noise_level=jnp.full(1, level)))

    np.testing.assert_array_equal(drawn(encoded(clip, [False] * FRAMES), 0.0), 0)
    np.testing.assert_array_equal(drawn(known, 0.0)[..., :2], 0)
    np.testing.assert_allclose(drawn(known, 0.0)[..., 2:], 0.5, rtol=1e-6)  # without noise it is the image
    moved, noised = 90 / 127.5 - 1, 0.5 * 2**-0.5  # a still clip is the same, whichever the shift
    np.testing.assert_allclose(drawn(known, 1.0)[..., 2:], moved, rtol=1e-5)
    expected = (moved / NEAR**2 + noised / 0.5) / (NEAR**-2 + 1)
    np.testing.assert_allclose(drawn(known, 0.5)[..., 2:], expected, rtol=1e-5)


def test_a_prior_is_surprised_by_what_it_finds_unlikely():
    clip, known = moving([(1, -2), (0, 1), (2, 2)]), [False, True, False, False]
    network = WithMotion(WithMaps(DiffusionUNet(8, (1,), folded=True)), MotionEncoder(FRAMES, 16))
    image = jnp.moveaxis(jnp.asarray(clip / 127.5 - 1, jnp.float32), 0, 2).reshape(1, SIDE, SIDE, FRAMES)
    variables = network.init(jax.random.key(0), image, encoded(clip, known), train=True, noise_level=jnp.ones(1))

    def surprise(bias, known=known):
        shifts = {"kernel": jnp.zeros((16, bias.size)), "bias": bias.ravel()}
        changed = {"params": {**variables["params"], "shifts": shifts}}
        return network.apply(changed, image, encoded(clip, known), train=True, method="surprise")

    shifts = (-1, 2), (0, 0), (0, 1), (2, 3)  # from the second frame
    nats, is_moved = surprise(prior_of(*shifts))
    np.testing.assert_array_equal(is_moved, [[True, False, True, True]])
    rounding = SIDE**2 * np.finfo(np.float32).eps / NEAR**2  # of sums of SIDE^2 values in an exponent
    np.testing.assert_allclose(nats, 0, atol=rounding)  # it is certain of what is so
    nats, _ = surprise(jnp.zeros((1, FRAMES, 2, 2 * FARTHEST + 1)))
    np.testing.assert_allclose(nats[is_moved], 2 * np.log(2 * FARTHEST + 1), atol=rounding)  # every shift is as likely
    _, nowhere = surprise(prior_of(*shifts), [False] * FRAMES)
    assert not nowhere.any()


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
