"""The four original files of MNIST and of Fashion-MNIST.

Both sets use the same file names; a gzipped file is known by its checksum, and never taken for the other set's.
Checksums: http://yann.lecun.com/exdb/mnist and https://github.com/zalandoresearch/fashion-mnist.
"""

from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any

from jaxgen.data.dataset import Dataset, make_dataset
from jaxgen.data.idx import read_idx
from jaxgen.io.errors import InputError
from jaxgen.io.files import cache_folder

CONNECT_SECONDS = 5
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
ADDRESSES = {
    "mnist": "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "fashion_mnist": "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
}
CHECKSUMS = {
    "mnist": {
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    },
}


def find_files(folder: Path, name: str, split: str) -> tuple[Path, Path] | None:
    """The image and label files of a split in a folder or in its subfolder `name`, gzipped or not; None if missing."""
    for place in (folder / name, folder):
        found = [next((p for p in (place / file, place / f"{file}.gz") if p.is_file()), None) for file in FILES[split]]
        if found[0] and found[1]:
            return found[0], found[1]
    return None


def read_files(name: str, split: str, files: tuple[Path, Path]) -> Dataset:
    """The data set of an image and a label file.

    Raises:
      InputError: a file is damaged, or belongs to the other set.
    """
    for path in files:
        if path.suffix == ".gz":
            checksum = md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            for other, checksums in CHECKSUMS.items():
                if other != name and checksum == checksums.get(path.stem):
                    raise InputError(f"{path} is {other}'s file, not {name}'s; both use this name: keep them apart.")
    image, label = (read_idx(path) for path in files)
    return make_dataset(image, label, source=f"IDX files in {files[0].parent}", split=split)


def download_files(name: str, split: str, announce: Callable[[str], None]) -> tuple[Path, Path] | None:
    """The files in the user's cache folder, downloaded if missing and verified; None if that fails."""
    import pooch
    import requests

    folder, address = cache_folder() / name, ADDRESSES[name]
    announce(f"Downloading {name} ({split}) from {address} to {folder} (--offline: never do this)")
    pooch.get_logger().setLevel("ERROR")
    downloader: Any = pooch.HTTPDownloader(timeout=CONNECT_SECONDS)
    paths = []
    for file in FILES[split]:
        try:
            fetched = pooch.retrieve(
                address + file + ".gz",
                known_hash=f"md5:{CHECKSUMS[name][file]}",
                fname=file + ".gz",
                path=folder,
                downloader=downloader,
            )
        except (requests.RequestException, ValueError, OSError) as error:
            announce(f"The download failed: {type(error).__name__}")
            return None
        paths.append(Path(fetched))
    return paths[0], paths[1]
