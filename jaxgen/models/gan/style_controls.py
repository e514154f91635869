"""What a style-based generator has control of: which layers are told which style."""

from collections.abc import Callable

import jax.numpy as jnp

from jaxgen.core.condition import conditioning
from jaxgen.core.types import Array, Networks
from jaxgen.models.gan.model import GAN
from jaxgen.models.latents.controls import Controls
from jaxgen.nets import StyleGenerator, dense_outputs


def style_controls(gan: GAN, network: str) -> Callable[[Networks], Controls]:
    """The controls of a GAN whose generator called `network` is style-based: its codes are the w [N, L, W].

    Raises:
      TypeError: it is not style-based.
    """
    generator = gan.generator
    if not isinstance(generator, StyleGenerator):
        raise TypeError(f"style_controls was given a {type(generator).__name__}; expected a StyleGenerator.")

    def controls(networks: Networks) -> Controls:
        variables = networks[network]

        def codes(latents: Array, *field: Array) -> Array:
            z, condition = latents[:, : generator.style_size], conditioning(gan.conditions, fields)
            return generator.apply(variables, z, *condition, method="styles")  # pyright: ignore[reportReturnType]

        def generate(codes: Array, latents: Array, *field: Array) -> Array:  # noqa: ARG001
            return generator.apply(variables, codes, latents, method="synthesize")  # pyright: ignore[reportReturnType]

        def first_layer(codes: Array) -> Array:
            latents = jnp.zeros((codes.shape[0], generator.latent_size))
            return jnp.concatenate(dense_outputs(generator, variables, codes, latents, method="synthesize"), axis=-1)

        whole = gan.controls(network)(networks)
        return whole._replace(codes=codes, generate=generate, first_layer=first_layer)

    return controls
