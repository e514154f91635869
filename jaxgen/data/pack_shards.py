"""Packs images into shards: many threads, constant memory; what was written before an interruption is kept.

Shard s holds the examples s * n to (s + 1) * n - 1 of the source, less the damaged ones that are skipped.  A shard is
written under another name and renamed when it is whole, with a note of what is in it; the manifest comes last.
"""

import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from errno import ENOSPC
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
from filelock import FileLock, Timeout
from PIL import Image

from jaxgen.data.dataset import StreamedDataset
from jaxgen.data.shards import CAPTIONS, FORMAT, MANIFEST, is_packed
from jaxgen.data.threads import chunks_by_threads
from jaxgen.io.errors import InputError, outside, package
from jaxgen.io.files import is_hidden, write_whole

SHARD_BYTES = 2**28
"""The pixels of a shard, which PNG makes about half as large."""
COMPRESSION = 3
"""zlib's level: most of the size of the higher ones, in half the time."""
PLAN, LOCK = ".plan", ".lock"
"""The digest of what is packed, and the lock of the process that packs it, while it does."""


class Packed(NamedTuple):
    """The number of records, and the damaged images that were left out: a line each."""

    records: int
    damaged: list[str]


def pack(
    dataset: StreamedDataset, out: Path, *, record: dict[str, Any], stamp: str = "", skipped: list[str] | None = None
) -> Packed:
    """Writes a data set as shards into `out`; `record` says in the manifest how its images were made.

    `stamp` changes whenever a file of the source does.  `skipped` are lines about images that the data set was made
    without; with it, images that turn out to be damaged are left out too, where they are refused by default.

    Raises:
      InputError: `out` holds something else, or an image is damaged.
      OutsideError: the disk is full, or cannot be written.
    """
    if others := dataset.fields.keys() - {"image", "label"}:
        raise InputError(f"{dataset.source} has {', '.join(sorted(others))}, which shards do not hold.")
    count = max(1, SHARD_BYTES // prod(dataset.spec))
    plan = json.dumps([FORMAT, dataset.digest, stamp, dataset.size, count, record], sort_keys=True, default=str)
    _require_free(out)
    with outside(f"--out {out} cannot be written"):
        out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / LOCK, blocking=False):
            _claim(out, sha256(plan.encode()).hexdigest())
            return _write(dataset, out, count, record, skipped)
    except Timeout as error:
        raise InputError(f"--out {out} is being written by another process: wait for it, or choose another.") from error


def _write(
    dataset: StreamedDataset, out: Path, count: int, record: dict[str, Any], skipped: list[str] | None
) -> Packed:
    """Writes shards of `count` images, or those that are not there yet."""
    starts, notes = range(0, dataset.size, count), {}
    for number, start in enumerate(starts):
        name = f"images-{number:05}-of-{len(starts):05}.array_record"
        rows = range(start, min(start + count, dataset.size))
        shard = out / name
        notes[name] = _read_note(shard) or _write_shard(dataset, shard, rows, skip_damaged=skipped is not None)
    return _finish(dataset, out, notes, record, skipped or [])


def _require_free(out: Path) -> None:
    """Refuses a file, and a folder that holds something else than the beginning of a packing."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file: choose a new or an empty folder.")
    if is_packed(out):
        raise InputError(f"--out {out} holds a packed data set already: choose another, or remove it.")
    if out.is_dir() and not (out / PLAN).is_file() and not all(is_hidden(path.name) for path in out.iterdir()):
        raise InputError(f"--out {out} is there already, and is no empty folder: choose another.")


def _claim(out: Path, plan: str) -> None:
    """Takes a locked folder for this packing, if no other one was begun in it."""
    _require_free(out)  # another process may have ended since
    if (out / PLAN).is_file() and (out / PLAN).read_text() != plan:
        raise InputError(f"--out {out} holds the beginning of another packing: choose another, or remove it.")
    with outside(f"--out {out} cannot be written"):
        write_whole(out / PLAN, plan)


def _note_of(shard: Path) -> Path:
    return shard.with_name(f".{shard.name}.json")


def _read_note(shard: Path) -> dict[str, Any] | None:
    """What is in a shard that is whole, None if it is not there."""
    try:
        note = json.loads(_note_of(shard).read_text())
        return note if shard.stat().st_size == note["bytes"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_shard(dataset: StreamedDataset, shard: Path, rows: range, *, skip_damaged: bool) -> dict[str, Any]:
    """Writes a shard, then the note of what is in it; returns the note."""
    partial, failing = shard.with_name(f".{shard.name}.partial"), f"{shard} cannot be written"
    digest, damaged, labels = sha256(), {}, {-1}

    def encode(index: int) -> tuple[int, bytes | InputError]:
        try:
            record = _record(dataset, index)
            labels.add(record.get("label", -1))
            return index, msgpack.packb(record) or b""
        except InputError as error:
            if not skip_damaged:
                raise
            return index, error

    try:
        with _writer(partial, failing) as writer:

            def write(chunk: list[tuple[int, bytes | InputError]]) -> None:
                for index, content in chunk:
                    if isinstance(content, InputError):
                        damaged[index] = str(content)
                        continue
                    digest.update(content)
                    with outside(failing):
                        writer.write(content)

            what = f"Packing {rows.start + 1:,} to {rows.stop:,} of {dataset.size:,} images"
            chunks_by_threads(encode, rows, what, write)
        with outside(failing):
            num_bytes = _require_whole(partial, len(rows) - len(damaged))
            partial.replace(shard)
    finally:
        partial.unlink(missing_ok=True)
    records = len(rows) - len(damaged)
    note = {"records": records, "bytes": num_bytes, "sha256": digest.hexdigest(), "damaged": damaged}
    note["classes"] = max(labels) + 1
    with outside(failing):
        write_whole(_note_of(shard), json.dumps(note))
    return json.loads(json.dumps(note))


@contextmanager
def _writer(path: Path, failing: str) -> Iterator[Any]:
    """A writer of records, which is closed in any case; an error of its own comes before one in closing it."""
    module = package("array_record.python.array_record_module", "writes packed data sets")
    with outside(failing):
        writer = module.ArrayRecordWriter(str(path), "group_size:1,uncompressed")
    try:
        yield writer
    except BaseException:
        with suppress(Exception):
            writer.close()
        raise
    with outside(failing):
        writer.close()


def _require_whole(shard: Path, records: int) -> int:
    """The bytes of a shard, of which all records are there: the writer does not say that a disk was full."""
    module = package("array_record.python.array_record_module", "reads packed data sets")
    reader = module.ArrayRecordReader(str(shard))
    with closing(reader):
        if not reader.ok() or reader.num_records() != records:
            raise OSError(ENOSPC, os.strerror(ENOSPC))
    return shard.stat().st_size


def _record(dataset: StreamedDataset, index: int) -> dict[str, Any]:
    """The record of an example."""
    example, file = dataset.read(index), io.BytesIO()
    image = example["image"]
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG", compress_level=COMPRESSION)
    record: dict[str, Any] = {"image": file.getvalue()}
    if "label" in example:
        record["label"] = label = int(example["label"])
        if label < 0 or (dataset.class_names and label >= len(dataset.class_names)):
            raise InputError(f"Example {index} of {dataset.source} has the label {label}, which is no class.")
    if dataset.captions:
        record["text"] = dataset.captions[index]
    return record


def _finish(
    dataset: StreamedDataset, out: Path, notes: Mapping[str, Any], record: dict[str, Any], skipped: list[str]
) -> Packed:
    """Writes the captions and the manifest, and removes the notes."""
    damaged = {int(index): reason for note in notes.values() for index, reason in note["damaged"].items()}
    captions = [text for index, text in enumerate(dataset.captions) if index not in damaged]
    content = json.dumps(captions).encode()
    shards = [
        {"name": name} | {key: note[key] for key in ("records", "bytes", "sha256")} for name, note in notes.items()
    ]
    manifest = {
        "format": FORMAT,
        "records": sum(note["records"] for note in notes.values()),
        "image": dataset.spec,
        "has_labels": "label" in dataset.fields,
        "classes": dataset.classes or max(note.get("classes", 0) for note in notes.values()) or None,
        "class_names": dataset.class_names,
        "captions": sha256(content).hexdigest() if captions else "",
        "source": dataset.source,
        "options": record,
        "digest": sha256(json.dumps([shards, dataset.class_names, captions]).encode()).hexdigest(),
        "shards": shards,
        "damaged": [*skipped, *damaged.values()],
    }
    beginnings = (PLAN, LOCK, *(_note_of(out / name).name for name in notes))
    if not manifest["records"]:
        _remove(out, (*beginnings, *notes))
        raise InputError(f"{dataset.source}: no image can be read, the first because: {next(iter(damaged.values()))}")
    with outside(f"{out} cannot be written"):
        if captions:
            write_whole(out / CAPTIONS, content)
        write_whole(out / MANIFEST, json.dumps(manifest, indent=2))
        _remove(out, beginnings)
    return Packed(manifest["records"], manifest["damaged"])


def _remove(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)
