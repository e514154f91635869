"""Signs of divergence in rows of metrics."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from jaxgen.training.watchdog import (
    COLLAPSED,
    COLLAPSED_GRIDS,
    DIVERSITY,
    SATURATED,
    SATURATED_STEPS,
    Watched,
    diagnose,
    diversity,
    not_finite,
    observe,
    observe_all,
)

LOSS = "discriminator/loss"
WATCHED = Watched(losses=(LOSS, "generator/loss"), discriminators=(LOSS,))


def rows(values, name=LOSS, every=100):
    return [{"step": every * (n + 1), name: value} for n, value in enumerate(values)]


def first_diagnosis(rows, watched=WATCHED):
    signs = observe_all([], watched)
    for row in rows:
        signs = observe(signs, row, watched)
        if divergence := diagnose(signs):
            return divergence
    return None


@pytest.mark.parametrize("bad", [math.nan, math.inf, None])
def test_a_loss_that_is_not_finite_twice_running_is_a_divergence_since_the_row_before(bad):
    divergence = first_diagnosis(rows([1.0, 1.0, bad, bad]))
    assert (divergence.step, divergence.since) == (400, 200)
    assert "not finite" in divergence.what


def test_a_loss_that_recovers_is_none():
    assert first_diagnosis(rows([1.0, math.nan, 1.0, math.nan, 1.0])) is None


def test_another_metric_may_be_infinite():
    assert first_diagnosis(rows([math.inf] * 9, name="discriminator/real_logit")) is None


def test_a_discriminator_has_won_when_its_loss_was_zero_for_so_many_steps():
    needed = SATURATED_STEPS // 100
    assert first_diagnosis(rows([1.0] + [0.0] * (needed - 1) + [1.0] + [0.0] * (needed - 1))) is None
    divergence = first_diagnosis(rows([1.0, 1.0] + [0.9 * SATURATED] * needed))
    assert (divergence.since, divergence.step) == (200, 200 + SATURATED_STEPS)


def test_each_of_several_discriminators_is_watched():
    needed = SATURATED_STEPS // 100
    watched = Watched(discriminators=(LOSS, "second/loss"))
    observed = [{**row, "second/loss": 0.0 if n else 1.0} for n, row in enumerate(rows([1.0] * (needed + 1)))]
    divergence = first_diagnosis(observed, watched)
    assert "second/loss has been below" in divergence.what
    assert (divergence.since, divergence.step) == (100, 100 + SATURATED_STEPS)


def test_a_metric_that_is_called_a_loss_and_is_not_minimised_may_be_infinite():
    assert first_diagnosis(rows([math.inf] * 9, name="discriminator/fake_loss")) is None
    assert first_diagnosis(rows([math.inf] * 2, name="generator/loss")) is not None


def test_without_a_discriminator_a_loss_may_be_zero():
    assert diagnose(observe_all(rows([0.0] * 99), Watched(losses=(LOSS,)))) is None


def test_three_consecutive_grids_of_images_that_are_alike_are_a_collapse():
    low, high = 0.9 * COLLAPSED, 1.1 * COLLAPSED
    assert first_diagnosis(rows([low, low, high, low, low, high], name=DIVERSITY)) is None
    between = [{"step": 100 * n + 50, LOSS: 1.0} for n in range(7)]
    grids = rows([1.0, 1.0, *[low] * COLLAPSED_GRIDS], name=DIVERSITY)
    divergence = first_diagnosis(sorted(between + grids, key=lambda row: row["step"]))
    assert (divergence.since, divergence.step) == (200, 500)


def test_healthy_is_the_newest_step_before_the_first_sign():
    assert observe_all(rows([1.0, 1.0, 1.0]), WATCHED).healthy == 300
    assert observe_all(rows([1.0, 0.0, 0.0]), WATCHED).healthy == 100
    assert observe_all(rows([0.0, 1.0, 1.0]), WATCHED).healthy == 300
    assert observe_all(rows([1.0, COLLAPSED / 2], name=DIVERSITY), WATCHED).healthy == 100


def test_all_was_well_until_the_first_of_several_signs():
    needed = SATURATED_STEPS // 100
    diversities = [1.0, COLLAPSED / 2, COLLAPSED / 2, 1.0] + [1.0] * needed
    losses = [1.0, 1.0] + [0.0] * (needed + 2)
    observed = [
        {"step": 100 * (n + 1), LOSS: loss, DIVERSITY: ratio if n < 3 else COLLAPSED / 2}
        for n, (loss, ratio) in enumerate(zip(losses, diversities, strict=True))
    ]
    divergence = first_diagnosis(observed)
    assert divergence.since == 100


def test_arrays_that_are_not_finite_are_named():
    signs = observe_all(rows([1.0, 0.0]), WATCHED)
    divergence = not_finite(["a", "b", "c", "d", "e"], signs, 300)
    assert (divergence.what, divergence.since, divergence.step) == ("Not finite: a, b, c and 2 more", 100, 300)


def test_diversity_is_the_mean_distance_to_the_nearest_other_image():
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)
    flat = images.reshape(20, -1).astype(float)
    nearest = [np.sort(cdist(flat[i : i + 1], np.delete(flat, i, axis=0)))[0, 0] for i in range(20)]
    np.testing.assert_allclose(diversity(images), np.mean(nearest) / np.sqrt(6 * 5 * 3), rtol=1e-12)


def test_few_different_images_have_no_diversity():
    images = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 1), dtype=np.uint8)
    assert diversity(images) > 0
    assert diversity(np.concatenate([images, images])) == 0
