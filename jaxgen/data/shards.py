"""Packed data sets: shards of array_record, which are read at random and by many processes, and a manifest.

A record is a msgpack map: `image`, a PNG, and if the set has them `label`, a whole number, and `text`, a caption.
Beside the shards are

    manifest.json     the number of records and the size of each shard, their digest, the number of classes and their
                      names, and how the images were made
    captions.json     all captions, in the order of the records
"""

import io
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from jaxgen.data.dataset import FieldTypes, StreamedDataset
from jaxgen.data.image_file import decode
from jaxgen.io.errors import InputError, package, refuse_damage

MANIFEST, CAPTIONS = "manifest.json", "captions.json"
FORMAT = "jaxgen shards 1"
KIND = "a packed data set"


def is_packed(folder: Path) -> bool:
    """Whether a folder holds a packed data set."""
    try:
        path = folder / MANIFEST
        return path.is_file() and json.loads(path.read_bytes()).get("format", "").startswith("jaxgen shards")
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a packed data set.

    Raises:
      InputError: it is damaged or of another format, or a shard is not there or has another size.
    """
    with refuse_damage(folder / MANIFEST, "the manifest of a packed data set"):
        manifest = json.loads((folder / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            raise InputError(f"{folder} is packed as {manifest['format']!r}; this version reads {FORMAT!r}.")
        for shard in manifest["shards"]:
            path = folder / shard["name"]
            size = path.stat().st_size if path.is_file() else 0
            if size != shard["bytes"]:
                raise InputError(
                    f"{path} has {size:,} bytes, and had {shard['bytes']:,} when it was packed: copy it or pack again."
                )
        _require_fields(manifest)
        return manifest


def _require_fields(manifest: dict[str, Any]) -> None:
    """Refuses a manifest without a field, or with one of another type."""
    height, width, channels = manifest["image"]
    if not all(type(side) is int and side > 0 for side in (height, width, channels)):
        raise ValueError(f"image is {manifest['image']}")
    if not all(isinstance(name, str) for name in manifest["class_names"]):
        raise ValueError("class_names are no texts")
    if not isinstance(manifest.get("classes"), int | None):
        raise ValueError(f"classes is {manifest['classes']}")
    for field in ("source", "digest", "captions"):
        if not isinstance(manifest[field], str):
            raise ValueError(f"{field} is no text")


def stream_shards(folder: Path) -> StreamedDataset:
    """A packed data set; only the manifest and the captions are read here.

    Raises:
      InputError: the data are damaged; `read` raises it too.
    """
    manifest = read_manifest(folder)
    captions = _read_captions(folder, manifest)
    data_source = package("array_record.python.array_record_data_source", "reads packed data sets")
    shards = [str(folder / shard["name"]) for shard in manifest["shards"]]
    with refuse_damage(folder, KIND):
        records = data_source.ArrayRecordDataSource(shards)
        spec, has_labels = tuple(manifest["image"]), manifest["has_labels"]
        if len(records) != manifest["records"]:
            raise InputError(f"{folder} holds {len(records):,} records; its manifest says {manifest['records']:,}.")

    def read(index: int) -> dict[str, np.ndarray]:
        with refuse_damage(folder, KIND):
            record = msgpack.unpackb(records[index])
            image = decode(io.BytesIO(record["image"]), f"Record {index} of {folder}")
            if image.shape != spec:
                raise ValueError(f"record {index} is {list(image.shape)}, not {list(spec)}")
            label = {"label": np.asarray(record["label"], np.int32)} if has_labels else {}
            return {"image": image, **label}

    fields: FieldTypes = {"image": (spec, np.dtype(np.uint8))}
    if has_labels:
        fields["label"] = ((), np.dtype(np.int32))
    source = f"{manifest['source']}, packed in {folder}"
    names, classes = tuple(manifest["class_names"]), manifest.get("classes")
    return StreamedDataset(read, len(records), fields, source, "all", manifest["digest"], captions, names, classes)


def _read_captions(folder: Path, manifest: dict[str, Any]) -> tuple[str, ...]:
    if not manifest["captions"]:
        return ()
    with refuse_damage(folder / CAPTIONS, "the captions of a packed data set"):
        content = (folder / CAPTIONS).read_bytes()
        if sha256(content).hexdigest() != manifest["captions"]:
            raise ValueError("it is not the one that was packed")
        captions = tuple(json.loads(content))
        if len(captions) != manifest["records"] or not all(isinstance(text, str) for text in captions):
            raise ValueError(f"expected {manifest['records']:,} texts")
        return captions
