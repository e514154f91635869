"""Exported denoisers: one convention for all schedules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import ImageSpec, InputError
from jaxgen.export import ExportInfo, export_denoiser, load_denoiser, load_drawing_denoiser
from jaxgen.models import labels
from jaxgen.models.diffusion import added_noise, cosine, linear, variance_exploding
from tests.models.exact_diffusion import exact_model, gaussian_denoiser, random_covariance

SPEC = ImageSpec(2, 2, 1)
MEAN, COVARIANCE = jnp.full(SPEC, 0.3), random_covariance(jax.random.key(0), 4)
X, SIGMA = jax.random.normal(jax.random.key(1), (3, *SPEC)), jnp.array([0.1, 1.0, 20.0])


@pytest.mark.parametrize("schedule", [linear(), cosine(), variance_exploding()], ids=["linear", "cosine", "exploding"])
def test_a_denoiser_of_any_schedule_is_exported_as_that_of_added_noise(schedule, tmp_path):
    model = exact_model(gaussian_denoiser(schedule, MEAN, COVARIANCE), SPEC, schedule)
    export_denoiser(added_noise(model))(tmp_path, {}, ExportInfo(SPEC))
    exported = load_denoiser(tmp_path)
    assert exported.spec == SPEC
    exact = gaussian_denoiser(variance_exploding(), MEAN, COVARIANCE)
    np.testing.assert_allclose(exported.call(X, SIGMA, {}), exact(X, SIGMA), atol=1e-5)

    def slope(denoiser, *fields):
        return jax.jit(jax.grad(lambda x: (denoiser(x, SIGMA, *fields) ** 2).sum()))(X)

    np.testing.assert_allclose(slope(exported.call, {}), slope(exact), atol=1e-4)


def test_the_condition_reaches_an_exported_denoiser(tmp_path):
    def conditioned(x, t, label):
        return x * 0 + label.argmax(-1)[:, None, None, None]

    export_denoiser(lambda networks: conditioned)(tmp_path, {}, ExportInfo(SPEC, labels(5)))
    exported = load_denoiser(tmp_path)
    assert exported.conditions["label"].classes == 5
    drawn = exported.call(X, SIGMA, {"label": jnp.array([4, 0, 2], jnp.int32)})
    np.testing.assert_array_equal(drawn[:, 0, 0, 0], [4, 0, 2])


def test_a_run_draws_with_its_autoguided_denoiser_if_there_is_one(tmp_path):
    assert load_drawing_denoiser(tmp_path) is None
    for folder, value in (("denoiser", 1.0), ("autoguided", 2.0)):
        export_denoiser(lambda _, value=value: lambda x, sigma: 0 * x + value)(tmp_path / folder, {}, ExportInfo(SPEC))
        assert load_drawing_denoiser(tmp_path).call(X, SIGMA, {})[0, 0, 0, 0] == value


def test_what_is_no_denoiser_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no denoiser"):
        load_denoiser(tmp_path)
