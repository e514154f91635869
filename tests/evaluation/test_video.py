"""Measures of predicted frames, and predictions whose errors are known."""

import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.data import draw_clips
from jaxgen.data.digits import read_digits
from jaxgen.evaluation import compare_clips, compare_motion, compare_pairs, extrapolate, repeat_last
from jaxgen.evaluation.moving_digits import after_turns, bounces, centres, recognised

RNG = np.random.default_rng(0)


def clips_of(*positions, side=24, background=0, channels=1):
    """A clip [1, T, side, side, C] of one random object of 6x5 pixels at each row and column."""
    clip = np.full((1, len(positions), side, side, channels), background, np.uint8)
    thing = RNG.integers(1, 255, (6, 5, channels), np.uint8)
    for frame, (row, column) in zip(clip[0], positions, strict=True):
        frame[row : row + 6, column : column + 5] = thing
    return clip


def test_errors_of_frames_follow_their_definitions_with_standard_errors_over_clips():
    predicted, truth = RNG.integers(0, 256, (2, 5, 3, 12, 14, 1), np.uint8)
    overall, frames = compare_clips(predicted, truth)
    squared = ((predicted / 255 - truth / 255) ** 2).sum((2, 3, 4))
    for at, frame in enumerate(frames):
        assert frame.squared_error.value == pytest.approx(squared[:, at].mean())
        pairs = compare_pairs(predicted[:, at], truth[:, at])
        for measure, expected in ((frame.mse, pairs.mse), (frame.ssim, pairs.ssim)):
            assert measure == pytest.approx(expected)
    assert overall.squared_error.value == pytest.approx(squared.mean())
    assert overall.squared_error.standard_error == pytest.approx(squared.mean(1).std(ddof=1) / 5**0.5)


def test_the_last_frame_repeated_is_exact_for_a_still_clip():
    still = RNG.integers(0, 256, (2, 1, 12, 12, 3), np.uint8).repeat(5, axis=1)
    overall, _ = compare_clips(repeat_last(still[:, :2], 3), still[:, 2:])
    assert (overall.mse.value, overall.ssim.value) == (0, pytest.approx(1, abs=1e-6))


@pytest.mark.parametrize("velocity", [(2, -1), (-1, 3), (0, 0)])
@pytest.mark.parametrize(("background", "channels"), [(0, 1), (255, 3), (90, 3)])
def test_an_object_at_constant_velocity_is_extrapolated_exactly(velocity, background, channels):
    path = np.array([9, 9]) + np.arange(-2, 4)[:, None] * velocity
    clip = clips_of(*path, background=background, channels=channels)
    np.testing.assert_array_equal(extrapolate(clip[:, :3], 3), clip[:, 3:])


def test_an_extrapolated_object_stops_at_the_border_and_moves_on_along_it():
    clip = clips_of((4, 8), (4, 12), (4, 16), (4, 19), (4, 19))  # 5 columns of 24
    np.testing.assert_array_equal(extrapolate(clip[:, :3], 2), clip[:, 3:])
    clip = clips_of((4, 13), (6, 16), (8, 19), (10, 19), (12, 19))
    np.testing.assert_array_equal(extrapolate(clip[:, :3], 2), clip[:, 3:])


def test_where_the_picture_reaches_all_borders_the_last_frame_is_repeated():
    clip = RNG.integers(0, 256, (1, 3, 12, 12, 3), np.uint8)
    np.testing.assert_array_equal(extrapolate(clip, 2), repeat_last(clip, 2))
    empty = np.zeros((1, 2, 12, 12, 1), np.uint8)
    np.testing.assert_array_equal(extrapolate(empty, 2), empty)


@pytest.fixture(scope="module")
def moving():
    """24 clips of one digit each, which the classifier recognises: known frames, true frames and labels."""
    digits = {name: array[::25] for name, array in read_digits().arrays.items()}
    clear = recognised(digits["image"][:, np.newaxis], digits["label"], 28)[:, 0]
    drawn = draw_clips(digits["image"][clear], digits["label"][clear], 0, range(24), num_digits=1)
    return drawn.clips[:, :10], drawn.clips[:, 10:], drawn.labels[:, 0]


def test_true_clips_keep_identity_speed_and_bounces_and_still_ones_no_motion(moving):
    known, truth, labels = moving
    identity, speed, bounced, error = compare_motion(known, truth, truth, labels)
    assert identity.value == 1
    assert speed.value == 0
    assert bounced is not None
    assert bounced.value == 1
    assert error is not None
    assert error.value == 0
    still = compare_motion(known, repeat_last(known, 10), truth, labels)
    assert still.identity.value == 1
    assert still.bounces is not None
    assert still.bounces.value == 0
    assert 3 < still.speed_error.value < 3.7  # the protocol's 0.1 of 64 - 28 pixels, less at the walls
    wrong = compare_motion(known, truth, truth, (labels + 1) % 10)
    assert wrong.identity.value == 0


def test_the_centre_of_mass_moves_with_the_digit_and_stays_in_an_empty_frame():
    path = [(3, 4), (5, 3), (5, 9), (11, 18)]
    clip = clips_of(*path)
    moved = np.diff(centres(clip)[0], axis=0)
    np.testing.assert_allclose(moved, np.diff(path, axis=0), rtol=1e-12, atol=1e-12)
    clip[0, 2] = 63  # fainter than a quarter of white
    np.testing.assert_array_equal(centres(clip)[0, 2], centres(clip)[0, 1])


def test_a_turn_is_followed_from_half_the_way_back():
    true = np.zeros((3, 8, 2))
    true[0, :, 0] = true[1, :, 1] = [0, 2, 4, 6, 8, 6, 4, 2]  # turns at frame 4; the third does not move
    ours = true.copy()
    ours[0, 4:, 0] = [8, 7, 6, 5]
    ours[1, 4:, 1] = [8, 8, 7, 6]
    assert bounces(ours, true, known=5).tolist() == [1, 0]
    assert bounces(ours, true, known=6).tolist() == []  # it was known already
    turns = [[False, False, True, True, True], [False, False, True, True, True], [False] * 5]
    assert after_turns(true, known=3).tolist() == turns  # frame 5 is the first on the way back
    assert not after_turns(true, known=6).any()


def test_the_error_after_turns_is_that_of_the_frames_after_the_turn():
    rows = [6, 8, 10, 12, 14, 16, 18, 16, 14]  # turns at the last but two
    clip = clips_of(*[(row, 9) for row in rows])
    known, truth, guess = clip[:, :4], clip[:, 4:], clip[:, 4:].copy()
    guess[:, :3] = 0  # before it
    label = np.zeros(1, np.int32)
    assert compare_motion(known, guess, truth, label).error_after_turns.value == 0
    guess[:, 4] = 0
    expected = np.square(truth[0, 4] / 255).sum() / 2  # the mean of two frames
    assert abs(compare_motion(known, guess, truth, label).error_after_turns.value - expected) < 1e-3 * expected


def test_a_small_digit_is_recognised_after_resizing():
    digits = read_digits().arrays
    drawn = draw_clips(
        *(digits["image"], digits["label"], 0, range(24)), size=(32, 32), num_digits=1, digit_size=16, frames=2
    )
    assert recognised(drawn.clips, drawn.labels[:, 0], 16).mean() > 0.9


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(2, 1, 32, 32, 1), (2, 3, 32, 32, 1)], "K from 2 on"),
        ([(2, 2, 32, 32, 3), (2, 3, 32, 32, 3)], r"\[N, K, H, W, 1\]"),
        ([(2, 2, 32, 32, 1), (3, 3, 32, 32, 1)], "expected"),
        ([(2, 32, 32, 1), (2, 3, 32, 32, 1)], r"expected uint8\[N, T, H, W, C\]"),
    ],
)
def test_what_cannot_be_measured_is_one_line(shapes, message):
    known, clips = (np.zeros(shape, np.uint8) for shape in shapes)
    with pytest.raises(InputError, match=message):
        compare_motion(known, clips, clips, np.zeros(len(clips), np.int32))
