"""A folder of image files of one size.  Subfolders are classes, in natural order (2 before 10), if every image is in one.

Captions are in `metadata.jsonl`, a line `{"file_name": ..., "text": ...}` an image: the convention of Hugging Face's
imagefolder.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

from jaxgen.core.image import ImageSpec
from jaxgen.data.captions import METADATA, read_captions
from jaxgen.data.class_names import natural_order
from jaxgen.data.dataset import Dataset, FieldTypes, StreamedDataset, make_dataset, read_arrays
from jaxgen.io.errors import InputError, first_line

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MAX_PIXELS = 4096 * 4096
GREY_MODES = frozenset(("1", "L", "LA", "La"))
DEEP_MODES = frozenset(("I", "F", "I;16", "I;16B", "I;16L", "I;16N"))
MANY, CHUNK, THREADS = 10_000, 1_000, 8
"""More headers than MANY are announced; a thread reads a CHUNK of them at a time."""


def read_folder(folder: StreamedDataset) -> Dataset:
    """The images of a folder that fits into memory.

    Raises:
      InputError: an image cannot be read.
    """
    arrays = read_arrays(folder)
    return make_dataset(
        arrays["image"],
        arrays.get("label"),
        captions=folder.captions,
        class_names=folder.class_names,
        source=folder.source,
        split=folder.split,
    )


def stream_folder(folder: Path, announce: Callable[[str], None]) -> StreamedDataset:
    """The images of a folder and its subfolders, in the order of their paths; only the headers are read here.

    Transparent images are put on white.  The result is grey if every image is, else RGB.

    Raises:
      InputError: no images, one whose header cannot be read, more than one size, or captions that do not go with them.
    """
    names = _list_images(folder)
    if len(names) > MANY:
        announce(f"Reading the headers of {len(names):,} images in {folder}")
    spec, digest = _survey(folder, names)
    (labels, class_names), captions = _labels(names), ()
    if (folder / METADATA).is_file():
        captions = read_captions(folder, [os.fsdecode(name) for name in names.tolist()])
        digest = sha256((digest + "\0".join(captions)).encode()).hexdigest()

    def read(index: int) -> dict[str, np.ndarray]:
        path = _path(folder, names[index])
        image = read_image(path)
        if image.shape not in (spec, (*spec[:2], 1)):
            raise InputError(f"{path} has changed: it is {list(image.shape)}, and was {list(spec)} when it was listed.")
        example = {"image": np.broadcast_to(image, spec)}
        return example if labels is None else {**example, "label": labels[index]}

    fields: FieldTypes = {"image": (tuple(spec), np.dtype(np.uint8))}
    if labels is not None:
        fields["label"] = ((), labels.dtype)
    return StreamedDataset(read, len(names), fields, f"images in {folder}", "all", digest, captions, class_names)


def read_image(path: Path) -> np.ndarray:
    """One image file, uint8 [H, W, C].

    Raises:
      InputError: no readable image of an allowed format, more than 8 bits per channel, or more
        pixels than `MAX_PIXELS`.
    """
    with _open(path) as image:
        if image.has_transparency_data:
            rgba = image.convert("RGBA")
            flat = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
            return np.array(flat.convert("L" if image.mode in GREY_MODES else "RGB")).reshape(*rgba.size[::-1], -1)
        pixels = np.array(image.convert("L" if image.mode in GREY_MODES else "RGB"))
        return pixels.reshape(image.height, image.width, -1)


@contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"{path} has {image.width} x {image.height} pixels; at most {MAX_PIXELS:,} are read.")
            if image.mode in DEEP_MODES:
                raise InputError(f"{path} has more than 8 bits per channel (mode {image.mode}); expected 8.")
            yield image
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read as an image: {first_line(error)}") from error


def _list_images(folder: Path) -> np.ndarray:
    """Relative paths as bytes [N], in the order of their parts: for millions a list of paths would take gigabytes."""
    names = []
    for place, _, files in os.walk(folder):
        inside = "" if Path(place) == folder else Path(place).relative_to(folder).as_posix() + "/"
        names += [os.fsencode(inside + file) for file in files if file.lower().endswith(SUFFIXES)]
    if not names:
        raise InputError(f"{folder} holds no images ({', '.join(SUFFIXES)}).")
    return np.array(sorted(names, key=lambda name: name.replace(b"/", b"\0")))


def _survey(folder: Path, names: np.ndarray) -> tuple[ImageSpec, str]:
    """The one size of all images, and the digest of the listing."""
    chunks = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
    digest, size, channels = sha256(), _headers(folder, names[:1])[0, :2], 1
    pool = ThreadPoolExecutor(THREADS)
    try:
        for chunk, headers in zip(chunks, pool.map(partial(_headers, folder), chunks), strict=True):
            for name, header in zip(chunk.tolist(), headers, strict=True):
                if (header[:2] != size).any():
                    raise InputError(
                        f"Images of one size are expected: {_path(folder, names[0])} is {_size(size)} and "
                        f"{_path(folder, name)} is {_size(header)} (height x width)."
                    )
                digest.update(name + f"\0{header[3]}\n".encode())
            channels = max(channels, int(headers[:, 2].max()))
    finally:
        pool.shutdown(cancel_futures=True)
    spec = ImageSpec(int(size[0]), int(size[1]), channels)
    digest.update(str(tuple(spec)).encode())
    return spec, digest.hexdigest()


def _headers(folder: Path, names: np.ndarray) -> np.ndarray:
    """Height, width, channels, and bytes of the file [n, 4]."""
    headers = np.empty((len(names), 4), np.int64)
    for row, name in enumerate(names.tolist()):
        path = _path(folder, name)
        with _open(path) as image:
            channels = 1 if image.mode in GREY_MODES else 3
            headers[row] = image.height, image.width, channels, path.stat().st_size
    return headers


def _labels(names: np.ndarray) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The labels and the names of the classes, if every image is in a subfolder."""
    if not all(b"/" in name for name in names):
        return None, ()
    places = [name.partition(b"/")[0].decode(errors="backslashreplace") for name in names]
    class_names = tuple(sorted(set(places), key=natural_order))
    numbers = {place: number for number, place in enumerate(class_names)}
    return np.array([numbers[place] for place in places], np.int32), class_names


def _path(folder: Path, name: bytes) -> Path:
    return folder / os.fsdecode(name)


def _size(shape: tuple[int, ...] | np.ndarray) -> str:
    return f"{shape[0]} x {shape[1]}"
