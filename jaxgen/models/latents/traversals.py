"""Pictures of what a generator can be steered to, by its `Controls`: images uint8 [rows, columns, H, W, C].

A conditional model's `field` [rows, ...] is what each row is told.
"""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp

from jaxgen.core.image import to_uint8
from jaxgen.core.types import Array
from jaxgen.io.errors import InputError
from jaxgen.models.latents.controls import Controls
from jaxgen.models.latents.directions import closed_form_directions, interpolate, principal_directions

AT_ONCE = 256
"""Images that are generated together."""


def mix_styles(content: Array, style: Array, layer: int) -> Array:
    """The codes [N, L, W] of `content` in the layers below `layer`, and of `style` from there on.

    Raises:
      InputError: there is no such layer; 0 is all style and L all content.
    """
    count = content.shape[1]
    if not 0 <= layer <= count:
        raise InputError(f"Mixing at layer {layer}: expected 0 to {count}.")
    return jnp.where((jnp.arange(count) < layer)[:, None], content, style)


def style_mixtures(
    controls: Controls, content: Array, style: Array, *field: Array, layer: int, style_field: tuple[Array, ...] = ()
) -> Array:
    """Mixtures [R + 1, S + 1]: content of latents [R, Z] down the first column, style of [S, Z] across the first row.

    Raises:
      InputError: there is no such layer.
    """
    codes, styles = controls.codes(content, *field), controls.codes(style, *style_field)
    mixed = jax.vmap(lambda one: mix_styles(jnp.broadcast_to(one, styles.shape), styles, layer))(codes)
    inside = _draw(controls, jnp.concatenate([codes[:, None], mixed], axis=1), content, *field)
    first = _draw(controls, styles[:, None], style, *style_field)[:, 0]
    return jnp.concatenate([jnp.concatenate([jnp.zeros_like(first[:1]), first])[None], inside])


def truncations(
    controls: Controls, latents: Array, *field: Array, values: Sequence[float], seed: int = 0, number: int = 1_000
) -> Array:
    """Images from the mean of `number` codes (0) to the codes of latents [R, Z] (1).

    Karras et al. (2019), https://arxiv.org/abs/1812.04948, appendix B.

    Raises:
      InputError: no values, or one outside [0, 1].
    """
    if not values:
        raise InputError("No truncations were given: expected some from 0 (the mean) to 1 (as drawn).")
    for value in values:
        if not 0 <= value <= 1:
            raise InputError(f"Truncation {value}: expected 0 (the mean) to 1 (as drawn).")
    codes = controls.codes(latents, *field)
    others = controls.draw(jnp.uint32(seed % 2**32), jnp.arange(number, dtype=jnp.int32))

    def centre(one: tuple[Array, ...]) -> Array:
        return controls.codes(others, *(jnp.broadcast_to(array, (number, *array.shape)) for array in one)).mean(0)

    centres = jnp.stack([centre(tuple(array[row] for array in field)) for row in range(len(latents) if field else 1)])
    shares = jnp.asarray(values)[None, :, None, None]
    return _draw(controls, centres[:, None] + shares * (codes - centres)[:, None], latents, *field)


def interpolations(controls: Controls, latents: Array, *field: Array, columns: int, spherical: bool = False) -> Array:
    """From the codes of latents [0, R) to those of latents [R, 2 R), in even steps."""
    rows = len(latents) // 2
    first, last = (controls.codes(part, *field) for part in (latents[:rows], latents[rows : 2 * rows]))
    codes = interpolate(first, last, columns, spherical=spherical)
    return _draw(controls, jnp.moveaxis(codes, 0, 1), latents[:rows], *field)


def find_directions(
    controls: Controls, latents: Array, *field: Array, number: int, method: Literal["sefa", "ganspace"]
) -> Array:
    """Directions [number, W] of codes, the strongest first, each as long as the codes' standard deviation along it.

    SeFa's are those that change the first layer most; GANSpace's are regressed on the principal components of what the
    first layer makes of the latents [N, Z].

    Raises:
      InputError: more directions than there are.
    """
    codes = controls.codes(latents, *field)
    layers, size = codes.shape[1:]
    if not 1 <= number <= size:
        raise InputError(f"{number} directions: expected 1 to {size}.")
    if method == "sefa":
        units = jnp.concatenate([jnp.zeros((1, size)), jnp.eye(size)])
        outputs = controls.first_layer(jnp.broadcast_to(units[:, None], (size + 1, layers, size)))
        directions = closed_form_directions(outputs[1:] - outputs[:1])[0][:number]
    else:
        outputs = controls.first_layer(codes)
        components, deviations = principal_directions(outputs, number)
        places = (outputs - outputs.mean(0)) @ components.T / deviations
        regressed = places.T @ (codes - codes.mean(0)).mean(1) / (len(codes) - 1)
        directions = regressed / jnp.linalg.norm(regressed, axis=1, keepdims=True)
    return directions * (codes.mean(1) @ directions.T).std(0)[:, None]


def traversals(controls: Controls, latent: Array, directions: Array, *field: Array, steps: Array) -> Array:
    """A row for each direction [D, W]: the image of one latent [Z], so many steps [S] along it in all layers."""
    codes = controls.codes(latent[None], *field)
    moved = codes[0] + steps[None, :, None, None] * directions[:, None, None]
    rows = [jnp.broadcast_to(array, (len(directions), *array.shape[1:])) for array in (latent[None], *field)]
    return _draw(controls, moved, *rows)


def _draw(controls: Controls, codes: Array, latents: Array, *field: Array) -> Array:
    """Images of codes [R, S, L, W]; each row has the noise of one latent [R, Z] and is told one thing."""
    rows, columns = codes.shape[:2]
    flat = codes.reshape(-1, *codes.shape[2:])
    given = flat, *(jnp.repeat(array, columns, axis=0) for array in (latents, *field))
    parts = [[array[at : at + AT_ONCE] for array in given] for at in range(0, len(flat), AT_ONCE)]
    images = jnp.concatenate([controls.generate(*part) for part in parts])
    return to_uint8(images).reshape(rows, columns, *images.shape[1:])
