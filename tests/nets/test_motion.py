"""The motion of known frames: against frames whose displacement is known, and sums over all shifts."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.core.condition import frame_offsets
from jaxgen.core.image import ImageSpec
from jaxgen.models.diffusion import known_frames
from jaxgen.nets import MotionEncoder, WithMotion
from jaxgen.nets.layers.motion import (
    DEVIATION,
    FARTHEST,
    REACH,
    SHARE_SCALE,
    by_frame,
    correlations,
    expected_frame,
    nearest_known,
    shares,
    shrunk,
)

FRAMES, SIDE = 3, 32
AROUND = 4
"""Known frames around an image: two before it, and two after it."""


def encoded(clip, is_known=(True,) * AROUND):
    """Known frames as the network takes them, of those around an image, uint8 [4, H, W, C]."""
    known = clip.astype(np.int16)
    known[~np.asarray(is_known)] = -1
    return known_frames(ImageSpec(*clip.shape[1:]), FRAMES)["known"].encode(jnp.asarray(known)[None])


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
    clip = np.full((AROUND, SIDE, SIDE, 1), 90, np.uint8)
    np.testing.assert_allclose(correlations(by_frame(encoded(clip), FRAMES)), 0, atol=1e-5)


def test_the_shares_of_brightness_are_those_of_rows_and_columns():
    clip = np.zeros((AROUND, SIDE, SIDE, 1), np.uint8)
    clip[0, 5, 7], clip[0, 5, 9], clip[1, 3, 3] = 60, 180, 255
    columns, rows = shares(by_frame(encoded(clip, [True, True, True, False]), FRAMES))
    expected = np.zeros((2, AROUND, SIDE))
    expected[0, 0, [7, 9]], expected[1, 0, 5], expected[:, 1, 3] = [0.25, 0.75], 1, 1
    # Of black and of unknown frames none; the denominator is a little larger than the brightness.
    np.testing.assert_allclose(columns[0, ..., 0].T / SHARE_SCALE, expected[0], rtol=3e-3, atol=1e-6)
    np.testing.assert_allclose(rows[0, ..., 0].T / SHARE_SCALE, expected[1], rtol=3e-3, atol=1e-6)


def test_shrinking_averages_and_keeps_the_proportions():
    image = jax.random.normal(jax.random.key(0), (2, 64, 96, 3))
    assert shrunk(image, 32).shape == (2, 32, 48, 3)
    np.testing.assert_allclose(shrunk(image, 32).mean(), image.mean(), atol=0.02)
    np.testing.assert_array_equal(shrunk(image[:, :16, :16], 32), image[:, :16, :16])


def prior_of(down, right):
    """The logarithms of a prior [1, 2, shifts] that is certain of the shift."""
    weights = np.full((1, 2, 2 * FARTHEST + 1), -1e4, np.float32)
    weights[0, 0, FARTHEST + down] = weights[0, 1, FARTHEST + right] = 0
    return jnp.asarray(weights)


def shifted(frame, down, right):
    """A frame [H, W, C] moved by rows and columns, its edges repeated."""
    rows, columns = (np.clip(np.arange(SIDE) - step, 0, SIDE - 1) for step in (down, right))
    return frame[rows][:, columns]


def test_the_nearest_known_frame_is_the_earlier_one_of_two():
    assert len(frame_offsets(FRAMES)) == AROUND
    clip = moving([(1, -2), (0, 1), (2, 2)])
    for is_known, place, distance in (
        ([True, True, True, True], 1, 1),
        ([True, False, True, True], 2, 1),
        ([True, False, False, True], 0, 2),
        ([False, False, False, True], 3, 2),
    ):
        source, found = nearest_known(encoded(clip, is_known), FRAMES)
        np.testing.assert_allclose(source[0], clip[place] / 127.5 - 1, atol=1e-6)
        np.testing.assert_array_equal(found, [distance])
    _, none = nearest_known(encoded(clip, [False] * AROUND), FRAMES)
    np.testing.assert_array_equal(none, [0])


def test_a_frame_hidden_by_noise_is_the_nearest_known_one_moved():
    clip = moving([(2, 1)]) / 127.5 - 1
    noise, source = jax.random.normal(jax.random.key(0), (1, SIDE, SIDE, 1)), jnp.asarray(clip[:1], jnp.float32)
    found, root = expected_frame(source, noise, prior_of(2, 1), jnp.ones(1), jnp.full(1, 0.1))
    np.testing.assert_allclose(found[0], clip[1], atol=1e-6)
    np.testing.assert_array_equal(root, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_frame_has_its_expectation_given_itself_with_noise(channels):
    """Against the sum over all shifts, one by one, of the means of Gaussian posteriors."""
    level, deviation, rng = 0.9, 0.3, np.random.default_rng(1)
    source = 0.2 * rng.normal(size=(SIDE, SIDE, channels))  # up to the edges, which are repeated
    true = shifted(source, 3, -2) + deviation * rng.normal(size=source.shape)
    y = (1 - level) * true + level * rng.normal(size=true.shape)
    prior = rng.normal(size=(1, 2, 2 * FARTHEST + 1)).astype(np.float32)
    # Of the frame around the moved one, and of y / a around the frame.
    precisions = 1 / deviation**2, ((1 - level) / level) ** 2
    steps, means, logits = range(-FARTHEST, FARTHEST + 1), [], []
    for down in steps:
        for right in steps:
            moved = shifted(source, down, right)
            means.append((precisions[0] * moved + precisions[1] * y / (1 - level)) / sum(precisions))
            fit = np.square(y - (1 - level) * moved).sum() / (2 * level**2 + 2 * (1 - level) ** 2 * deviation**2)
            logits.append(prior[0, 0, down + FARTHEST] + prior[0, 1, right + FARTHEST] - fit)
    weights = np.exp(logits - np.max(logits))
    assert weights.max() < 0.9 * weights.sum()  # several shifts are plausible
    given = (jnp.asarray(frame[None], jnp.float32) for frame in (source, y))
    found, root = expected_frame(*given, jnp.asarray(prior), jnp.full(1, level), jnp.full(1, deviation**2))
    expected = np.tensordot(weights / weights.sum(), means, axes=1)
    # float32 sums of up to 3,072 terms stand in an exponent.
    np.testing.assert_allclose(found[0], expected, atol=1e-3)
    # The variance of a Gaussian's posterior is that of the prior times h.
    np.testing.assert_allclose(deviation**2 * root.ravel() ** 2, 1 / sum(precisions), rtol=1e-5)


class Network(nn.Module):
    """Outputs ones, and keeps what it was given."""

    @nn.compact
    def __call__(self, *inputs, noise_level, train):
        self.sow("given", "inputs", inputs)
        return jnp.ones_like(inputs[0])


def with_stub(known, image, level, vary=lambda params: params, *condition):
    """What a network `WithMotion` gives, and what the network inside is given; `vary` changes the parameters."""
    network = WithMotion(Network(), MotionEncoder(FRAMES, 16))
    options = {"train": True, "noise_level": jnp.full(len(image), level)}
    variables = network.init(jax.random.key(0), image, known, *condition, **options)
    varied = {"params": vary(variables["params"])}
    drawn, kept = network.apply(varied, image, known, *condition, mutable=["given"], **options)
    return np.asarray(drawn), [np.asarray(array) for array in kept["given"]["network"]["inputs"][0]]


def test_a_network_sees_and_corrects_the_expected_frame_if_one_is_known():
    clip, image = np.full((AROUND, SIDE, SIDE, 1), 90, np.uint8), jnp.full((1, SIDE, SIDE, 1), 0.5)
    near, far = [[True, True, False, False], [True, False, False, False]]
    known, value = encoded(clip, near), 90 / 127.5 - 1  # a still clip, whichever the shift
    drawn, _ = with_stub(known, image, 0.0)
    np.testing.assert_allclose(drawn, 0.5, rtol=1e-6)  # without noise it is the image
    drawn, (_, shown, _) = with_stub(known, image, 1.0)
    np.testing.assert_allclose(drawn, value + 1, rtol=1e-5)
    np.testing.assert_array_equal(shown[..., :-1], known)
    np.testing.assert_allclose(shown[..., -1], value, rtol=1e-5)  # the moved one
    for is_known, deviation in ((near, DEVIATION), (far, 2 * DEVIATION)):
        variance = 1 / (deviation**-2 + 1)  # of the posterior, at half noise
        drawn, (_, shown, _) = with_stub(
            encoded(clip, is_known),
            image,
            0.5,
            lambda params: {**params, "log_deviations": params["log_deviations"].at[1].add(np.log(2))},
        )
        mean = variance * (value / deviation**2 + 0.5 * 2**-0.5 / 0.5)
        np.testing.assert_allclose(shown[..., -1], mean, rtol=1e-5)
        np.testing.assert_allclose(drawn, mean + np.sqrt(variance) / deviation, rtol=1e-5)
    drawn, (_, shown, _) = with_stub(encoded(clip, [False] * AROUND), image, 0.5)
    np.testing.assert_array_equal(drawn, 1)
    np.testing.assert_array_equal(shown, 0)


def test_without_noise_gradients_are_finite():
    known, image = encoded(moving([(1, 1)] * 3), [True, True, False, False]), jnp.zeros((1, SIDE, SIDE, 1))
    network = WithMotion(Network(), MotionEncoder(FRAMES, 16))
    params = network.init(jax.random.key(0), image, known, train=True, noise_level=jnp.zeros(1))["params"]

    def total(params, level):
        return network.apply({"params": params}, image, known, train=True, noise_level=level).sum()

    for gradient in jax.tree.leaves(jax.grad(total, (0, 1))(params, jnp.zeros(1))):
        assert jnp.isfinite(gradient).all()


def test_the_encoded_motion_extends_the_vector_and_tokens_pass():
    image, tokens, label = jnp.zeros((1, SIDE, SIDE, 1)), jnp.array([[1, 2]]), jnp.eye(3)[:1]
    vectors = []
    for displacement in ((1, 1), (1, -1)):
        known = encoded(moving([displacement] * 3))
        _, (_, _, passed, vector) = with_stub(known, image, 1.0, lambda params: params, tokens, label)
        np.testing.assert_array_equal(passed, tokens)
        np.testing.assert_array_equal(vector[:, :3], label)
        vectors.append(vector[:, 3:])
    assert vectors[0].shape == (1, 16)
    assert abs(vectors[0] - vectors[1]).max() > 0.01


def test_the_likelihood_of_a_shift_is_that_of_the_sum_over_all_shifts():
    rng = np.random.default_rng(2)
    clip = np.clip(128 + 2 * rng.normal(size=(AROUND, SIDE, SIDE, 1)), 0, 255).astype(np.uint8)
    known, source = encoded(clip, [False, True, False, False]), clip[1] / 127.5 - 1
    for image in (shifted(source, 2, 3), rng.normal(size=source.shape) / 64):
        given = jnp.asarray(image[None], jnp.float32)
        network = WithMotion(Network(), MotionEncoder(FRAMES, 16))
        params = network.init(jax.random.key(0), given, known, train=True, noise_level=jnp.ones(1))["params"]
        logits = jnp.asarray(rng.normal(size=(2, 2 * FARTHEST + 1)), jnp.float32)
        changed = {**params, "shift_logits": {"kernel": jnp.zeros((16, logits.size)), "bias": logits.ravel()}}
        nats, has_source = network.apply({"params": changed}, given, known, train=True, method="shift_nll")
        np.testing.assert_array_equal(has_source, [True])
        prior = np.asarray(jax.nn.log_softmax(logits, axis=-1), np.float64)
        steps = range(-FARTHEST, FARTHEST + 1)
        errors = np.array([[np.square(image - shifted(source, d, e)).sum() for e in steps] for d in steps])
        joint = prior[0][:, None] + prior[1]
        expected = -np.log(np.exp(joint + (errors.min() - errors) / (2 * DEVIATION**2)).sum())
        np.testing.assert_allclose(nats[0], expected, atol=2e-3)  # float32 sums of 1,024 squares, times 50
    nothing = encoded(clip, [False] * AROUND)
    _, nowhere = network.apply({"params": changed}, given, nothing, train=True, method="shift_nll")
    assert not nowhere.any()


def test_known_frames_of_clips_of_another_length_are_refused():
    """Their channels may divide as those of the encoder's do."""
    known = known_frames(ImageSpec(SIDE, SIDE, 1), 4)["known"].encode(jnp.zeros((1, 6, SIDE, SIDE, 1), jnp.int16))
    with pytest.raises(ValueError, match=r"MotionEncoder\(3\) was given known frames of 12 channels; expected 8"):
        with_stub(known, jnp.zeros((1, SIDE, SIDE, 1)), 1.0)
