"""Rewards against their definitions, and failures by name."""

import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import InputError, to_float
from jaxgen.data.tokenizer import train_tokenizer
from jaxgen.evaluation import (
    Goal,
    Matcher,
    class_reward,
    digit_network,
    own_reward,
    palette_reward,
    picture_reward,
    pixel_reward,
    score_by,
    weighted_sum,
    words_reward,
)
from jaxgen.evaluation.classifiers import CIFAR10_CLASSIFIER, DIGIT_CLASSIFIER
from jaxgen.nets import Matching

DIGITS = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), np.uint8)
IMAGES = to_float(jnp.asarray(DIGITS))
OWN = """
import numpy as np

def first(images):
    return np.asarray(images)[:, 0, 0, 0]

def sometimes(images):
    return np.where(first(images) > 0, first(images), np.nan)

def one(images):
    return 1.0

def broken(images):
    raise RuntimeError("no paint\\nleft")

seven = 7
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_rewards.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("own_rewards", None)


def test_class_and_picture_are_those_of_the_packaged_network():
    # In float32; the network's own features are of the same images at the same precision.
    features, probabilities = digit_network().extract(DIGITS)
    np.testing.assert_allclose(class_reward(DIGIT_CLASSIFIER, "3")(IMAGES), np.log(probabilities[:, 3]), atol=1e-4)
    apart = np.square(features - features[1]).sum(1)
    np.testing.assert_allclose(picture_reward(DIGIT_CLASSIFIER, DIGITS[1])(IMAGES), -apart, rtol=1e-4, atol=1e-4)
    pixels = np.square(IMAGES - IMAGES[1]).mean((1, 2, 3))
    np.testing.assert_allclose(pixel_reward(DIGITS[1])(IMAGES), -pixels, rtol=1e-5)


def test_images_of_another_size_are_resized_for_a_classifier():
    grey = jnp.full((2, 64, 48, 1), 0.5)
    same = jnp.full((2, 32, 32, 3), 0.5)
    reward = class_reward(CIFAR10_CLASSIFIER, "frog")
    np.testing.assert_allclose(reward(grey), reward(same), rtol=1e-4)  # a constant image is resized to itself
    gradient = jax.grad(lambda images: reward(images).sum())(grey)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


def test_the_palette_of_a_picture_of_two_colours():
    # Three red pixels and a blue one, for red and white: white is missing, and blue is no colour of the palette.
    red, blue = [255, 0, 0], [0, 0, 255]
    image = np.array([[red, red], [red, blue]], np.uint8)[None]
    reward = palette_reward(np.array([red, [255, 255, 255]], np.uint8))(to_float(jnp.asarray(image)))
    # Squared distances, mean over channels, of values in [-1, 1]: blue to red or to white 8 / 3, white to red 8 / 3.
    np.testing.assert_allclose(reward, -(8 / 3) / 4 - (8 / 3) / 2, rtol=1e-6)
    whole = palette_reward(np.array([red, blue], np.uint8))(to_float(jnp.asarray(image)))
    np.testing.assert_array_equal(whole, 0)
    grey = palette_reward(np.array([[0, 0, 0], [255, 255, 255]], np.uint8))(
        jnp.array([1.0, -1, 1, 1]).reshape(1, 2, 2, 1)
    )
    np.testing.assert_array_equal(grey, 0)


def test_words_are_the_similarity_in_the_matching_network():
    tokenizer = train_tokenizer(["red heart", "blue car"], length=3, size=16)
    module, images = Matching(tokenizer.size), np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    variables = module.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 3), jnp.int32), train=False)
    matcher = Matcher(variables, tokenizer)
    reward = words_reward(matcher, "blue car")(to_float(jnp.asarray(images)))
    of_images, of_texts = matcher.extract(images, ["blue car", "blue car"])
    np.testing.assert_allclose(reward, (of_images * of_texts).sum(1) / 0.1, atol=1e-4)  # the initial temperature
    with pytest.raises(InputError, match="knows none of these words"):
        words_reward(matcher, "green")


def test_goals_add_up_by_their_weights(own):
    goals = [Goal("pixels", pixel_reward(DIGITS[0]), 2.0), Goal("own", own_reward("own_rewards:first"), -1.0)]
    total = 2 * pixel_reward(DIGITS[0])(IMAGES) - IMAGES[:, 0, 0, 0]
    np.testing.assert_allclose(weighted_sum(goals)(IMAGES), total, rtol=1e-6)
    scores = score_by(goals)(IMAGES)
    np.testing.assert_allclose(scores.rewards, total, rtol=1e-6)
    assert scores.failure == ""


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("sometimes", r"own is nan for 1 of 2 images"),
        ("one", r"own gives rewards of shape \[\] for 2 images; expected one for each"),
        ("broken", r"own_rewards:broken failed \(RuntimeError: no paint\)"),
    ],
)
def test_a_reward_that_fails_is_named(own, name, failure):
    images = jnp.ones((2, 4, 4, 1)).at[1].set(-1)
    scores = score_by([Goal("own", own_reward(f"own_rewards:{name}"))])(images)
    assert scores.rewards.shape == (2,)
    assert not np.isfinite(scores.rewards).all()
    assert re.fullmatch(failure, scores.failure)


def test_images_without_a_failure_have_the_rewards_of_all_goals(own):
    images = jnp.ones((2, 4, 4, 1)).at[1].set(-1)
    goals = [Goal(name, own_reward(f"own_rewards:{name}"), 2.0) for name in ("sometimes", "first")]
    scores = score_by(goals)(images)
    np.testing.assert_array_equal(scores.rewards, [4, np.nan])
    assert scores.failure == "sometimes is nan for 1 of 2 images"


@pytest.mark.parametrize("name", ["own_rewards:nothing", "own_rewards:seven", "nowhere:first", ":first"])
def test_what_is_no_reward_cannot_be_imported(own, name):
    with pytest.raises(InputError, match="it is no"):
        own_reward(name)


def test_a_function_of_numpy_is_not_differentiated(own):
    with pytest.raises(InputError, match="own_rewards:first cannot be differentiated by JAX"):
        jax.grad(lambda images: own_reward("own_rewards:first")(images).sum())(IMAGES)


@pytest.mark.parametrize(("word", "message"), [("cat", "class cat names no class"), ("10", "label 10 is not a class")])
def test_a_class_that_the_classifier_does_not_know_is_refused(word, message):
    with pytest.raises(InputError, match=message):
        class_reward(DIGIT_CLASSIFIER, word)
