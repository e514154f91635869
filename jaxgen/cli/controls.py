"""A run's exported controls, and the pictures that verbs draw with them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax.numpy as jnp
import numpy as np

from jaxgen.cli.arguments import read_images, require_run, require_suffix, writing
from jaxgen.cli.conditions import DrawOptions, fields_from_options
from jaxgen.cli.trained_on import images_of
from jaxgen.core.condition import Fields
from jaxgen.core.controls import Controls
from jaxgen.core.image import to_uint8
from jaxgen.core.types import Array
from jaxgen.export import ExportedControls, load_controls
from jaxgen.io.errors import InputError
from jaxgen.io.pictures import save_animation, save_grid
from jaxgen.io.program import UserPath
from jaxgen.io.terminal import say
from jaxgen.training.config import Bounds

Rows = Annotated[int, Bounds(least=1, most=100)]


@dataclass(frozen=True)
class ImageOptions(DrawOptions):
    """Options of verbs that take images, or draw them."""

    images: str = ""
    """A data set's name (mnist, fashion_mnist, cifar10, binarized_mnist), a folder of images or an archive (.npz,
    .npy, .zip, .tar, .tar.gz); by default images drawn from the run."""
    data_dir: UserPath | None = None
    """The folder of prepared data sets."""
    offline: bool = False
    """Never download."""
    num: Rows = 8
    """How many images: the first ones."""


def read_controls(run: Path, out: Path) -> ExportedControls:
    """The controls of a run, for a picture `out`.

    Raises:
      InputError: `out` is no .png or .gif, there is no such run, or it has no controls.
    """
    require_suffix(out, ".png", ".gif")
    require_run(run)
    return load_controls(run / "controls")


def fields_for(options: DrawOptions, exported: ExportedControls, num: int) -> Fields:
    """The fields [num, ...] of the run's conditions from the options.

    Raises:
      InputError: an option is missing, does not fit, or belongs to no condition of the run.
    """
    fields = fields_from_options(options, exported, num)
    return {name: jnp.asarray(array) for name, array in fields.items()}


def draw_latents(controls: Controls, seed: int, first: int, num: int) -> Array:
    """The latents [num, Z] of the images from number `first` on in the stream of a seed."""
    return controls.draw(jnp.uint32(seed % 2**32), first + jnp.arange(num, dtype=jnp.int32))


def images_and_fields(options: ImageOptions, exported: ExportedControls) -> tuple[Array, Fields]:
    """At most `options.num` images uint8 [N, H, W, C], read or drawn, and the fields of their conditions.

    Raises:
      InputError: the images or the conditions cannot be used.
    """
    controls, fields = exported.controls, fields_for(options, exported, options.num)
    if not options.images:
        latents = draw_latents(controls, options.seed, 0, options.num)
        return to_uint8(controls.generate(controls.codes(latents, fields), latents, fields)), fields
    images = images_of(options.run)
    data = read_images(options.images, data_dir=options.data_dir, offline=options.offline, images=images)
    if data.spec != exported.spec:
        size, expected = ("x".join(map(str, spec)) for spec in (data.spec, exported.spec))
        raise InputError(f"--images {options.images} are {size}; {options.run} draws {expected}.")
    images = jnp.asarray(data.arrays["image"][: options.num])
    return images, {name: array[: len(images)] for name, array in fields.items()}


def save_rows(path: Path, images: Array | np.ndarray) -> None:
    """Writes images [rows, columns, H, W, C] as a grid, or as an animation with a frame for each column.

    Raises:
      InputError: the file cannot be written.
    """
    images = np.asarray(images)
    rows, columns = images.shape[:2]
    with writing(path):
        if path.suffix == ".gif":
            save_animation(path, np.moveaxis(images, 1, 0))
        else:
            save_grid(path, images.reshape(-1, *images.shape[2:]), columns=columns)
    say(f"{rows} rows of {columns} images in {path}")
