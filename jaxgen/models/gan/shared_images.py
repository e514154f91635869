"""Images that are drawn once for all losses of a step."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from jaxgen.core.batch import gather_networks
from jaxgen.core.objective import share, stream, with_changes
from jaxgen.core.types import Array, Context, Networks, OptState, PyTree, Update, Variables
from jaxgen.models.gan.model import GAN


class SharedImages(NamedTuple):
    """Images of one forward pass of the generator, the collections that it mutated, and its pull-back."""

    generator_name: str
    latents: Array
    values: Array
    changes: Variables
    pull_back: Callable[[Array], tuple[PyTree]]
    conditioning: tuple[Array, ...] | None = None

    def images(self, networks: Networks) -> tuple[Array, Variables]:
        """The images as a function of the generator's parameters, and the mutated collections."""
        return _again(networks[self.generator_name]["params"], self.values, self.pull_back), self.changes


def share_images(gan: GAN, update: Update) -> Update:
    """The update with images drawn once, by the generator as it was before the step, for all losses of this GAN.

    With the generator trained last it is the usual alternating algorithm less a forward pass.  Losses get first
    derivatives with respect to the generator's parameters, at the parameters that drew the images.
    """
    name = gan.generator_name

    def shared(networks: Networks, opt_state: OptState, context: Context):
        drawing = stream(context, "images")
        latents = gan.latents(drawing)
        key, whole = stream(drawing, "dropout").key, gather_networks(networks)

        def draw(params: PyTree) -> tuple[Array, Variables]:
            variables = with_changes(whole, {name: {"params": params}})[name]
            return gan.generate(variables, latents, *gan.conditioning(context), train=True, key=key)

        images, pull_back, changes = jax.vjp(draw, whole[name]["params"], has_aux=True)
        value = SharedImages(name, latents, images, changes, pull_back)
        return update.update(networks, opt_state, share(context, gan.drawing, value))

    return update._replace(update=shared)


@jax.custom_vjp
def _again(params: PyTree, images: Array, pull_back: Callable) -> Array:  # noqa: ARG001
    """Images that these parameters drew, as a function of them."""
    return images


_again.defvjp(
    lambda params, images, pull_back: (images, pull_back),  # noqa: ARG005
    lambda pull_back, cotangent: (*pull_back(cotangent), None, None),
)
