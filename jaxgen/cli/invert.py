"""`python -m jaxgen invert`: GAN inversion, the codes whose generated images are nearest to given images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen.cli.arguments import writing
from jaxgen.cli.controls import ImageOptions, draw_latents, images_and_fields, read_controls, save_rows
from jaxgen.core.condition import Fields
from jaxgen.core.controls import Controls
from jaxgen.core.image import to_float, to_uint8
from jaxgen.core.step import init_state, make_step
from jaxgen.core.types import Array, Networks
from jaxgen.core.update import minimize
from jaxgen.evaluation import compare_pairs
from jaxgen.io.files import write_whole
from jaxgen.io.program import UserPath
from jaxgen.io.terminal import progress, say
from jaxgen.models import inversion_loss, latent_network
from jaxgen.training.config import Bounds, Count, Positive, require_bounds


@dataclass(frozen=True)
class Invert(ImageOptions):
    """Invert the generator: find codes that reproduce images, and draw each image above its reconstruction."""

    steps: Count = 300
    """Steps of Adam."""
    starts: Annotated[int, Bounds(least=1, most=100)] = 8
    """Initial codes for each image, of which the best result is kept.  If the run has an encoder, its code is one of
    them."""
    learning_rate: Positive = 0.1
    """Adam's learning rate."""
    weight: Annotated[float, Bounds(least=0)] = 0.0
    """Weight of the codes' mean square, which keeps them near 0."""
    out: UserPath = Path("inversions.png")
    """A .png or an animated .gif; the codes are written beside it, as an .npz."""


def invert(options: Invert) -> None:
    """Finds codes and writes them and the picture.

    Raises:
      InputError: an option is out of range, the images or the run cannot be used, or a file cannot be written.
    """
    require_bounds(options)
    exported = read_controls(options.run, options.out)
    images, fields = images_and_fields(options, exported)
    codes, drawn = find_codes(options, exported.controls, images, fields)
    archive = options.out.with_suffix(".npz")
    with writing(archive):
        write_whole(archive, lambda file: np.savez(file, codes=codes, images=images, drawn=drawn))
    save_rows(options.out, jnp.stack([images, drawn]))
    say(f"Codes: {archive}")
    measures = compare_pairs(np.asarray(images), np.asarray(drawn))
    say(", ".join(f"{name.upper()} {value:.4g}" for name, (value, _) in measures._asdict().items()))


def find_codes(options: Invert, controls: Controls, images: Array, fields: Fields) -> tuple[Array, Array]:
    """The best codes [N, L, W] found for images uint8 [N, H, W, C], and the images uint8 that they generate."""
    starts, count = options.starts, len(images)
    latents = draw_latents(controls, options.seed + 1, 0, starts * count)
    if controls.encode is not None:
        latents = latents.at[:count].set(controls.encode(to_float(images), fields))
    targets = _tiled(images, starts)
    tiled = {name: _tiled(array, starts) for name, array in fields.items()}

    def generate(_: Networks, codes: Array) -> Array:
        return controls.generate(codes, latents, tiled)

    update = minimize(inversion_loss(generate, weight=options.weight), optax.adam(options.learning_rate), wrt="latent")
    state = init_state(update, {"latent": latent_network(controls.codes(latents, tiled))}, jax.random.key(0))
    step = jax.jit(make_step(update))

    def optimise(_: int) -> None:
        nonlocal state
        state, _ = step(state, {"image": targets})

    progress(optimise, range(options.steps), "Optimising", may_stop=True)
    codes = state.networks["latent"]["params"]
    drawn = to_uint8(generate({}, codes))
    errors = jnp.square(to_float(drawn) - to_float(targets)).mean((1, 2, 3)).reshape(starts, count)
    best = errors.argmin(0) * count + jnp.arange(count)
    return codes[best], drawn[best]


def _tiled(array: Array, times: int) -> Array:
    """An array [N, ...] repeated as a whole, [times N, ...]."""
    return jnp.tile(array, (times, *[1] * (array.ndim - 1)))
