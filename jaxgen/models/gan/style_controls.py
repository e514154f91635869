"""Controls of a style-based generator: a style for each layer."""

from collections.abc import Callable

import jax.numpy as jnp

from jaxgen.core.condition import Fields, conditioning
from jaxgen.core.controls import Controls
from jaxgen.core.types import Array, Networks
from jaxgen.models.gan.model import GAN
from jaxgen.nets import StyleGenerator, dense_outputs


def style_controls(gan: GAN) -> Callable[[Networks], Controls]:
    """The controls of a GAN with a style-based generator as a function of its networks.

    Their codes are the styles w [N, L, W].

    Raises:
      TypeError: the generator is not style-based.
    """
    generator = gan.generator
    if not isinstance(generator, StyleGenerator):
        raise TypeError(f"style_controls was given a {type(generator).__name__}; expected a StyleGenerator.")

    def controls(networks: Networks) -> Controls:
        variables = networks[gan.generator_name]

        def codes(latents: Array, fields: Fields) -> Array:
            z, condition = latents[:, : generator.style_size], conditioning(gan.conditions, fields)
            return generator.apply(variables, z, *condition, method="styles")  # pyright: ignore[reportReturnType]

        def generate(codes: Array, latents: Array, fields: Fields) -> Array:  # noqa: ARG001
            return generator.apply(variables, codes, latents, method="synthesize")  # pyright: ignore[reportReturnType]

        def first_layer(codes: Array) -> Array:
            latents = jnp.zeros((codes.shape[0], generator.latent_size))
            return jnp.concatenate(dense_outputs(generator, variables, codes, latents, method="synthesize"), axis=-1)

        return gan.controls(networks)._replace(codes=codes, generate=generate, first_layer=first_layer)

    return controls
