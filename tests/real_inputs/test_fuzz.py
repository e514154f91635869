"""Damaged bytes anywhere: an error of one line, or a data set of the right shape; never another exception or a hang."""

import io
import json

import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.data import load, read_features
from jaxgen.data.image_file import MAX_PIXELS, decode, read_header
from jaxgen.io.archive import read_cached
from tests.real_inputs.files import encoded, pack, png, tiff

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow and zipfile warn of damage

SEEDS = [0, pytest.param(1, marks=pytest.mark.long)]
"""Of the damage; all seeds of this folder together make more than 2,000 inputs."""

RNG = np.random.default_rng(0)
SMALL = RNG.integers(0, 256, (6, 8, 3), np.uint8)
DEEP = RNG.integers(0, 65536, (6, 8, 3), np.uint16)
FILES = {
    "PNG": encoded(SMALL, "PNG", orientation=6),
    "PNG of 16 bits": png(DEEP),
    "JPEG": encoded(SMALL, "JPEG", orientation=8),
    "WEBP": encoded(SMALL, "WEBP", orientation=5),
    "GIF": encoded(SMALL[..., :1], "GIF"),
    "BMP": encoded(SMALL, "BMP"),
    "PPM": encoded(SMALL, "PPM"),
    "TIFF": tiff(SMALL, orientation=6),
    "TIFF of 16 bits": tiff(DEEP, order=">", compress=True),
}


def damaged(content, rng):
    """The bytes with one to four of them changed, cut out or repeated."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        place = int(rng.integers(len(content)))
        kind = rng.integers(4)
        if kind == 0:
            content[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            content[place] = int(rng.choice([0, 1, 127, 128, 255]))
        elif kind == 2:
            del content[place : place + int(rng.integers(1, 9))]
        else:
            content[place:place] = content[place : place + int(rng.integers(1, 9))]
        content = content or bytearray(b"\0")
    return bytes(content)


def attempts(content, count, seed):
    rng = np.random.default_rng(seed)
    yield from (damaged(content, rng) for _ in range(count))
    yield from (content[:cut] for cut in rng.integers(0, len(content), count // 5).tolist())


def outcome(give):
    """What a function gives, or None after an error of one line."""
    try:
        return give()
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    return None


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_image_is_one_line_or_an_image_of_the_size_in_its_header(kind, seed):
    for content in attempts(FILES[kind], 35, seed=(len(kind), seed)):
        image = outcome(lambda content=content: decode(io.BytesIO(content), "a.png"))
        header = outcome(lambda content=content: read_header(io.BytesIO(content), "a.png"))
        if image is not None:
            assert image.dtype == np.uint8
            assert image.shape == header[:3]
            assert 0 < image.shape[0] * image.shape[1] <= MAX_PIXELS


def sets(folder):
    """Files that hold data sets, by name."""
    folder.mkdir()
    images = RNG.integers(0, 256, (3, 6, 8, 1), np.uint8)
    arrays = {"image": images, "label": np.arange(3), "features": np.ones((3, 2), np.float32)}
    np.savez(folder / "a.npz", **arrays)
    np.savez_compressed(folder / "b.npz", **arrays)
    np.save(folder / "c.npy", images)
    files = {f"{number % 2}/{number}.png": png(image) for number, image in enumerate(images)}
    for name in ("d.zip", "e.tar", "f.tar.gz"):
        pack(folder / name, files)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["a.npz", "b.npz", "c.npy", "d.zip", "e.tar", "f.tar.gz"])
def test_a_damaged_archive_is_one_line_or_a_data_set(tmp_path, name, seed):
    content, path = sets(tmp_path / "sound")[name], tmp_path / name
    for damage in attempts(content, 40, seed=(len(content), seed)):
        path.write_bytes(damage)
        data = outcome(lambda: load(str(path), announce=lambda _: None))
        if data is not None:
            image = data.arrays["image"]
            assert image.dtype == np.uint8
            assert image.ndim == 4
            assert image.shape[-1] in (1, 3)
            assert all(len(array) == data.size for array in data.arrays.values())
            if name == "e.tar":  # whose headers alone have checksums
                assert data.size == 3
        if name.endswith(".npz"):
            cached = read_cached(path)
            assert cached is None or all(isinstance(array, np.ndarray | bytes) for array in cached.values())
            features = outcome(lambda: read_features(path))
            assert features is None or (features.ndim == 2 and features.dtype == np.float32)


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_metadata_are_one_line_or_a_caption_for_each_image(tmp_path, seed):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(png(SMALL))
    lines = [json.dumps({"file_name": f"{number}.png", "text": f"number {number} é"}) for number in range(3)]
    for damage in attempts("\n".join(lines).encode(), 100, seed=seed):
        (tmp_path / "metadata.jsonl").write_bytes(damage)
        data = outcome(lambda: load(str(tmp_path), announce=lambda _: None, most_bytes=0))
        if data is not None:
            assert len(data.captions) == data.size == 3
            assert all(caption.strip() and caption.encode() for caption in data.captions)
