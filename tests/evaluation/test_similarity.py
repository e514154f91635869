import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jaxgen import InputError
from jaxgen.evaluation import diversity, multi_scale_similarity


def draw(num, seed, shape=(28, 28, 1)):
    return np.random.default_rng(seed).integers(0, 256, (num, *shape), np.uint8)


def test_an_image_is_like_itself_and_similarity_is_symmetric():
    first, second = draw(3, 0, (48, 32, 3)), draw(3, 1, (48, 32, 3)) // 2
    np.testing.assert_allclose(multi_scale_similarity(first, first), 1, rtol=1e-6)
    np.testing.assert_allclose(multi_scale_similarity(first, second), multi_scale_similarity(second, first), rtol=1e-5)
    assert (np.asarray(multi_scale_similarity(first, second)) < 0.5).all()


def by_hand(first, second, weights):
    """Wang's definition with SciPy's filter, in float64."""

    def blurred(image):
        return gaussian_filter(image, 1.5, axes=(0, 1), truncate=3.5)[5:-5, 5:-5]

    c1, c2, value = (0.01 * 255) ** 2, (0.03 * 255) ** 2, 1.0
    for scale, weight in enumerate(weights):
        m1, m2 = blurred(first), blurred(second)
        v1, v2 = blurred(first**2) - m1**2, blurred(second**2) - m2**2
        v12 = blurred(first * second) - m1 * m2
        term = (2 * v12 + c2) / (v1 + v2 + c2)
        if scale == len(weights) - 1:
            term = term * (2 * m1 * m2 + c1) / (m1**2 + m2**2 + c1)
        value *= max(term.mean(), 0) ** weight
        first, second = (
            sum(image[i : len(image) // 2 * 2 : 2, j : image.shape[1] // 2 * 2 : 2] for i in (0, 1) for j in (0, 1)) / 4
            for image in (first, second)
        )
    return value


@pytest.mark.parametrize(("shape", "scales"), [((28, 28, 1), 2), ((65, 48, 3), 3), ((176, 180, 1), 5)])
def test_similarity_follows_its_definition(shape, scales):
    first = draw(3, 0, shape)
    second = np.clip(first + np.random.default_rng(1).normal(0, 40, first.shape), 0, 255).astype(np.uint8)
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:scales])
    expected = [by_hand(*pair, weights / weights.sum()) for pair in zip(first / 1.0, second / 1.0, strict=True)]
    np.testing.assert_allclose(multi_scale_similarity(first, second), expected, rtol=1e-4)


def test_of_flat_images_only_luminance_counts():
    a, b, c = 50.0, 100.0, (0.01 * 255) ** 2
    first, second = (np.full((1, 11, 11, 1), value, np.uint8) for value in (a, b))
    expected = (2 * a * b + c) / (a * a + b * b + c)  # one scale: contrast and structure are those of equal images
    np.testing.assert_allclose(multi_scale_similarity(first, second), expected, rtol=1e-3)


def test_diversity_is_zero_for_copies():
    images = draw(1, 0).repeat(20, axis=0)
    assert diversity(images, pairs=50).value == pytest.approx(0, abs=1e-5)
    assert diversity(draw(50, 0), pairs=50).value > 0.8


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (draw(4, 0).astype(np.float32), "float32; expected uint8"),
        (draw(4, 0, (8, 28, 1)), "8 x 28"),
        (draw(1, 0), "at least 2"),
        (draw(4, 0, (28, 28, 2)), "C = 1 or 3"),
    ],
)
def test_unusable_images_are_refused(images, message):
    with pytest.raises(InputError, match=message):
        diversity(images)
