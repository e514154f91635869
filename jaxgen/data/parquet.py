"""Images in Parquet files and in the folders of Hugging Face's `datasets`.

Columns: `image` (or `img`, `jpg`, `png`, `webp`), encoded images; perhaps `label` (`labels`, `class`, `cls`) and `text`
(`caption`, `txt`).  A column of images holds bytes, or structs with the field `bytes`.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any

from jaxgen.io.errors import InputError, package, refuse_damage
from jaxgen.io.files import is_hidden

IMAGE = ("image", "img", "jpg", "png", "webp")
LABEL = ("label", "labels", "class", "cls")
TEXT = ("text", "caption", "txt")
SUFFIX = ".parquet"
SPLITS = {name: name for name in ("train", "validation", "test")} | {"valid": "validation", "val": "validation"}
"""The splits by the names that files and folders have."""
KIND = "a Parquet file"


class ParquetExamples:
    """The examples of Parquet files by index; those of the last two row groups that were read are in memory.

    Raises:
      InputError: a file is damaged, or has no column of images.
    """

    def __init__(self, paths: Sequence[Path]):
        parquet = package("pyarrow.parquet", "reads Parquet files")
        self._paths, self._lock = paths, Lock()
        self._files = [_opened(parquet, path) for path in paths]
        schema = self._files[0].schema_arrow
        self._columns = columns_of(schema.names, paths[0])
        self.features = _features(schema.metadata or {}, self._columns.get("label", ""))
        for path, file in zip(paths, self._files, strict=True):
            its = file.schema_arrow
            names = _features(its.metadata or {}, self._columns.get("label", ""))
            if columns_of(its.names, path) != self._columns or names != self.features:
                raise InputError(f"{path} has other columns or classes than {paths[0]}: give them one by one.")
        self._groups = [
            (file, group) for file, opened in enumerate(self._files) for group in range(opened.num_row_groups)
        ]
        counts = [self._files[file].metadata.row_group(group).num_rows for file, group in self._groups]
        self._starts = [0, *accumulate(counts)]
        self._read_group = lru_cache(maxsize=2)(self._uncached_group)

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int, /) -> Mapping[str, Any]:
        group = bisect_right(self._starts, index) - 1
        with self._lock:
            rows = self._read_group(group)
        row = rows[index - self._starts[group]]
        content = row["image"].get("bytes") if isinstance(row["image"], Mapping) else row["image"]
        if not isinstance(content, bytes):
            raise InputError(f"{self.where(index)} has no image in it: expected the bytes of an image file.")
        return {**row, "image": content}

    def where(self, index: int) -> str:
        """The place of an example, for errors."""
        group = bisect_right(self._starts, index) - 1
        return f"row {index} of {self._paths[self._groups[group][0]]}"

    @property
    def captions(self) -> tuple[str, ...]:
        """The captions of all examples, or nothing if there are none."""
        if "text" not in self._columns:
            return ()
        texts = []
        for path, file in zip(self._paths, self._files, strict=True):
            with refuse_damage(path, KIND):
                texts += file.read(columns=[self._columns["text"]]).column(0).to_pylist()
        return tuple(texts)

    def _uncached_group(self, number: int) -> list[dict[str, Any]]:
        file, group = self._groups[number]
        with refuse_damage(self._paths[file], KIND):
            table = self._files[file].read_row_group(group, columns=list(self._columns.values()))
            return table.rename_columns(_renamed(table.column_names, self._columns)).to_pylist()


def parquet_files(path: Path) -> list[Path]:
    """The Parquet files at a path, of all splits."""
    if path.is_file():
        return [path] if path.suffix.lower() == SUFFIX else []
    found = (file for file in path.rglob(f"*{SUFFIX}") if file.is_file())
    return sorted(file for file in found if not any(map(is_hidden, file.relative_to(path).parts)))


def find_parquet(path: Path, split: str) -> list[Path]:
    """The Parquet files of a split at a path, or all of them if no file or folder is called after a split.

    Raises:
      InputError: only other splits are there, or some files are of no split.
    """
    files = parquet_files(path)
    if path.is_file():
        return files
    splits = {file: _split_of(file.relative_to(path)) for file in files}
    if not any(splits.values()):
        return files
    if unknown := [file for file, its in splits.items() if its is None]:
        raise InputError(f"{unknown[0]} is of no split, and other files of {path} are: move it away.")
    chosen = [file for file, its in splits.items() if its == split]
    if not chosen:
        raise InputError(f"{path} has no {split} split: it has {' and '.join(sorted(set(map(str, splits.values()))))}.")
    return chosen


def _split_of(file: Path) -> str | None:
    """The split that a folder or the beginning of the name of a file is called after."""
    for part in (*file.parent.parts, re.split(r"[^a-z]", file.name.lower())[0]):
        if part.lower() in SPLITS:
            return SPLITS[part.lower()]
    return None


def _opened(parquet: Any, path: Path) -> Any:
    with refuse_damage(path, KIND):
        return parquet.ParquetFile(path)


def columns_of(names: Sequence[str], source: object) -> dict[str, str]:
    """The columns by the names of their fields; `source` names the data in errors.

    Raises:
      InputError: there is none of images.
    """
    found = {
        field: next((name for name in known if name in names), "")
        for field, known in (("image", IMAGE), ("label", LABEL), ("text", TEXT))
    }
    if not found["image"]:
        raise InputError(f"{source} has the columns {', '.join(names)}; expected images in one of {', '.join(IMAGE)}.")
    return {field: name for field, name in found.items() if name}


def _renamed(names: Sequence[str], columns: Mapping[str, str]) -> list[str]:
    fields = {name: field for field, name in columns.items()}
    return [fields[name] for name in names]


def _features(metadata: Mapping[bytes, bytes], label: str) -> dict[str, Any]:
    """The names of the classes as `datasets` stores them in a file: `features["label"].names`."""
    try:
        stored = json.loads(metadata[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, ValueError, TypeError):
        return {}
    known = isinstance(stored, list) and all(isinstance(name, str) for name in stored)
    return {"label": SimpleNamespace(names=stored)} if known else {}
