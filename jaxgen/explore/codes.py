"""Codes of a run's images: those of a seed, between four of them, along directions, and of a picture."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.image import to_float, to_uint8
from jaxgen.core.types import Array
from jaxgen.explore.views import PICTURE, View, fields_of
from jaxgen.export import ExportedControls
from jaxgen.io.errors import InputError
from jaxgen.models.latents.directions import between
from jaxgen.models.latents.inversion import find_codes
from jaxgen.models.latents.selection import children
from jaxgen.models.latents.traversals import find_directions, mix_styles

DIRECTIONS, SAMPLES, CENTRE = 6, 500, 500
"""Sliders, latents that directions are found from, and those whose mean code is the centre of truncation."""

STEPS, STARTS, MOST_FOUND = 150, 4, 8
"""Of the optimisation that finds a picture's code, and the number of pictures whose codes are kept."""


class Codes:
    """The codes of one run.  Functions are compiled once for each size.

    `read` takes the name of a picture to its pixels at the run's size, uint8 [H, W, C].
    """

    def __init__(self, exported: ExportedControls, read: Callable[[str], np.ndarray], *, is_diffusion: bool):
        self.exported, self.read, self.is_diffusion = exported, read, is_diffusion
        self._directions: dict[tuple[str, str], Array] = {}
        self._found: dict[tuple[str, str, str], Array] = {}

    def images(self, codes: Array, view: View) -> np.ndarray:
        """The images uint8 [N, H, W, C] of codes [N, L, W]; what codes leave out is that of the first corner."""
        first = max(view.corners[0], 0)  # a picture has no latent of its own
        latents = jnp.repeat(self._chosen(view, (first,)), len(codes), axis=0)
        return np.asarray(self._to_images(codes, latents, self._fields(view, len(codes))))

    def wall(self, view: View, fields: dict[str, np.ndarray]) -> np.ndarray:
        """The images [num, H, W, C] of the view's seed after its rounds, truncated."""
        latents = self._chosen(view, tuple(range(view.num)))
        codes = self._truncated(self._codes(latents, fields), view)
        return np.asarray(self._to_images(codes, latents, fields))

    def between(self, view: View, places: np.ndarray) -> Array:
        """The codes [T, L, W] at places [T, 2] between the four corners."""
        codes = self._corners(view, view.corners)
        across, down = jnp.asarray(places, jnp.float32).T[..., None, None]
        way = partial(between, spherical=view.spherical)
        upper, lower = (way(first, last, across) for first, last in (codes[:2], codes[2:]))
        codes = self._truncated(way(upper, lower, down), view)
        if not any(view.moves):
            return codes
        directions = self._along(view)
        if len(view.moves) > len(directions):
            raise InputError(f"{len(view.moves)} moves were given; this run has {len(directions)} directions.")
        return codes + jnp.asarray(view.moves) @ directions[: len(view.moves)]

    def mixture(self, view: View) -> Array:
        """The code [1, L, W] of the first corner's content in the second corner's style."""
        if self.num_layers == 1:
            raise InputError("This run has no style-based generator: its layers have no styles of their own.")
        if view.layer > self.num_layers:
            raise InputError(f"layer is {view.layer}; this run has {self.num_layers} layers.")
        content, style = self._corners(view, view.corners[:2])
        return self._truncated(mix_styles(content[None], style[None], view.layer), view)

    @cached_property
    def num_layers(self) -> int:
        """The number L of layers that read a code of their own."""
        fields = {name: jnp.zeros((1, *one.shape), one.dtype) for name, one in self.exported.conditions.items()}
        return jax.eval_shape(self._codes, self._latents(0, (0,)), fields).shape[1]

    @cached_property
    def num_directions(self) -> int:
        """How many directions can be found."""
        if self.is_diffusion:
            return 0  # the noise of a diffusion model has no directions of its own
        return min(DIRECTIONS, int(np.prod(self._latents(0, (0,)).shape[1:])))

    def _corners(self, view: View, numbers: tuple[int, ...]) -> Array:
        """The codes [N, L, W] of images of the view, by number."""
        latents = self._chosen(view, tuple(max(number, 0) for number in numbers))
        codes = self._codes(latents, self._fields(view, len(numbers)))
        if PICTURE not in numbers:
            return codes
        is_picture = jnp.array([number == PICTURE for number in numbers])
        return jnp.where(is_picture[:, None, None], self._inverted(view), codes)

    def _inverted(self, view: View) -> Array:
        """The code [1, L, W] of the view's picture: the encoder's if the run has one, else found by optimisation."""
        if not view.picture:
            raise InputError("A corner is the picture, and there is none.")
        asked = view.picture, view.label, view.text
        if asked not in self._found:
            image, fields = jnp.asarray(self.read(view.picture)[None]), self._fields(view, 1)
            if self._controls.encode is None:
                code, _ = find_codes(self._controls, image, fields, seed=1, steps=STEPS, starts=STARTS)
            else:
                code = self._codes(self._controls.encode(to_float(image), fields), fields)
            self._found = dict([*self._found.items(), (asked, code)][-MOST_FOUND:])
        return self._found[asked]

    def _chosen(self, view: View, numbers: tuple[int, ...]) -> Array:
        """The latents [N, Z] of images of the view, after its rounds; each is half as far from the liked ones."""
        if not view.rounds:
            return self._latents(view.seed, numbers)
        if "label" in self.exported.conditions and not view.label:
            raise InputError("Choose a class first: images of different classes have no children.")
        if max(numbers) >= view.num:
            raise InputError(f"After a round there are images 0 to {view.num - 1}; {max(numbers)} is none of them.")
        latents, key = self._latents(view.seed, tuple(range(view.num))), jax.random.key(view.seed)
        for number, liked in enumerate(view.rounds):
            parents = latents[jnp.asarray(liked)]
            latents = children(jax.random.fold_in(key, number), parents, view.num, closeness=1 - 0.5 ** (number + 1))
        return latents[jnp.asarray(numbers)]

    def _fields(self, view: View, num: int) -> dict[str, Array]:
        fields = fields_of(view, self.exported.conditions, self.exported.tokenizer, 1)
        return {name: jnp.repeat(jnp.asarray(array), num, axis=0) for name, array in fields.items()}

    def _truncated(self, codes: Array, view: View) -> Array:
        if view.truncation == 1:
            return codes
        centre = self._centre(view)
        return centre + view.truncation * (codes - centre)

    def _centre(self, view: View) -> Array:
        latents = self._latents((view.seed + 1) % 2**32, tuple(range(CENTRE)))
        fields = fields_of(view, self.exported.conditions, self.exported.tokenizer, CENTRE)  # of all classes in turn
        return self._codes(latents, fields).mean(0)

    def _along(self, view: View) -> Array:
        """The directions [D, W] of the codes that change images most, for the view's conditions."""
        condition = view.label, view.text
        if condition not in self._directions:
            latents, fields = self._latents(1, tuple(range(SAMPLES))), self._fields(view, SAMPLES)
            found = find_directions(self._controls, latents, fields, num=self.num_directions, method="sefa")
            self._directions = {condition: found}
        return self._directions[condition]

    @property
    def _controls(self) -> Any:
        return self.exported.controls

    def _latents(self, seed: int, numbers: tuple[int, ...]) -> Array:
        return self._draw(jnp.uint32(seed), jnp.asarray(numbers, jnp.int32))

    @cached_property
    def _draw(self) -> Callable[..., Array]:
        return jax.jit(self._controls.draw)

    @cached_property
    def _codes(self) -> Callable[..., Array]:
        return jax.jit(self._controls.codes)

    @cached_property
    def _to_images(self) -> Callable[..., Array]:
        generate = self._controls.generate
        return jax.jit(lambda codes, latents, fields: to_uint8(generate(codes, latents, fields)))
