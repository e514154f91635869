"""`python -m jaxgen invert` and `saliency`: what a run makes of given images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from rich.progress import track

from jaxgen.cli.arguments import read_images, require_suffix
from jaxgen.cli.steer import latents_of, read_controls, save_rows, told_rows
from jaxgen.core.image import to_float, to_uint8
from jaxgen.core.step import init_state, make_step
from jaxgen.core.types import Array, Networks
from jaxgen.core.update import minimize
from jaxgen.evaluation import compare_pairs
from jaxgen.export import ExportedControls
from jaxgen.io.errors import InputError
from jaxgen.models import inversion_loss, latent_network, saliency
from jaxgen.models.latents.controls import Controls
from jaxgen.training.config import Bounds, Count, Positive, Seed, require_bounds


@dataclass(frozen=True)
class Given:
    """What both ask for."""

    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    images: str = ""
    """A data set's name (mnist, cifar10), a folder of images or an .npz; by default images that the run draws."""
    data_dir: Path | None = None
    """Where prepared data sets are."""
    offline: bool = False
    """Never download."""
    num: Annotated[int, Bounds(least=1, most=100)] = 8
    """How many of them: the first ones."""
    seed: Seed = 0
    """Seed of the latents that are drawn."""
    label: tuple[int, ...] = ()
    """Classes of the images, in turn.  For conditional runs."""
    features: Path | None = None
    """An .npz whose `features` [N, F] go with the images in turn.  For runs that are conditioned on features."""
    text: tuple[str, ...] = ()
    """Words that go with the images in turn.  For runs that are conditioned on text."""


@dataclass(frozen=True)
class Invert(Given):
    """Find the codes of given images: what was given, and below it the nearest that the generator can draw."""

    steps: Count = 300
    """Steps of Adam."""
    starts: Annotated[int, Bounds(least=1, most=100)] = 8
    """Codes that are tried for each image; the best is kept.  With an encoder its code is one of them."""
    learning_rate: Positive = 0.1
    """Adam's."""
    weight: Annotated[float, Bounds(least=0)] = 0.0
    """Weight of the codes' mean square: how near to 0 they stay."""
    out: Path = Path("inversions.png")
    """A .png or an animated .gif; the codes are written beside it, as an .npz."""


@dataclass(frozen=True)
class Saliency(Given):
    """Show which pixels move the discriminator's judgement of images most."""

    out: Path = Path("saliency.png")
    """A .png or an animated .gif: the images, and below them the strength of each pixel's gradient."""


def look_at_given(options: Invert | Saliency) -> None:
    """Does what the options say, and writes it.

    Raises:
      InputError: an option is out of range, the images or the run cannot be used, or the file cannot be written.
    """
    require_bounds(options)
    require_suffix(options.out, ".png", ".gif")
    exported = read_controls(options.run)
    if isinstance(options, Saliency) and exported.controls.judge is None:
        raise InputError(f"{options.run} has no discriminator, whose judgement saliency is of.")
    field = told_rows(options, exported, options.num)  # pyright: ignore[reportArgumentType]
    images = _images(options, exported, field)
    field = tuple(array[: len(images)] for array in field)
    if isinstance(options, Invert):
        _invert(options, exported.controls, images, field)
    else:
        strength = saliency(lambda given: exported.controls.judge(given, *field), to_float(images))  # pyright: ignore[reportOptionalCall]
        shown = jnp.broadcast_to(jnp.round(255 * strength[..., None]).astype(jnp.uint8), images.shape)
        save_rows(options.out, np.stack([images, shown]))


def _images(options: Given, exported: ExportedControls, field: tuple[Array, ...]) -> Array:
    controls = exported.controls
    if not options.images:
        latents = latents_of(controls, options.seed, 0, options.num)
        return to_uint8(controls.generate(controls.codes(latents, *field), latents, *field))
    data = read_images(options.images, data_dir=options.data_dir, offline=options.offline)
    if data.spec != exported.spec:
        given, expected = ("x".join(map(str, spec)) for spec in (data.spec, exported.spec))
        raise InputError(f"--images {options.images} are {given}; {options.run} draws {expected}.")
    return jnp.asarray(data.arrays["image"][: options.num])


def _invert(options: Invert, controls: Controls, images: Array, field: tuple[Array, ...]) -> None:
    codes, drawn = find_codes(options, controls, images, field)
    save_rows(options.out, np.stack([images, drawn]))
    measures = compare_pairs(np.asarray(images), np.asarray(drawn))
    print(", ".join(f"{name.upper()} {value:.4g}" for name, (value, _) in measures._asdict().items()))
    archive = options.out.with_suffix(".npz")
    np.savez(archive, codes=codes, given=images, drawn=drawn)
    print(f"Their codes: {archive}")


def find_codes(options: Invert, controls: Controls, images: Array, field: tuple[Array, ...]) -> tuple[Array, Array]:
    """The best codes [N, L, W] that were found for images, and what is drawn of them."""
    starts, count = options.starts, len(images)
    latents = latents_of(controls, options.seed + 1, 0, starts * count)
    if controls.encode is not None:
        latents = latents.at[:count].set(controls.encode(to_float(images), *field))
    many = [jnp.tile(array, (starts, *[1] * (array.ndim - 1))) for array in (images, *field)]

    def generate(_: Networks, codes: Array) -> Array:
        return controls.generate(codes, latents, *many[1:])

    update = minimize(inversion_loss(generate, weight=options.weight), optax.adam(options.learning_rate), wrt="latent")
    state = init_state(update, {"latent": latent_network(controls.codes(latents, *many[1:]))}, jax.random.key(0))
    step = jax.jit(make_step(update))
    for _ in track(range(options.steps), description="Searching", transient=True):
        state, _ = step(state, {"image": many[0]})
    codes = state.networks["latent"]["params"]
    drawn = to_uint8(generate({}, codes))
    errors = jnp.square(to_float(drawn) - to_float(many[0])).mean((1, 2, 3)).reshape(starts, count)
    best = errors.argmin(0) * count + jnp.arange(count)
    return codes[best], drawn[best]
