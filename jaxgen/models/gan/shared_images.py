"""Images that are drawn once for all losses of a step."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from jaxgen.core.objective import stream, with_changes
from jaxgen.core.types import Array, Context, Networks, OptState, PyTree, Update, Variables
from jaxgen.models.gan.model import GAN


class Drawn(NamedTuple):
    """Images of one forward pass of the generator, the collections that it changed, and the way back."""

    images: Array
    changes: Variables
    pull_back: Callable[[Array], tuple[PyTree]]

    def again(self, networks: Networks) -> tuple[Array, Variables]:
        """The images as a function of the generator's parameters, and the collections that changed."""
        return _again(networks["generator"]["params"], self.images, self.pull_back), self.changes


def share_images(gan: GAN, update: Update) -> Update:
    """The update with images drawn once, by the generator as it was before the step, for all losses.

    With the generator trained last it is the usual alternating algorithm, less a forward pass.  Losses get first
    derivatives with respect to the generator's parameters, at the parameters that drew the images.
    """

    def shared(networks: Networks, opt_state: OptState, context: Context):
        drawing = stream(context, "images")
        drawing = drawing._replace(batch={**context.batch, "latent": gan.latents(drawing)})

        def draw(params: PyTree) -> tuple[Array, Variables]:
            return gan.draw(with_changes(networks, {"generator": {"params": params}}), drawing)

        images, pull_back, changes = jax.vjp(draw, networks["generator"]["params"], has_aux=True)
        batch = {**drawing.batch, "drawn": Drawn(images, changes, pull_back)}
        return update.update(networks, opt_state, context._replace(batch=batch))

    return update._replace(update=shared)


@jax.custom_vjp
def _again(params: PyTree, images: Array, pull_back: Callable) -> Array:  # noqa: ARG001
    """Images that were drawn with these parameters, as a function of them."""
    return images


_again.defvjp(
    lambda params, images, pull_back: (images, pull_back),  # noqa: ARG005
    lambda pull_back, cotangent: (*pull_back(cotangent), None, None),
)
