"""Latent traversals of a generator by its `Controls`, as images uint8 [rows, columns, H, W, C].

The `fields` [rows, ...] of a conditional model condition each row.
"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Literal

import jax
import jax.numpy as jnp

from jaxgen.core.condition import Fields
from jaxgen.core.controls import Controls
from jaxgen.core.image import to_uint8
from jaxgen.core.types import Array
from jaxgen.io.errors import InputError
from jaxgen.models.latents.directions import closed_form_directions, interpolate, principal_directions

AT_ONCE = 256
"""Images that are generated together."""

NO_FIELDS: Fields = MappingProxyType({})


def mix_styles(content: Array, style: Array, layer: int) -> Array:
    """Codes [N, L, W] with the layers below `layer` from `content` and the others from `style`.

    Raises:
      InputError: there is no such layer; 0 is all style and L all content.
    """
    count = content.shape[1]
    if not 0 <= layer <= count:
        raise InputError(f"Mixing at layer {layer}: expected 0 to {count}.")
    return jnp.where((jnp.arange(count) < layer)[:, None], content, style)


def style_mixtures(
    controls: Controls,
    content: Array,
    style: Array,
    fields: Fields = NO_FIELDS,
    *,
    layer: int,
    style_fields: Fields = NO_FIELDS,
) -> Array:
    """Style mixing [R + 1, S + 1]: contents of latents [R, Z] down the first column, styles of [S, Z] across the top.

    Raises:
      InputError: there is no such layer.
    """
    codes, styles = controls.codes(content, fields), controls.codes(style, style_fields)
    mixed = jax.vmap(lambda one: mix_styles(jnp.broadcast_to(one, styles.shape), styles, layer))(codes)
    inside = _draw(controls, jnp.concatenate([codes[:, None], mixed], axis=1), content, fields)
    first = _draw(controls, styles[:, None], style, style_fields)[:, 0]
    return jnp.concatenate([jnp.concatenate([jnp.zeros_like(first[:1]), first])[None], inside])


def truncations(
    controls: Controls,
    latents: Array,
    fields: Fields = NO_FIELDS,
    *,
    values: Sequence[float],
    seed: int = 0,
    num: int = 1_000,
) -> Array:
    """The truncation trick: images from the mean of `num` codes (0) to the codes of latents [R, Z] (1).

    Karras et al. (2019), https://arxiv.org/abs/1812.04948, appendix B.

    Raises:
      InputError: no values, or one outside [0, 1].
    """
    if not values:
        raise InputError("No truncations were given: expected some from 0 (the mean) to 1 (as drawn).")
    for value in values:
        if not 0 <= value <= 1:
            raise InputError(f"Truncation {value}: expected 0 (the mean) to 1 (as drawn).")
    codes = controls.codes(latents, fields)
    others = controls.draw(jnp.uint32(seed % 2**32), jnp.arange(num, dtype=jnp.int32))

    def centre(row: int) -> Array:
        one = {name: jnp.broadcast_to(array[row], (num, *array.shape[1:])) for name, array in fields.items()}
        return controls.codes(others, one).mean(0)

    centres = jnp.stack([centre(row) for row in range(len(latents) if fields else 1)])
    shares = jnp.asarray(values)[None, :, None, None]
    return _draw(controls, centres[:, None] + shares * (codes - centres)[:, None], latents, fields)


def interpolations(
    controls: Controls, latents: Array, fields: Fields = NO_FIELDS, *, columns: int, spherical: bool = False
) -> Array:
    """Rows of interpolations from the codes of latents [0, R) to those of latents [R, 2 R), evenly spaced."""
    rows = len(latents) // 2
    first, last = (controls.codes(part, fields) for part in (latents[:rows], latents[rows : 2 * rows]))
    codes = interpolate(first, last, columns, spherical=spherical)
    return _draw(controls, jnp.moveaxis(codes, 0, 1), latents[:rows], fields)


def find_directions(
    controls: Controls, latents: Array, fields: Fields = NO_FIELDS, *, num: int, method: Literal["sefa", "ganspace"]
) -> Array:
    """Directions [num, W] of codes, the strongest first, scaled to the codes' standard deviation along them.

    SeFa's directions change the first layer most.  GANSpace's are regressed on the principal components of the first
    layer's outputs for latents [N, Z].

    Raises:
      InputError: more directions than there are.
    """
    codes = controls.codes(latents, fields)
    layers, size = codes.shape[1:]
    if not 1 <= num <= size:
        raise InputError(f"{num} directions: expected 1 to {size}.")
    if method == "sefa":
        units = jnp.concatenate([jnp.zeros((1, size)), jnp.eye(size)])
        outputs = controls.first_layer(jnp.broadcast_to(units[:, None], (size + 1, layers, size)))
        directions = closed_form_directions(outputs[1:] - outputs[:1])[0][:num]
    else:
        outputs = controls.first_layer(codes)
        components, deviations = principal_directions(outputs, num)
        places = (outputs - outputs.mean(0)) @ components.T / deviations
        regressed = places.T @ (codes - codes.mean(0)).mean(1) / (len(codes) - 1)
        directions = regressed / jnp.linalg.norm(regressed, axis=1, keepdims=True)
    return directions * (codes.mean(1) @ directions.T).std(0)[:, None]


def traversals(
    controls: Controls, latent: Array, directions: Array, fields: Fields = NO_FIELDS, *, steps: Array
) -> Array:
    """A row for each direction [D, W]: images of a latent [Z] moved by steps [S] along it in all layers."""
    codes = controls.codes(latent[None], dict(fields))
    moved = codes[0] + steps[None, :, None, None] * directions[:, None, None]
    latents, fields = jax.tree.map(
        lambda array: jnp.broadcast_to(array, (len(directions), *array.shape[1:])), (latent[None], dict(fields))
    )
    return _draw(controls, moved, latents, fields)


def _draw(controls: Controls, codes: Array, latents: Array, fields: Fields) -> Array:
    """Images of codes [R, S, L, W]; each row has the noise of one latent [R, Z] and one set of conditions."""
    rows, columns = codes.shape[:2]
    flat = codes.reshape(-1, *codes.shape[2:])
    inputs = flat, *jax.tree.map(lambda array: jnp.repeat(array, columns, axis=0), (latents, dict(fields)))
    starts = range(0, len(flat), AT_ONCE)
    parts = [jax.tree.map(lambda array, at=at: array[at : at + AT_ONCE], inputs) for at in starts]
    images = jnp.concatenate([controls.generate(*part) for part in parts])
    return to_uint8(images).reshape(rows, columns, *images.shape[1:])
