"""The option --augment: random transforms of the training images, where they go with the data and the model."""

from jaxgen.core.image import ImageSpec
from jaxgen.io.errors import InputError
from jaxgen.models import augment, crop, jitter_colour, mirror, shift, turn
from jaxgen.training.recipe import Recipe

TRANSFORMS = {"mirror": mirror, "crop": crop, "shift": shift, "turn": turn, "colour": jitter_colour}


def augmented(recipe: Recipe, names: tuple[str, ...], spec: ImageSpec) -> Recipe:
    """The recipe trained on images of a size that go through the named transforms, in their order.

    What is drawn, evaluated and exported is not augmented.

    Raises:
      InputError: images that are not square are to be turned, or the model is conditioned on features.
    """
    option = f"--augment {' '.join(names)}"
    if "turn" in names and spec.height != spec.width:
        raise InputError(f"{option}: turn is for square images; these are {spec.height}x{spec.width}.")
    if names and "features" in recipe.sampler.conditions:
        raise InputError(
            f"{option}: the model is conditioned on features, which would not be those of a changed image."
        )
    return recipe._replace(update=augment(recipe.update, *(TRANSFORMS[name] for name in names)))
