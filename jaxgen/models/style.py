"""What a style-based generator has control of: which layers are told which style, and how far from the mean."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.image import to_uint8
from jaxgen.nets import StyleGenerator
from jaxgen.types import Array, Variables


def mix_styles(content: Array, style: Array, layer: int) -> Array:
    """The w [B, L, W] of `content` in the layers below `layer`, and of `style` from there on.

    Raises:
      InputError: there is no such layer; 0 is all style and L all content.
    """
    count = content.shape[1]
    if not 0 <= layer <= count:
        raise InputError(f"Mixing at layer {layer}: expected 0 to {count}.")
    return jnp.where((jnp.arange(count) < layer)[:, None], content, style)


def style_mixtures(
    generator: StyleGenerator, variables: Variables, key: Array, *, rows: int = 6, columns: int = 8, layer: int = 2
) -> Array:
    """A grid uint8 [rows + 1, columns + 1, H, W, C]: content down the first column, style across the first row.

    Raises:
      InputError: there is no such layer.
    """
    latent = jax.random.normal(key, (rows + columns, generator.latent_size))
    w = _styles(generator, variables, latent)
    content, style = w[:rows], w[rows:]
    mixed = jax.vmap(lambda one: mix_styles(jnp.broadcast_to(one, style.shape), style, layer))(content)
    noise = jnp.repeat(latent[:rows], columns, axis=0)
    inside = _synthesize(generator, variables, mixed.reshape(-1, *w.shape[1:]), noise)
    alone = _synthesize(generator, variables, w, latent)
    blank = jnp.zeros_like(alone[:1])
    first = jnp.concatenate([blank, alone[rows:]])[None]
    others = jnp.concatenate([alone[:rows, None], inside.reshape(rows, columns, *inside.shape[1:])], axis=1)
    return to_uint8(jnp.concatenate([first, others]))


def truncations(
    generator: StyleGenerator,
    variables: Variables,
    key: Array,
    *,
    rows: int = 6,
    values: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
) -> Array:
    """Images uint8 [rows, values, H, W, C] from the mean (0) to the styles drawn (1).

    Raises:
      InputError: a value outside [0, 1].
    """
    latent = jax.random.normal(key, (rows, generator.latent_size))
    columns = [
        _synthesize(generator, variables, _styles(generator, variables, latent, truncation=value), latent)
        for value in values
    ]
    return to_uint8(jnp.stack(columns, axis=1))


def _styles(generator: StyleGenerator, variables: Variables, latent: Array, truncation: float = 1.0) -> Array:
    if not 0 <= truncation <= 1:
        raise InputError(f"Truncation {truncation}: expected 0 (the mean) to 1 (as drawn).")
    z = latent[:, : generator.style_size]
    return generator.apply(variables, z, train=False, truncation=truncation, method="styles")  # pyright: ignore[reportReturnType]


def _synthesize(generator: StyleGenerator, variables: Variables, styles: Array, latent: Array) -> Array:
    return generator.apply(variables, styles, latent, method="synthesize")  # pyright: ignore[reportReturnType]
