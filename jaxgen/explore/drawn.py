"""Pictures that a run's exported functions draw, for the views of the page."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from jaxgen.core.condition import KNOWN
from jaxgen.data.image_file import read_image, with_channels
from jaxgen.data.image_options import AS_STORED, ImageOptions
from jaxgen.data.resize import resized_image
from jaxgen.explore.codes import Codes
from jaxgen.explore.pictures import fitted, nearest, restored, stylised
from jaxgen.explore.views import FILMS, SOLVING, View, fields_of
from jaxgen.explore.wide import draw_wide
from jaxgen.export import (
    TORUS,
    ExportedControls,
    ExportedDenoiser,
    ExportedRestorer,
    ExportedSampler,
    ExportedStylizer,
    ExportedTorus,
    draw_films,
    load_controls,
    load_denoiser,
    load_frame_sampler,
    load_restorer,
    load_sampler,
    load_stylizer,
    load_torus,
)
from jaxgen.export.denoiser import AUTOGUIDED
from jaxgen.export.films import FRAME_SAMPLER
from jaxgen.export.solving import SOLVERS, Solving, draw_by_solver, draw_trajectories, require_solving
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath, expanded, write_whole
from jaxgen.io.pictures import animation, save_grid
from jaxgen.io.sphere import save_sphere, whole_sphere

CANDIDATES = 500
"""Images of a seed among which those that are similar to a picture are found."""

HOLD = 12
"""Frames for which a film of a trajectory shows its last one."""

STEPS = 32
"""Of the solver that restores pictures, unless the view says how many."""

T = TypeVar("T")

Read = Callable[[str, ImageOptions], np.ndarray]
"""The name of a picture to its pixels, uint8 [H, W, C]."""


def read_file(name: str, options: ImageOptions) -> np.ndarray:
    """The picture in a file.

    Raises:
      InputError: there is none, or it cannot be read as the options say.
    """
    return read_image(expanded(name), options)


class Drawer:
    """Draws views of one run.  Its functions are read when they are needed; `read` reads the pictures of views."""

    def __init__(self, path: Path, read: Read = read_file):
        self.path, self.read = path, read

    @cached_property
    def sampler(self) -> ExportedSampler:
        """The exported sampler."""
        return load_sampler(self.path / "sampler")

    @cached_property
    def controls(self) -> ExportedControls | None:
        """The exported controls, if there are any."""
        return self._exported("controls", load_controls)

    @cached_property
    def denoiser(self) -> ExportedDenoiser | None:
        """The exported denoiser of a diffusion run, which restores pictures."""
        return self._exported("denoiser", load_denoiser)

    @cached_property
    def drawing_denoiser(self) -> ExportedDenoiser | None:
        """The denoiser that a diffusion run draws with."""
        return self._exported(AUTOGUIDED, load_denoiser) or self.denoiser

    @cached_property
    def restorer(self) -> ExportedRestorer | None:
        """The exported network of an image-to-image run."""
        return self._exported("restorer", load_restorer)

    @cached_property
    def stylizer(self) -> ExportedStylizer | None:
        """The exported style transfer."""
        return self._exported("stylizer", load_stylizer)

    @cached_property
    def frame_sampler(self) -> ExportedSampler | None:
        """The exported sampler of the frames of clips."""
        return self._exported(FRAME_SAMPLER, load_frame_sampler)

    @cached_property
    def torus(self) -> ExportedTorus | None:
        """The exported generator of textures that wrap around."""
        return self._exported(TORUS, load_torus)

    def _exported(self, name: str, load: Callable[[Path], T]) -> T | None:
        return load(self.path / name) if (self.path / name).is_dir() else None

    @cached_property
    def codes(self) -> Codes:
        """The codes of the run's images.

        Raises:
          InputError: the run exports no controls, or their codes depend on images.
        """
        if self.controls is None or "image" in self.controls.conditions:
            raise InputError("This run exports no controls: it can only draw the images of a seed.")
        return Codes(self.controls, self.picture, is_diffusion=self.denoiser is not None)

    def about(self) -> dict[str, Any]:
        """What can be asked of this run, for the page.

        Raises:
          InputError: the run has exported nothing yet, or its files are damaged.
        """
        conditions = self.sampler.conditions
        label = conditions.get("label")
        names = list(label.class_names or map(str, range(label.classes))) if label else []
        others = [name for name in conditions if name not in ("label", "text")]
        has_controls = self.controls is not None and not others
        return {
            "spec": list(self.sampler.spec),
            "labels": names,
            "takes_text": "text" in conditions,
            "others": others,
            "has_controls": has_controls,
            "is_diffusion": self.denoiser is not None,
            "draws_panoramas": self.denoiser is not None or self.torus is not None,
            "solvers": list(SOLVERS),
            "guidance": self.drawing_denoiser.guidance if self.drawing_denoiser else 1.0,
            "directions": self.codes.num_directions if has_controls else 0,
            "layers": self.codes.num_layers if has_controls else 1,
            "restores": self.restorer is not None or (self.denoiser is not None and not self.denoiser.conditions),
            "stylises": self.stylizer is not None,
            "draws_clips": self.frame_sampler is not None,
        }

    def images(self, view: View) -> np.ndarray:
        """The images uint8 [N, H, W, C] of a view; for films, the frames [T, N, H, W, C].

        Raises:
          InputError: the run cannot draw it.
        """
        draw = {
            "wall": self._wall,
            "point": self._point,
            "film": self._film,
            "mixture": lambda view: self.codes.images(self.codes.mixture(view), view),
            "trajectory": self._trajectory,
            "clips": self._clips,
            "panorama": self._panorama,
            "sphere": lambda view: whole_sphere(self._panorama(view)[0])[None],
            "similar": lambda view: self.similar(view)[1],
            "restored": self._restored,
            "stylised": self._stylised,
        }
        return draw[view.kind](view)

    def similar(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """The numbers int [num], and the images, of the view's wall that are the most similar to its picture, in order.

        Raises:
          InputError: there is no picture, the view has rounds, or the run cannot draw its wall.
        """
        if view.rounds:
            raise InputError("Rounds have no more than their own images: go back to those of the seed.")
        picture, images = self.picture(view.picture), self._wall(replace(view, num=CANDIDATES))
        numbers = nearest(images, picture)[: view.num]
        return numbers, images[numbers]

    def picture(self, name: str) -> np.ndarray:
        """A picture at the run's size, uint8 [H, W, C].

        Raises:
          InputError: none was chosen, or it cannot be read.
        """
        if not name:
            raise InputError("Choose a picture first.")
        spec = self.sampler.spec
        return with_channels(self.read(name, ImageOptions(size=spec[:2], grey=spec.channels == 1)), spec.channels)

    def _restored(self, view: View) -> np.ndarray:
        is_free = self.denoiser is not None and not self.denoiser.conditions
        by = self.restorer or (self.denoiser if is_free else None)
        if by is None:
            raise InputError("Pictures are restored by image-to-image runs, and diffusion runs without conditions.")
        picture = self.picture(view.picture)
        size, known = picture.shape[:2], np.ones((*picture.shape[:2], 1), bool)
        if view.mask:
            known = self.read(view.mask, ImageOptions(size=size, fit="stretch", grey=True)) >= 128
        return restored(by, picture, known, num=view.num, seed=view.seed, steps=view.steps or STEPS)

    def _stylised(self, view: View) -> np.ndarray:
        if self.stylizer is None:
            raise InputError("This run exports no style transfer.")
        if not (view.picture and view.style):
            raise InputError("Choose a picture, and another for its style.")
        content, style = (self._small(name, is_grey=self.stylizer.channels == 1) for name in (view.picture, view.style))
        return stylised(self.stylizer, content, style, view.strength)

    def _small(self, name: str, *, is_grey: bool) -> np.ndarray:
        image = self.read(name, AS_STORED)
        return resized_image(image, name, fitted(*image.shape[:2], is_grey=is_grey))

    def _wall(self, view: View) -> np.ndarray:
        how = self._solving(view)
        if how and (view.rounds or view.truncation != 1):
            asked = next(name for name in SOLVING if getattr(view, name) is not None)
            raise InputError(f"{asked} draws no rounds and no truncation: only the run's own sampler does.")
        fields = fields_of(view, self.sampler.conditions, self.sampler.tokenizer, view.num)
        if how and self.drawing_denoiser is not None:
            return draw_by_solver(self.drawing_denoiser, how, view.seed, view.num, fields)
        if not view.rounds and view.truncation == 1:
            return self.sampler.draw(view.seed, view.num, fields=fields)
        return self.codes.wall(view, fields)

    def _point(self, view: View) -> np.ndarray:
        return self.codes.images(self.codes.between(view, np.array([(view.across, view.down)])), view)

    def _film(self, view: View) -> np.ndarray:
        return self.codes.images(self.codes.between(view, around(view.frames)), view)[:, None]

    def _trajectory(self, view: View) -> np.ndarray:
        if self.drawing_denoiser is None:
            raise InputError("Only a diffusion run that exports its denoiser shows how images come out of noise.")
        if view.rounds or view.truncation != 1:
            raise InputError("A film out of noise shows the images of a seed, without rounds and truncation.")
        how = self._solving(view) or Solving()
        fields = fields_of(view, self.sampler.conditions, self.sampler.tokenizer, view.num)
        frames = np.moveaxis(draw_trajectories(self.drawing_denoiser, how, view.seed, view.num, fields), 1, 0)
        return np.concatenate([frames, frames[-1:].repeat(HOLD, axis=0)])

    def _clips(self, view: View) -> np.ndarray:
        if self.frame_sampler is None:
            raise InputError("This run was not trained on clips.")
        others = {name: one for name, one in self.frame_sampler.conditions.items() if name != KNOWN}
        fields = fields_of(view, others, self.frame_sampler.tokenizer, view.num)
        return np.moveaxis(draw_films(self.frame_sampler, view.seed, view.num, view.frames, fields=fields), 1, 0)

    def _panorama(self, view: View) -> np.ndarray:
        model = self.torus or self.drawing_denoiser
        if model is None:
            raise InputError("Only a diffusion run that exports its denoiser, or a texture_gan run, draws panoramas.")
        return draw_wide(model, view, self._solving(view) or Solving(), self.sampler.tokenizer)[None]

    def _solving(self, view: View) -> Solving | None:
        """How the view says that images are drawn; None if it says nothing."""
        asked = {name: value for name in SOLVING if (value := getattr(view, name)) is not None}
        if not asked:
            return None
        if self.drawing_denoiser is None:
            raise InputError(f"{next(iter(asked))} is for diffusion runs that export their denoiser.")
        require_solving(how := Solving(**asked), self.drawing_denoiser)
        return how


def around(frames: int) -> np.ndarray:
    """Places [T, 2] on the way around the unit square, evenly spaced; it starts at (0, 0) and does not end there."""
    corners = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)])
    side, share = np.divmod(np.linspace(0, 4, frames, endpoint=False), 1)
    first, last = (corners[side.astype(int) + step] for step in (0, 1))
    return first + share[:, None] * (last - first)


def save_view(path: AnyPath, drawer: Drawer, view: View) -> None:
    """Writes a view as a PNG, a sphere with the metadata of one, or a film as a GIF that is a loop.

    Raises:
      InputError: the run cannot draw it.
    """
    images = drawer.images(view)
    if view.kind in FILMS:
        write_whole(path, animation(images, is_loop=True))
    elif view.kind == "sphere":
        save_sphere(path, images[0])
    else:
        save_grid(path, images)
