"""The classifier of moving digits, and the Fréchet distance of clips in its features."""

import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.data import draw_clips
from jaxgen.data.digits import read_digits
from jaxgen.data.moving_mnist import TEST_SEED
from jaxgen.evaluation import frechet_distance
from jaxgen.evaluation.clip_features import QUADRANTS, clip_features, frechet_of_clips, motion_class

NUM = 200


@pytest.fixture(scope="module")
def moving():
    """Clips of digits, which are among those that the classifier was trained on, in motion of other seeds."""
    digits = read_digits()
    images, labels = digits.arrays["image"], digits.arrays["label"]
    return draw_clips(images, labels, TEST_SEED, range(2 * NUM), frames=10, size=(32, 32), num_digits=1, digit_size=16)


def test_the_class_is_the_digit_and_the_quadrant_into_which_it_moves():
    moves = np.array([[[5, 5], [4, 4]], [[5, 5], [4, 6]], [[5, 5], [6, 4]], [[5, 5], [6, 6]]])
    assert motion_class(np.array([0, 1, 2, 9]), moves).tolist() == [0, 5, 10, 39]


def test_the_classifier_knows_digits_and_where_they_move(moving):
    logits = clip_features(moving.clips[:NUM])[1]
    guess, truth = logits.argmax(1), motion_class(moving.labels[:NUM, 0], moving.positions[:NUM, :, 0])
    assert np.mean(guess // QUADRANTS == truth // QUADRANTS) > 0.9
    assert np.mean(guess % QUADRANTS == truth % QUADRANTS) > 0.9


def test_the_distance_grows_with_what_is_wrong_with_clips(moving):
    one, other = moving.clips[:NUM], moving.clips[NUM:]
    floor = frechet_of_clips(one, other)
    becoming = other.copy()
    becoming[:, 5:] = np.roll(other, 1, axis=0)[:, 5:]  # a digit that becomes another one
    worse = other[:, :1].repeat(10, axis=1), other[:, np.random.default_rng(0).permutation(10)], becoming
    features, *others = (clip_features(clips)[0] for clips in (one, *worse))
    assert frechet_distance(features, features) == 0
    assert frechet_of_clips(one[::-1], other) == pytest.approx(floor, rel=1e-4)  # the order of clips changes nothing
    for others_features in others:
        assert frechet_distance(features, others_features) > 2 * floor.value


def test_clips_of_another_size_are_resized(moving):
    large = moving.clips[:20].repeat(2, axis=2).repeat(2, axis=3)
    found, expected = (clip_features(clips)[1].argmax(1) for clips in (large, moving.clips[:20]))
    assert np.mean(found == expected) > 0.8  # they are a little blurred


@pytest.mark.parametrize("shape", [(2, 9, 32, 32, 1), (2, 10, 32, 32, 3)])
def test_other_clips_are_refused(shape):
    with pytest.raises(InputError, match=r"expected \[N, 10, H, W, 1\]"):
        clip_features(np.zeros(shape, np.uint8))
