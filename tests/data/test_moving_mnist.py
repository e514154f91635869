"""Clips of moving digits, by the rules of the published generator."""

import numpy as np
import pytest
from PIL import Image

from jaxgen import InputError
from jaxgen.data import as_dataset, draw_clips, load, moving_mnist
from jaxgen.data.image_options import ImageOptions
from jaxgen.data.moving_mnist import STEP, TEST_SEED, TRAIN_SEED, trajectories
from tests.prepared import write_mnist

DIGITS = np.random.default_rng(0).integers(0, 256, (10, 28, 28, 1), np.uint8)
LABELS = np.arange(10)


def test_a_digit_is_set_to_the_wall_and_turns():
    start, velocity = np.array([[[0.25, 0.75]]]), np.array([[[-0.1, 0.1]]])
    by_hand = [(0.15, 0.85), (0.05, 0.95), (0, 1), (0.1, 0.9), (0.2, 0.8)]  # -0.05 and 1.05 are outside
    np.testing.assert_allclose(trajectories(start, velocity, 5)[0, :, 0], by_hand, atol=1e-15)


@pytest.mark.parametrize("digits", [1, 3])
def test_frames_show_the_digits_of_the_labels_at_the_truncated_positions(digits):
    drawn = draw_clips(DIGITS, LABELS, 7, range(20), num_digits=digits, frames=12, size=(64, 50))
    expected = np.zeros_like(drawn.clips)
    for clip, frame, digit in np.ndindex(*drawn.positions.shape[:3]):
        top, left = np.floor(drawn.positions[clip, frame, digit]).astype(int)
        whole = np.zeros((64, 50, 1), np.uint8)
        whole[top : top + 28, left : left + 28] = DIGITS[drawn.labels[clip, digit]]
        expected[clip, frame] = np.maximum(expected[clip, frame], whole)
    np.testing.assert_array_equal(drawn.clips, expected)


def test_digits_move_a_tenth_of_their_room_a_frame_and_reach_every_wall():
    drawn = draw_clips(DIGITS, LABELS, 7, range(50))
    room, inside = 64 - 28, drawn.positions.transpose(0, 2, 1, 3).reshape(-1, 20, 2) / (64 - 28)
    assert (inside.min(axis=(0, 1)) == 0).all()
    assert (inside.max(axis=(0, 1)) == 1).all()
    free = ((inside > 0) & (inside < 1)).all(axis=2)
    steps = np.linalg.norm(np.diff(inside, axis=1), axis=2)[free[:, 1:]]  # to where no wall was touched
    np.testing.assert_allclose(steps, STEP, rtol=1e-9)
    angles = np.arctan2(*(np.diff(inside, axis=1)[:, 0]).T)
    assert np.histogram(angles, bins=4, range=(-np.pi, np.pi))[0].min() > 10  # of 100
    assert np.histogram(drawn.labels, bins=10, range=(0, 10))[0].min() > 0
    assert drawn.positions.max() <= room


def test_a_clip_does_not_depend_on_how_many_are_drawn():
    many, one = draw_clips(DIGITS, LABELS, 7, range(6)), draw_clips(DIGITS, LABELS, 7, [4])
    for all_of_them, alone in zip(many, one, strict=True):
        np.testing.assert_array_equal(all_of_them[4], alone[0])
    assert (draw_clips(DIGITS, LABELS, 8, [4]).positions != one.positions).all()


def test_a_smaller_digit_has_the_means_of_areas():
    drawn = draw_clips(DIGITS, LABELS, 7, [0], size=(32, 32), num_digits=1, digit_size=14)
    blocks = DIGITS[drawn.labels[0, 0]].reshape(14, 2, 14, 2).mean((1, 3))
    top, left = drawn.positions[0, 0, 0].astype(int)
    # Rounded to whole values twice: along rows, then along columns.
    np.testing.assert_allclose(drawn.clips[0, 0, top : top + 14, left : left + 14, 0], blocks, atol=1)


def test_a_split_has_its_digits_and_its_seed(tmp_path):
    write_mnist(tmp_path, train=DIGITS[:5, ..., 0], test=DIGITS[5:, ..., 0])
    for split, seed, digits in (("train", TRAIN_SEED, DIGITS[:5]), ("test", TEST_SEED, DIGITS[5:])):
        sizes = ImageOptions(size=(32, 32))
        data = load("moving_mnist", split=split, data_dir=tmp_path, frames=4, images=sizes, most_bytes=0)
        expected = draw_clips(digits, LABELS, seed, [3], frames=4, size=(32, 32), digit_size=16).clips[0]
        np.testing.assert_array_equal(data.read(3)["clip"], expected)
        assert (data.spec, data.num_bytes) == ((32, 32, 1), data.size * 4 * 32 * 32)


def test_clips_of_single_digits_have_labels_and_classes(tmp_path):
    write_mnist(tmp_path, train=DIGITS[..., 0])
    data = moving_mnist(load("mnist", data_dir=tmp_path), num=3, num_digits=1, frames=2)
    assert data.size == 3
    assert data.arrays["label"][1] == draw_clips(DIGITS, LABELS, TRAIN_SEED, [1]).labels[0, 0]
    assert data.classes == 10
    smaller = as_dataset(data, images=ImageOptions(size=(32, 32))).arrays["clip"]
    frame = Image.fromarray(data.arrays["clip"][1, 0, ..., 0]).resize((32, 32), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(smaller[1, 0, ..., 0], np.asarray(frame))


@pytest.mark.parametrize(
    ("digits", "options", "message"),
    [
        (DIGITS[:, :27], {}, r"uint8\[10, 27, 28, 1\]"),
        (DIGITS, {"digit_size": 65}, "65 pixels do not fit into frames of 64x64"),
    ],
)
def test_digits_that_cannot_be_drawn_are_one_line(digits, options, message):
    with pytest.raises(InputError, match=message):
        draw_clips(digits, LABELS, 0, [0], **options)


@pytest.mark.parametrize(
    ("name", "frames", "message"),
    [
        ("moving_mnist", None, "--data moving_mnist holds clips, not images: expected mnist"),
        ("moving_mnist", 1, "--frames 1: a clip has at least 2"),
        ("mnist", 4, "--data mnist holds no clips: expected moving_mnist, or a folder"),
        ("clips", 4, "--data-dir .* goes with mnist, .*, moving_mnist; --data clips is a path of its own"),
    ],
)
def test_clips_are_not_taken_for_images_nor_images_for_clips(tmp_path, name, frames, message):
    write_mnist(tmp_path, train=DIGITS[..., 0])
    with pytest.raises(InputError, match=message):
        load(name, data_dir=tmp_path, frames=frames)
