"""GAN inversion: the codes whose generated images are nearest to given images."""

import jax
import jax.numpy as jnp
import optax

from jaxgen.core.condition import Fields
from jaxgen.core.controls import Controls
from jaxgen.core.image import to_float, to_uint8
from jaxgen.core.step import init_state, make_step
from jaxgen.core.types import Array, Networks
from jaxgen.core.update import minimize
from jaxgen.io.terminal import progress
from jaxgen.models.latents.directions import inversion_loss, latent_network
from jaxgen.models.latents.traversals import NO_FIELDS


def find_codes(
    controls: Controls,
    images: Array,
    fields: Fields = NO_FIELDS,
    *,
    seed: int = 0,
    steps: int = 300,
    starts: int = 8,
    learning_rate: float = 0.1,
    weight: float = 0.0,
) -> tuple[Array, Array]:
    """The best codes [N, L, W] found for images uint8 [N, H, W, C], and the images uint8 that they generate.

    Adam takes `steps` from each of `starts` codes of an image; the result with the least squared error is kept.  With
    an encoder its code is one of the starts.  `weight` is that of `inversion_loss`.  Where all starts of an image
    diverged, its codes are not finite.
    """
    count = len(images)
    latents = controls.draw(jnp.uint32(seed % 2**32), jnp.arange(starts * count, dtype=jnp.int32))
    if controls.encode is not None:
        latents = latents.at[:count].set(controls.encode(to_float(images), fields))
    targets = _tiled(images, starts)
    tiled = {name: _tiled(array, starts) for name, array in fields.items()}

    def generate(_: Networks, codes: Array) -> Array:
        return controls.generate(codes, latents, tiled)

    update = minimize(inversion_loss(generate, weight=weight), optax.adam(learning_rate), wrt="latent")
    state = init_state(update, {"latent": latent_network(controls.codes(latents, tiled))}, jax.random.key(0))
    step = jax.jit(make_step(update))

    def optimise(_: int) -> None:
        nonlocal state
        state, _ = step(state, {"image": targets})

    progress(optimise, range(steps), "Optimising", may_stop=True)
    codes = state.networks["latent"]["params"]
    drawn = to_uint8(generate({}, codes))
    errors = jnp.square(to_float(drawn) - to_float(targets)).mean((1, 2, 3)).reshape(starts, count)
    is_finite = jnp.isfinite(codes).all((1, 2)).reshape(starts, count)  # uint8 shows no NaN
    best = jnp.where(is_finite, errors, jnp.inf).argmin(0) * count + jnp.arange(count)
    return codes[best], drawn[best]


def _tiled(array: Array, times: int) -> Array:
    """An array [N, ...] repeated as a whole, [times N, ...]."""
    return jnp.tile(array, (times, *[1] * (array.ndim - 1)))
