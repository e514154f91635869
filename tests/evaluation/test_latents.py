"""Likelihood by importance sampling, reconstructions, and measures of latents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from jaxgen.evaluation import (
    compare_pairs,
    count_active_units,
    multi_scale_similarity,
    mutual_information_gap,
    negative_log_likelihood,
    structural_similarity,
)
from jaxgen.evaluation.importance import negative_log_likelihoods
from jaxgen.evaluation.order import content_order
from jaxgen.evaluation.similarity import scale_weights
from jaxgen.io.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 12, 12, 1), np.uint8)


def test_samples_are_pooled_exactly_in_whatever_chunks():
    drawn = []

    def log_weights(images, key, samples):
        weights = 300 * jax.random.normal(key, (samples, len(images)))
        jax.debug.callback(lambda array: drawn.append(np.asarray(array)), weights)
        return weights

    values = negative_log_likelihoods(log_weights, IMAGES, samples=7, batch=5, chunk=3)
    jax.effects_barrier()
    pooled = np.concatenate(drawn)[:7]  # three chunks of three, of which seven are used
    np.testing.assert_allclose(
        values[content_order(IMAGES)], np.log(7) - special.logsumexp(pooled.astype(np.float64), axis=0), rtol=1e-5
    )


def test_a_partial_batch_changes_nothing():
    def log_weights(images, key, samples):
        return jnp.tile(images.sum((1, 2, 3)) / 1_000.0, (samples, 1))

    values = negative_log_likelihoods(log_weights, IMAGES, samples=3, batch=2)
    np.testing.assert_allclose(values, -IMAGES.sum((1, 2, 3), dtype=float) / 1_000, rtol=1e-5)
    estimate = negative_log_likelihood(log_weights, IMAGES, samples=3, batch=2)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(5))


@pytest.mark.parametrize(("images", "samples"), [(IMAGES, 0), (IMAGES[:0], 5)])
def test_nothing_has_no_likelihood(images, samples):
    with pytest.raises(InputError, match="expected at least 1 of each"):
        negative_log_likelihood(lambda *_: jnp.zeros((1, 1)), images, samples=samples)


def test_errors_of_reconstructions_are_those_of_their_definition():
    others = np.clip(IMAGES.astype(int) + 10 * (IMAGES < 200), 0, 255).astype(np.uint8)
    compared = compare_pairs(IMAGES, others)
    errors = np.square(IMAGES.astype(float) - others).mean((1, 2, 3))
    assert compared.mse.value == pytest.approx(errors.mean())
    assert compared.psnr.value == pytest.approx((20 * np.log10(255) - 10 * np.log10(errors)).mean())
    assert compared.ssim.value < 1
    same = compare_pairs(IMAGES, IMAGES)
    assert (same.mse.value, same.ssim.value) == (0, pytest.approx(1, rel=1e-4))
    assert np.isfinite(same.psnr.value)
    with pytest.raises(InputError, match="5 and 4 images"):
        compare_pairs(IMAGES, IMAGES[:4])


def test_one_scale_of_the_similarity_of_many_is_that_of_one():
    others = (0.7 * IMAGES + 20).astype(np.uint8)
    assert len(scale_weights(12, 12)) == 1
    np.testing.assert_allclose(structural_similarity(IMAGES, others), multi_scale_similarity(IMAGES, others), rtol=1e-5)


def test_units_are_active_whose_means_vary():
    means = np.random.default_rng(0).normal(size=(1_000, 4)) * np.array([1.0, 0.2, 0.05, 0.0])
    assert count_active_units(means) == 2


def test_the_gap_of_latents_that_are_factors_is_one_and_of_mixed_ones_nought():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 4, (20_000, 2))
    noise = 1e-3 * rng.normal(size=(20_000, 3))
    apart = np.concatenate([factors, np.zeros((20_000, 1))], axis=1) + noise
    assert mutual_information_gap(apart, factors) > 0.97
    twice = np.stack([factors[:, 0], factors[:, 0], factors[:, 1], factors[:, 1]], axis=1) + 1e-3
    assert mutual_information_gap(twice, factors) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("latents", "factors", "message"),
    [
        (np.zeros((3, 2)), np.zeros((3, 1)), "Factor 0 has one value"),
        (np.zeros((3, 1)), np.zeros((3, 1)), "expected"),
        (np.zeros((3, 2)), np.zeros((4, 1)), "expected"),
    ],
)
def test_latents_and_factors_without_a_gap_are_refused(latents, factors, message):
    with pytest.raises(InputError, match=message):
        mutual_information_gap(latents, factors)
