"""`python -m jaxgen inspect`: what a folder of images holds, and what training will see of it."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from jaxgen.cli.arguments import read_images, require_suffix, writing
from jaxgen.cli.inspection_table import inspection_table
from jaxgen.data.class_names import listed
from jaxgen.data.clip_file import is_animation
from jaxgen.data.contact_sheet import contact_sheet, sheet_rows
from jaxgen.data.folder import list_files
from jaxgen.data.image_options import AS_STORED, Fit, ImageOptions, shape_of
from jaxgen.data.inspection import (
    Pictures,
    inspect_images,
    pictures_in,
    pictures_of,
    refused_shapes,
    summary,
    usable_images,
)
from jaxgen.data.listing import Listing
from jaxgen.data.paths import is_listed
from jaxgen.data.sources import NAMES
from jaxgen.data.survey import SIZES, open_image, usual_side
from jaxgen.io.errors import InputError
from jaxgen.io.files import expanded, write_whole
from jaxgen.io.pictures import save_grid
from jaxgen.io.program import UserPath, UserSize
from jaxgen.io.terminal import say
from jaxgen.nets.layers.resizing import SIDES


@dataclass(frozen=True)
class Inspect:
    """Say what a folder of images holds, and draw a sheet of them as training will see them."""

    data: Annotated[str, tyro.conf.Positional]
    """A folder of images of any sizes, a .zip, .tar or .tar.gz of one, an .npz or .npy, or a data set's name (mnist,
    fashion_mnist, cifar10, binarized_mnist)."""
    data_dir: UserPath | None = None
    """The folder of prepared data sets."""
    offline: bool = False
    """Never download."""
    size: UserSize | None = None
    """The size that training will bring all images to: 64, or height x width, as in 64x96."""
    fit: Fit = "crop"
    """How images of another shape get that size: crop, pad or stretch."""
    background: str = "white"
    """Behind transparent pixels and around padded images: white, black, #rrggbb or median."""
    grey: bool = False
    """Read all images as grey."""
    out: UserPath = Path("inspection.png")
    """The sheet of images, a .png; all that was found goes into a .json beside it."""


def inspect(options: Inspect) -> None:
    """Reads all images, and writes and prints what was found.

    Raises:
      InputError: an option cannot be used, there are no images, none of them can be used, or the files cannot be
        written.
    """
    require_suffix(options.out, ".png")
    _require_outside(options)
    images = ImageOptions(options.size, options.fit, options.background, options.grey)
    images.check()
    pictures, is_moving = _pictures(options)
    inspected = inspect_images(pictures, images.background)
    found = summary(pictures, inspected, images)
    usable = usable_images(inspected, refused_shapes(pictures, inspected, images))
    if not usable:
        first = (found["damaged"] + found["refused"])[0]["reason"]
        raise InputError(f"None of the {len(inspected):,} images in {options.data} can be used: {first}")
    command = training_command(options, found)
    rows = sheet_rows(pictures, list(usable))
    drawn = [[pictures.names[index] for index in row] for row in rows]
    record = {"data": options.data, "options": images._asdict(), **found, "sheet": drawn, "command": command}
    sheet, columns = contact_sheet(pictures, rows, images)
    with writing(options.out):
        write_whole(options.out.with_suffix(".json"), json.dumps(record, indent=2) + "\n")
        save_grid(options.out, sheet, columns)
    say(inspection_table(record))
    names, labels = dict(enumerate(pictures.class_names)), pictures.labels
    shown = (
        [] if labels is None else [names.get(label, str(label)) for label in labels[[row[0] for row in rows]].tolist()]
    )
    which = f"; its rows: {listed(shown)}" if shown else ""
    say(f"{sum(map(len, rows)):,} of the images in {options.out}{which}")
    say(f"All that was found in {options.out.with_suffix('.json')}")
    say(f"Train on them: {command}")
    if is_moving:
        say(f"They move; train on them as clips: {training_command(options, found, 'video')}")


def training_command(options: Inspect, found: dict[str, Any], experiment: str = "pictures") -> str:
    """The command that trains on these images: with the size given, with their own if it is small, or a usual one."""
    if options.size:
        size = options.size
    elif len(found["sizes"]) == 1 and found["largest_side"] <= SIZES[-1] and found["smallest_side"] >= SIDES[0]:
        height, width = map(int, next(iter(found["sizes"])).split("x"))
        size = height, width
    else:
        size = usual_side(found["median_side"]), usual_side(found["median_side"])
    words = ["python", f"experiments/{experiment}.py", "--data", options.data]
    words += ["--data-dir", str(options.data_dir)] if options.data_dir else []
    words += ["--size", shape_of(size)]
    words += ["--fit", options.fit] if options.fit != AS_STORED.fit else []
    words += ["--background", options.background] if options.background != AS_STORED.background else []
    readable = found["images"] - len(found["damaged"])
    words += ["--grey"] if options.grey or found["grey"] == readable else []
    return shlex.join(words)


def _require_outside(options: Inspect) -> None:
    """Refuses to write among the images, where the sheet would be one of them.

    Raises:
      InputError: naming both.
    """
    folder, out = expanded(options.data), options.out
    if folder.is_dir() and out.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"--out {out} is among the images in {options.data}: choose another folder for it.")


def _pictures(options: Inspect) -> tuple[Pictures, bool]:
    """The images by name or path, and whether the first is an animation.

    A folder or an archive of images is listed and not read.

    Raises:
      InputError: they are not there, or there are none.
    """
    path, is_path = expanded(options.data), options.data not in NAMES and options.data_dir is None
    if is_path and is_listed(path):
        files = list_files(path, lambda _: None)
        return pictures_in(files), _is_moving(files)
    read = read_images(options.data, option="data", data_dir=options.data_dir, offline=options.offline)
    return pictures_of(read), False


def _is_moving(files: Listing) -> bool:
    name = files.names[0]
    try:
        with open_image(files, name) as file:
            return is_animation(file, files.path(name))
    except InputError:  # it is damaged, which the inspection says
        return False
