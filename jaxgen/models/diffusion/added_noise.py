"""Denoisers of any schedule as those of images with added noise, D(x; sigma) = E[image | x = image + sigma eps]."""

from collections.abc import Callable

from jaxgen.core.types import Array, Networks
from jaxgen.models.diffusion.guidance import Denoiser
from jaxgen.models.diffusion.model import Diffusion
from jaxgen.models.diffusion.prediction import per_image


def added_noise(model: Diffusion, *, autoguided: bool = False) -> Callable[[Networks], Denoiser]:
    """From networks to D(x; sigma), in the convention of Karras et al. (2022), section 2.

    https://arxiv.org/abs/2206.00364.  x is x_t / alpha and sigma is sigma / alpha of the model's schedule: D is a
    denoiser of `variance_exploding`.  With `autoguided` it is that which the model draws with: not an expectation, and
    so of no use for likelihoods and restoration.
    """

    def bind(networks: Networks) -> Denoiser:
        denoiser = model.autoguided(networks) if autoguided else model.denoiser(networks)

        def denoise(x: Array, sigma: Array, *condition: Array) -> Array:
            t = model.schedule.time(sigma)
            alpha, _ = model.schedule.coefficients(t)
            return denoiser(per_image(alpha) * x, t, *condition)

        return denoise

    return bind
