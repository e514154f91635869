"""Images of any size in the features of the CIFAR-10 classifier, and of Inception-v3."""

import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen import ImageSpec
from jaxgen.cli import main
from jaxgen.evaluation import (
    cached_features,
    cifar10_network,
    frechet_distance,
    inception_network,
    packaged_network,
    resize,
)
from jaxgen.evaluation.resize import resize_name
from jaxgen.evaluation.weights import write_weights
from jaxgen.nets import InceptionV3, forward
from jaxgen.nets.features.inception import resized
from tests.programs import run_here

SQUARE = ImageSpec(32, 32, 3)
SIZES = [(64, 48, 3), (17, 90, 1), (8, 8, 1), (1, 1, 3), (28, 28, 3), (64, 16, 1), (31, 33, 3)]


def some(spec, num=3):
    return np.random.default_rng(0).integers(0, 256, (num, *spec), np.uint8)


def by_pillow(image):
    """One image [H, W, C] as clean-fid resizes it: each channel in float, by Pillow's bicubic filter."""
    channels = [Image.fromarray(image[..., channel].astype(np.float32)) for channel in range(image.shape[-1])]
    small = [np.asarray(channel.resize((32, 32), Image.Resampling.BICUBIC)) for channel in channels]
    return np.clip(np.round(np.stack(small, axis=-1)), 0, 255)


@pytest.mark.parametrize("size", SIZES)
def test_images_are_resized_as_by_pillow(size):
    images = some(size)
    expected = np.stack([by_pillow(image) for image in images])
    found = np.asarray(resize(images, SQUARE)).astype(float)
    assert np.abs(found - expected).max() <= 1  # where float32 rounds to the other side of a half
    assert (found != expected).mean() < 0.01


def test_images_of_the_size_are_unchanged():
    np.testing.assert_array_equal(resize(some(SQUARE), SQUARE), some(SQUARE))
    np.testing.assert_array_equal(resize(some((32, 32, 1)), SQUARE), some((32, 32, 1)).repeat(3, axis=-1))


@pytest.mark.parametrize("size", [(64, 48, 3), (64, 48, 1), (32, 32, 1)])
def test_features_of_any_size_are_those_of_the_resized_images(size):
    images = some(size)
    ours = packaged_network(ImageSpec(*size)).extract(images)
    by_hand = cifar10_network().extract(np.asarray(resize(images, SQUARE)))
    # The same network in another program: 128 features of about 1, each from sums of up to 1,152 terms.
    np.testing.assert_allclose(ours.features, by_hand.features, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.probabilities, by_hand.probabilities, rtol=1e-3, atol=1e-5)


def test_grey_images_are_colour_images_of_three_equal_channels():
    grey = some((40, 24, 1))
    colour = grey.repeat(3, axis=-1)
    apart = np.asarray(resize(grey, SQUARE)).astype(int) - np.asarray(resize(colour, SQUARE))
    assert np.abs(apart).max() <= 1  # a half may round either way
    assert (apart != 0).mean() < 0.01


def test_large_images_are_resized_a_few_at_a_time(monkeypatch):
    images = some((64, 48, 3), num=7)
    at_once = packaged_network(ImageSpec(64, 48, 3)).extract(images).features
    monkeypatch.setattr("jaxgen.evaluation.network.VALUES", 3 * images[0].size)
    in_threes = packaged_network.__wrapped__(ImageSpec(64, 48, 3)).extract(images).features
    np.testing.assert_allclose(in_threes, at_once, rtol=1e-4, atol=1e-4)


def test_the_resize_is_recorded():
    assert packaged_network(ImageSpec(64, 64, 3)).resize == "64x64x3 to 32x32x3: bicubic with antialiasing"
    assert packaged_network(ImageSpec(32, 32, 1)).resize == "32x32x1 to 32x32x3: grey repeated"
    assert packaged_network(ImageSpec(28, 28, 1)).resize == "none"
    whole = "64x48x1 to 32x32x3: bicubic with antialiasing, aspect ratio not kept, grey repeated"
    assert resize_name(ImageSpec(64, 48, 1), SQUARE) == whole


def test_features_of_one_resize_are_not_those_of_another():
    images, network, calls = some(SQUARE), cifar10_network(), []
    counted = network._replace(extract=lambda images: calls.append(len(images)) or network.extract(images))
    for number, name in ((1, "one"), (2, "other"), (2, "one")):
        cached_features(counted._replace(resize=name), images, "digest")
        assert len(calls) == number


class Patches(nn.Module):
    """Stands in for Inception-v3: means of patches of the resized image, [B, 12]."""

    @nn.compact
    def __call__(self, image, *, train):
        scale = self.param("scale", nn.initializers.ones, ())
        return scale * nn.avg_pool(resized(image), (140, 140), (140, 140)).reshape(len(image), 12)


def random_weights(path, module):
    """Writes a network's weights, drawn at random so that activations keep their variance."""
    template = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False))
    rng = np.random.default_rng(0)
    leaves, tree = jax.tree.flatten(template)
    random = [rng.normal(size=one.shape) * np.sqrt(2 / max(1, np.prod(one.shape[:-1]))) for one in leaves]
    variables = jax.tree.unflatten(tree, [array.astype(np.float32) for array in random])
    write_weights(path, variables)
    return variables


def test_inception_takes_any_size_and_its_resize_is_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jaxgen.evaluation.inception.InceptionV3", Patches)
    variables = random_weights("weights.safetensors", Patches())
    drawn, real = some((20, 12, 1), num=80)[:40], some((20, 12, 1), num=80)[40:]
    np.savez("drawn.npz", drawn)
    np.savez("real.npz", real)
    options = "--data", "real.npz", "--inception", "weights.safetensors", "--metrics", "frechet", "memorization"
    assert run_here(monkeypatch, main, "evaluate", "drawn.npz", *options) == 0
    record = json.loads((tmp_path / "evaluation.json").read_text())
    by_hand = [
        np.asarray(Patches().apply(variables, images.repeat(3, axis=-1).astype(np.float32), train=False))
        for images in (drawn, real)
    ]
    assert record["measures"]["FID"]["value"] == pytest.approx(frechet_distance(*by_hand), rel=1e-4)
    assert record["network"]["resize"].startswith("to 299x299x3: bilinear as in TensorFlow 1, without antialiasing")
    assert record["comparable_with"].startswith("FID and KID compare only with those of as many images")
    assert record["neighbours"]["network"]["name"] == "CIFAR-10 classifier"


@pytest.mark.long
def test_inception_of_random_weights_gives_the_features_of_the_resized_images(tmp_path):
    variables = random_weights(tmp_path / "weights.safetensors", InceptionV3())
    images = some((40, 31, 1), num=2)
    features = inception_network(tmp_path / "weights.safetensors").extract(images).features
    colour = resized(images.repeat(3, axis=-1).astype(np.float32))
    expected, _ = forward(InceptionV3(), variables, colour, train=False)
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).mean())
