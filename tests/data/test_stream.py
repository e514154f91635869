import json
import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from functools import partial

import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.data import Dataset, StreamedDataset, batch_indices, load, sampling, stream_batches, survey
from tests.prepared import png, write_prepared
from tests.programs import ROOT, load_program, run_here

NUM, BATCH, SPEC = 20, 6, (8, 12, 3)
SHUFFLED = partial(batch_indices, 3, batch_size=BATCH, num_examples=NUM)


def images(num=NUM, shape=SPEC):
    return np.random.default_rng(0).integers(0, 256, (num, *shape), dtype=np.uint8)


def write_folder(root):
    """Images in two classes, one of them with a folder of its own."""
    for number, array in enumerate(images()):
        path = root / ("b", "a", "a/more")[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(array))


def silent(_):
    """Nothing to announce to."""


def load_both(kind, root):
    """A data set in memory, and streamed."""
    if kind == "folder":
        write_folder(root)
        find = partial(load, str(root), announce=silent)
    else:
        write_prepared(root, train=images())
        find = partial(load, "cifar10", data_dir=root, announce=silent)
    return find(), find(most_bytes=0)


@pytest.fixture(params=["folder", "prepared"])
def both(request, tmp_path):
    return load_both(request.param, tmp_path)


def counting(num=10**6, read=lambda index: {"image": np.full((1, 1, 1), index % 256, np.uint8)}):
    """A data set of images that are never written."""
    return StreamedDataset(read, num, {"image": ((1, 1, 1), np.dtype(np.uint8))}, "counted", "all", "digest")


def in_order(step):
    return np.arange(step * BATCH, (step + 1) * BATCH)


def assert_same_batches(batches, expected):
    for batch, other in zip(batches, expected, strict=True):
        assert batch.keys() == other.keys()
        for name, array in batch.items():
            np.testing.assert_array_equal(array, other[name])
            assert array.dtype == other[name].dtype


@pytest.mark.parametrize("threads", [1, 3, 8])
def test_streamed_batches_are_those_of_the_data_in_memory(both, threads):
    memory, streamed = both
    assert isinstance(memory, Dataset)
    assert isinstance(streamed, StreamedDataset)
    batches = stream_batches(streamed, SHUFFLED, start=0, stop=9, threads=threads)
    steps = [SHUFFLED(step) for step in range(9)]
    assert_same_batches(batches, [{name: array[step] for name, array in memory.arrays.items()} for step in steps])


def test_data_in_memory_and_streamed_are_described_alike(both):
    memory, streamed = both
    assert memory.fields == streamed.fields == {"image": (SPEC, np.uint8), "label": ((), np.int32)}
    assert (memory.size, memory.spec, memory.source) == (streamed.size, streamed.spec, streamed.source)


def test_starting_at_a_step_is_skipping_those_before(tmp_path):
    _, streamed = load_both("folder", tmp_path)
    skipped = list(stream_batches(streamed, SHUFFLED, start=0, stop=7))[4:]
    assert_same_batches(stream_batches(streamed, SHUFFLED, start=4, stop=7), skipped)


def test_the_shards_of_all_processes_are_the_batch(tmp_path):
    _, streamed = load_both("folder", tmp_path)
    stream = partial(stream_batches, streamed, SHUFFLED, start=2, stop=5)
    shards = zip(*(stream(rows=slice(first, first + 2)) for first in (0, 2, 4)), strict=True)
    joined = [{name: np.concatenate([shard[name] for shard in batch]) for name in batch[0]} for batch in shards]
    assert_same_batches(stream(), joined)


@pytest.mark.parametrize("prefetch", [0, 1, 4])
def test_no_more_is_read_ahead_than_the_prefetch(prefetch):
    reads, lock = 0, threading.Lock()

    def read(index):
        nonlocal reads
        with lock:
            reads += 1
        return {"image": np.zeros((1, 1, 1), np.uint8)}

    with closing(stream_batches(counting(read=read), in_order, start=0, stop=1000, prefetch=prefetch)) as batches:
        for taken in range(1, 20):
            next(batches)
            time.sleep(0.002)  # time to read too much
            assert reads <= (taken + prefetch) * BATCH


def test_threads_permute_an_epoch_once():
    sampling._permutation.cache_clear()
    indices = partial(batch_indices, 5, batch_size=BATCH, num_examples=1_000)
    for _ in stream_batches(counting(), indices, start=0, stop=3 * 1_000 // BATCH):
        pass
    assert sampling._permutation.cache_info().misses == 3


def new_threads(before):
    """Threads that were not there before; waits for those that are about to end."""
    limit = time.monotonic() + 5
    while (new := set(threading.enumerate()) - before) and time.monotonic() < limit:
        time.sleep(0.005)
    return new


def test_closing_a_stream_stops_its_threads():
    before = set(threading.enumerate())
    batches = stream_batches(counting(), in_order, start=0, stop=10**6)
    next(batches)
    assert set(threading.enumerate()) - before
    batches.close()
    assert new_threads(before) == set()


def test_a_program_ends_though_a_stream_is_open():
    program = (
        "import numpy as np; from jaxgen.data import StreamedDataset, stream_batches;"
        "fields = {'image': ((1, 1, 1), np.dtype(np.uint8))};"
        "data = StreamedDataset(lambda _: {'image': np.zeros((1, 1, 1), np.uint8)}, 9, fields, '', '', '');"
        "batches = stream_batches(data, lambda _: np.arange(9), start=0, stop=10**9); next(batches)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], timeout=60, check=True)


@pytest.mark.parametrize("damage", [b"", b"\x89PNG no image"])
def test_a_file_damaged_since_it_was_listed_is_named_where_its_batch_is_taken(tmp_path, damage):
    _, streamed = load_both("folder", tmp_path)
    (tmp_path / "a" / "13.png").write_bytes(damage)
    before = set(threading.enumerate())
    with pytest.raises(InputError, match=r"a/13\.png cannot be read as an image") as error:
        list(stream_batches(streamed, SHUFFLED, start=0, stop=9))
    assert "\n" not in str(error.value)
    assert not hasattr(error.value, "__notes__")
    assert new_threads(before) == set()


def test_a_damaged_shard_is_named(tmp_path):
    _, streamed = load_both("prepared", tmp_path)
    shard = next((tmp_path / "cifar10" / "3.0.2").glob("*-00001-of-00002"))
    content = bytearray(shard.read_bytes())
    content[500:600] = bytes(100)  # among the first records
    shard.write_bytes(content)
    with pytest.raises(InputError, match=r"cifar10/3\.0\.2 cannot be read as a prepared data set: .") as error:
        list(stream_batches(streamed, SHUFFLED, start=0, stop=9))
    assert "\n" not in str(error.value)


def test_a_file_that_changes_is_named_if_only_by_its_time(tmp_path):
    _, streamed = load_both("folder", tmp_path)
    path = tmp_path / "a" / "13.png"
    path.write_bytes(path.read_bytes())
    os.utime(path, (0, 0))
    with pytest.raises(InputError, match=r"13\.png has changed since it was listed"):
        list(stream_batches(streamed, SHUFFLED, start=0, stop=9))


def test_more_than_one_size_is_refused_before_anything_is_streamed(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "b" / "odd.png").write_bytes(png(images(1, (9, 12, 3))[0]))
    with pytest.raises(
        InputError, match=r"21 images of 2 sizes .* 8 x 12 \(20\), 9 x 12 \(b/odd\.png\); .* --size 32\."
    ):
        load(str(tmp_path), announce=silent, most_bytes=0)


def test_what_would_take_more_than_is_allowed_is_streamed_and_announced(tmp_path):
    write_folder(tmp_path)
    num_bytes, announced = NUM * np.prod(SPEC), []
    find = partial(load, str(tmp_path), announce=announced.append)
    assert isinstance(find(most_bytes=num_bytes), Dataset)
    assert announced == []
    assert isinstance(find(most_bytes=num_bytes - 1), StreamedDataset)
    assert announced == ["20 images of 0.0 GB are streamed from disk"]


def test_reading_many_headers_is_announced(tmp_path, monkeypatch):
    write_folder(tmp_path)
    monkeypatch.setattr(survey, "MANY", NUM - 1)
    announced = []
    load(str(tmp_path), announce=announced.append)
    assert announced == [f"Reading the headers of 20 images in {tmp_path}"]


def test_an_archive_stays_in_memory(tmp_path):
    np.savez(tmp_path / "a.npz", image=images())
    assert isinstance(load(str(tmp_path / "a.npz"), most_bytes=0), Dataset)


@pytest.mark.parametrize("chunk", [1, 7])
def test_headers_are_read_in_chunks_that_do_not_show(tmp_path, monkeypatch, chunk):
    _, streamed = load_both("folder", tmp_path)
    monkeypatch.setattr(survey, "CHUNK", chunk)
    assert load(str(tmp_path), announce=silent, most_bytes=0).digest == streamed.digest


def test_the_digest_is_of_the_listing_wherever_it_is(tmp_path):
    def digest(root):
        return load(str(root), announce=silent, most_bytes=0).digest

    for place in ("here", "there"):
        write_folder(tmp_path / place)
    assert digest(tmp_path / "here") == digest(tmp_path / "there")
    (tmp_path / "there" / "a" / "1.png").rename(tmp_path / "there" / "a" / "01.png")
    assert digest(tmp_path / "here") != digest(tmp_path / "there")


def run_benchmark(monkeypatch, *arguments):
    return run_here(monkeypatch, load_program(ROOT / "experiments" / "benchmarks" / "streaming.py").main, *arguments)


def test_the_benchmark_measures_a_folder_that_it_makes(monkeypatch, tmp_path):
    out, made = tmp_path / "out.json", tmp_path / "made"
    assert run_benchmark(monkeypatch, "--out", out, "--folder", made, "--images", 50, "--batch-size", 5) == 0
    record = json.loads(out.read_text())
    assert record["images"] == 50
    assert list(record["megabytes"]) == ["start", "25%", "50%", "75%", "100%", "peak"]
    assert load(str(made), announce=silent).fields == {"image": ((32, 32, 3), np.uint8), "label": ((), np.int32)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--images", 0), "--images 0: expected at least 1"),
        (("--images", 9), "--batch-size 64: 9 images make 0 batches; expected 4 or more"),
        (("--folder", ROOT), "is not an empty folder; to stream the images in it give --data"),
        (("--data", "mnist"), "--data mnist is read into memory; expected a folder of images"),
    ],
)
def test_the_benchmark_refuses_what_it_cannot_measure(monkeypatch, capsys, tmp_path, arguments, message):
    assert run_benchmark(monkeypatch, "--out", tmp_path / "out.json", *arguments) == 2
    assert message in capsys.readouterr().err
