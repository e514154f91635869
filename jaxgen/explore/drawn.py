"""Pictures that a run's exported functions draw, for the views of the page."""

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.image import to_uint8
from jaxgen.core.types import Array
from jaxgen.explore.views import View, fields_of
from jaxgen.export import (
    ExportedControls,
    ExportedDenoiser,
    ExportedSampler,
    load_controls,
    load_denoiser,
    load_sampler,
)
from jaxgen.export.solving import SOLVERS, Solving, draw_by_solver, require_solving
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath, write_whole
from jaxgen.io.pictures import animation, save_grid
from jaxgen.models.latents.directions import between
from jaxgen.models.latents.selection import children
from jaxgen.models.latents.traversals import find_directions

DIRECTIONS, SAMPLES, CENTRE = 6, 500, 500
"""Sliders, latents that directions are found from, and those whose mean code is the centre of truncation."""


class Drawer:
    """Draws views of one run.  Its functions are read when they are needed, and compiled once for each size."""

    def __init__(self, path: Path):
        self.path = path
        self._found: dict[tuple[str, str], Array] = {}

    @cached_property
    def sampler(self) -> ExportedSampler:
        """The exported sampler."""
        return load_sampler(self.path / "sampler")

    @cached_property
    def controls(self) -> ExportedControls | None:
        """The exported controls, if there are any."""
        return load_controls(self.path / "controls") if (self.path / "controls").is_dir() else None

    @cached_property
    def denoiser(self) -> ExportedDenoiser | None:
        """The exported denoiser of a diffusion run."""
        return load_denoiser(self.path / "denoiser") if (self.path / "denoiser").is_dir() else None

    def about(self) -> dict[str, Any]:
        """What can be asked of this run, for the page.

        Raises:
          InputError: the run has exported nothing yet, or its files are damaged.
        """
        conditions = self.sampler.conditions
        label = conditions.get("label")
        names = list(label.class_names or map(str, range(label.classes))) if label else []
        return {
            "spec": list(self.sampler.spec),
            "labels": names,
            "takes_text": "text" in conditions,
            "others": [name for name in conditions if name not in ("label", "text")],
            "has_controls": self.controls is not None and "image" not in conditions,
            "is_diffusion": self.denoiser is not None,
            "solvers": list(SOLVERS),
            "directions": self._num_directions(),
        }

    def images(self, view: View) -> np.ndarray:
        """The images uint8 [N, H, W, C] of a view: a wall, one image, or the frames of a film.

        Raises:
          InputError: the run cannot draw it.
        """
        if view.kind == "wall":
            return self._wall(view)
        places = around(view.frames) if view.kind == "film" else np.array([(view.across, view.down)])
        return self._generate(self._between(view, places), view)

    def _wall(self, view: View) -> np.ndarray:
        fields = fields_of(view, self.sampler.conditions, self.sampler.tokenizer, view.num)
        asked = {name: value for name in Solving._fields if (value := getattr(view, name)) is not None}
        if asked and self.denoiser is None:
            raise InputError(f"{next(iter(asked))} is for diffusion runs that export their denoiser.")
        if asked and (view.rounds or view.truncation != 1):
            raise InputError(f"{next(iter(asked))} draws no rounds and no truncation: only the run's own sampler does.")
        if asked and self.denoiser is not None:
            how = Solving(**asked)
            require_solving(how, self.denoiser)
            return draw_by_solver(self.denoiser, how, view.seed, view.num, fields)
        if not view.rounds and view.truncation == 1:
            return self.sampler.draw(view.seed, view.num, fields=fields)
        latents = self._chosen(view, tuple(range(view.num)))
        codes = self._truncated(self._codes(latents, fields), view)
        return np.asarray(self._to_images(codes, latents, fields))

    def _between(self, view: View, places: np.ndarray) -> Array:
        """The codes [T, L, W] at places [T, 2] between four images."""
        corners = self._chosen(view, view.corners)
        codes = self._codes(corners, self._fields(view, 4))
        across, down = jnp.asarray(places, jnp.float32).T[..., None, None]
        way = partial(between, spherical=view.spherical)
        upper, lower = (way(first, last, across) for first, last in (codes[:2], codes[2:]))
        codes = self._truncated(way(upper, lower, down), view)
        if not any(view.moves):
            return codes
        directions = self._directions(view)
        if len(view.moves) > len(directions):
            raise InputError(f"{len(view.moves)} moves were given; this run has {len(directions)} directions.")
        return codes + jnp.asarray(view.moves) @ directions[: len(view.moves)]

    def _generate(self, codes: Array, view: View) -> np.ndarray:
        latents = jnp.repeat(self._chosen(view, view.corners[:1]), len(codes), axis=0)
        return np.asarray(self._to_images(codes, latents, self._fields(view, len(codes))))

    @property
    def _functions(self) -> Any:
        if self.controls is None:
            raise InputError("This run exports no controls: it can only draw the images of a seed.")
        return self.controls.controls

    def _fields(self, view: View, num: int) -> dict[str, Array]:
        exported = self.controls
        assert exported is not None  # its functions were asked for
        fields = fields_of(view, exported.conditions, exported.tokenizer, 1)
        return {name: jnp.repeat(jnp.asarray(array), num, axis=0) for name, array in fields.items()}

    def _chosen(self, view: View, numbers: tuple[int, ...]) -> Array:
        """The latents [N, Z] of images of the view, after its rounds; each is half as far from the liked ones."""
        if not view.rounds:
            return self._latents(view.seed, numbers)
        if "label" in self.sampler.conditions and not view.label:
            raise InputError("Choose a class first: images of different classes have no children.")
        if max(numbers) >= view.num:
            raise InputError(f"After a round there are images 0 to {view.num - 1}; {max(numbers)} is none of them.")
        latents, key = self._latents(view.seed, tuple(range(view.num))), jax.random.key(view.seed)
        for number, liked in enumerate(view.rounds):
            parents = latents[jnp.asarray(liked)]
            latents = children(jax.random.fold_in(key, number), parents, view.num, closeness=1 - 0.5 ** (number + 1))
        return latents[jnp.asarray(numbers)]

    def _latents(self, seed: int, numbers: tuple[int, ...]) -> Array:
        return self._draw(jnp.uint32(seed), jnp.asarray(numbers, jnp.int32))

    @cached_property
    def _draw(self) -> Callable[..., Array]:
        return jax.jit(self._functions.draw)

    @cached_property
    def _codes(self) -> Callable[..., Array]:
        return jax.jit(self._functions.codes)

    @cached_property
    def _to_images(self) -> Callable[..., Array]:
        generate = self._functions.generate
        return jax.jit(lambda codes, latents, fields: to_uint8(generate(codes, latents, fields)))

    def _truncated(self, codes: Array, view: View) -> Array:
        if view.truncation == 1:
            return codes
        centre = self._centre(view)
        return centre + view.truncation * (codes - centre)

    def _centre(self, view: View) -> Array:
        latents = self._latents((view.seed + 1) % 2**32, tuple(range(CENTRE)))
        fields = fields_of(view, self.sampler.conditions, self.sampler.tokenizer, CENTRE)  # of all classes in turn
        return self._codes(latents, fields).mean(0)

    def _num_directions(self) -> int:
        if self.controls is None or self.denoiser or "image" in self.sampler.conditions:
            return 0  # the noise of a diffusion model has no directions of its own
        return min(DIRECTIONS, int(np.prod(self._latents(0, (0,)).shape[1:])))

    def _directions(self, view: View) -> Array:
        """The directions [D, W] of the codes that change images most, for the view's conditions."""
        condition = view.label, view.text
        if condition not in self._found:
            latents, fields = self._latents(1, tuple(range(SAMPLES))), self._fields(view, SAMPLES)
            found = find_directions(self._functions, latents, fields, num=self._num_directions(), method="sefa")
            self._found = {condition: found}
        return self._found[condition]


def around(frames: int) -> np.ndarray:
    """Places [T, 2] on the way around the unit square, evenly spaced; it starts at (0, 0) and does not end there."""
    corners = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)])
    side, share = np.divmod(np.linspace(0, 4, frames, endpoint=False), 1)
    first, last = (corners[side.astype(int) + step] for step in (0, 1))
    return first + share[:, None] * (last - first)


def save_view(path: AnyPath, drawer: Drawer, view: View) -> None:
    """Writes a view as a PNG, or a film as a GIF that is a loop.

    Raises:
      InputError: the run cannot draw it.
    """
    images = drawer.images(view)
    if view.kind == "film":
        write_whole(path, animation(images[:, None], is_loop=True))
    else:
        save_grid(path, images)
