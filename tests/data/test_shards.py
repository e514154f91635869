"""Packed data sets: written by many threads, read at random, and the same data as what they were packed from."""

import json
import resource
import signal
from functools import partial

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from jaxgen import InputError
from jaxgen.cli import main
from jaxgen.data import batch_indices, load, pack_shards, stream_batches, threads
from jaxgen.data.image_options import ImageOptions
from jaxgen.data.pack_shards import pack
from jaxgen.data.sources import stream
from jaxgen.io.errors import OutsideError
from tests.prepared import png, write_prepared
from tests.programs import run_here
from tests.training import toy_experiment

NUM = 23
OPTIONS = ImageOptions((8, 12))
RNG = np.random.default_rng(0)


@pytest.fixture
def pictures(tmp_path):
    """A folder of images of several sizes in two classes, with captions."""
    folder, lines = tmp_path / "pictures", []
    for number in range(NUM):
        name = f"{'ab'[number % 2]}/{number:02}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(RNG.integers(0, 256, (8 + number % 3, 14, 3), np.uint8)))
        lines.append(json.dumps({"file_name": name, "text": f"picture {number}"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture
def small_shards(monkeypatch):
    """Five images of the size of the options in a shard."""
    monkeypatch.setattr(pack_shards, "SHARD_BYTES", 5 * 8 * 12 * 3 + 1)
    monkeypatch.setattr(threads, "CHUNK", 2)


def pack_here(monkeypatch, *arguments):
    return run_here(monkeypatch, main, "pack", *arguments)


def assert_same_data(ours, expected):
    assert ours.digest == expected.digest  # that of all arrays
    assert (ours.class_names, ours.captions) == (expected.class_names, expected.captions)


@pytest.mark.usefixtures("small_shards")
def test_packed_data_are_those_of_the_folder(pictures, tmp_path, monkeypatch, capsys):
    out = tmp_path / "shards"
    assert pack_here(monkeypatch, pictures, "--size", "8x12", "--out", out) == 0
    assert "23 images of 8x12x3" in capsys.readouterr().out
    names = sorted(path.name for path in out.iterdir())
    assert names == ["captions.json", *(f"images-0000{n}-of-00005.array_record" for n in range(5)), "manifest.json"]
    assert_same_data(load(str(out)), load(str(pictures), images=OPTIONS))
    smaller = ImageOptions((4, 6), grey=True)
    assert load(str(out), images=smaller).spec == (4, 6, 1)
    streamed = load(str(out), most_bytes=0)
    indices = partial(batch_indices, 3, batch_size=6, num_examples=NUM)
    whole = load(str(pictures), images=OPTIONS)
    for step, batch in enumerate(stream_batches(streamed, indices, start=0, stop=5)):
        for name, array in batch.items():
            np.testing.assert_array_equal(array, whole.arrays[name][indices(step)])
    halves = [list(stream_batches(streamed, indices, start=0, stop=5, rows=rows)) for rows in (slice(3), slice(3, 6))]
    for step, both in enumerate(zip(*halves, strict=True)):  # two processes
        joined = np.concatenate([batch["image"] for batch in both])
        np.testing.assert_array_equal(joined, whole.arrays["image"][indices(step)])


def test_a_run_on_shards_goes_on_with_the_folder(pictures, tmp_path, monkeypatch):
    assert pack_here(monkeypatch, pictures, "--size", "8x12", "--out", tmp_path / "shards") == 0
    shared = "--out", tmp_path / "run", "--steps"
    assert run_here(monkeypatch, toy_experiment.main, "--data", tmp_path / "shards", *shared, 2) == 0
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert record["data"]["digest"] == load(str(pictures), images=OPTIONS).digest


@pytest.mark.parametrize("layout", ["npz", "prepared", "zip"])
def test_every_source_can_be_packed(tmp_path, monkeypatch, layout):
    images = RNG.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    source, where = tmp_path / f"a.{layout}", ()
    if layout == "npz":
        np.savez(source, x_test=images, y_test=np.arange(6))
    elif layout == "zip":
        import zipfile

        with zipfile.ZipFile(source, "w") as archive:
            for number, image in enumerate(images):
                archive.writestr(f"{number}.png", png(image))
    else:
        write_prepared(tmp_path, train=images, test=images[::-1])
        source, where = "cifar10", ("--data-dir", tmp_path, "--split", "test")
    assert pack_here(monkeypatch, source, "--out", tmp_path / "out", *where) == 0
    packed = load(str(tmp_path / "out"))
    np.testing.assert_array_equal(packed.arrays["image"], images[::-1] if layout == "prepared" else images)
    if layout != "zip":
        assert load(str(tmp_path / "out"), most_bytes=0).classes == (10 if layout == "prepared" else 6)
        assert packed.arrays["label"].tolist() == list(range(6))


def damage(folder):
    (folder / "a" / "02.png").write_bytes(b"no image")
    whole = (folder / "b" / "05.png").read_bytes()
    (folder / "b" / "05.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.zeros((2, 900, 3), np.uint8)).save(folder / "a" / "04.png")


@pytest.mark.usefixtures("small_shards")
def test_damaged_images_are_refused_or_left_out_and_listed(pictures, tmp_path, monkeypatch, capsys):
    damage(pictures)
    out = tmp_path / "out"
    assert pack_here(monkeypatch, pictures, "--size", "8x12", "--out", out) == 2
    assert "02.png cannot be read as an image" in capsys.readouterr().err
    assert pack_here(monkeypatch, pictures, "--size", "8x12", "--out", out, "--skip-damaged") == 0
    said = capsys.readouterr().out
    assert said.count("Left out: ") == 3
    assert "20 images" in said
    packed = load(str(out))
    manifest = json.loads((out / "manifest.json").read_text())
    for name in ("02.png", "04.png", "05.png"):
        assert any(name in line for line in manifest["damaged"])
    kept = [f"picture {n}" for n in range(NUM) if n not in (2, 4, 5)]
    assert sorted(packed.captions) == sorted(kept)
    for name in ("a/02.png", "a/04.png", "b/05.png"):
        (pictures / name).unlink()
    lines = (pictures / "metadata.jsonl").read_text().splitlines()
    (pictures / "metadata.jsonl").write_text("\n".join(line for n, line in enumerate(lines) if n not in (2, 4, 5)))
    assert_same_data(packed, load(str(pictures), images=OPTIONS))


@pytest.mark.usefixtures("small_shards")
def test_an_interrupted_packing_goes_on_where_it_was(pictures, tmp_path, monkeypatch, capsys):
    out, arguments = tmp_path / "out", (pictures, "--size", "8x12", "--out")
    assert pack_here(monkeypatch, *arguments, tmp_path / "whole") == 0
    record = pack_shards._record

    def interrupted(dataset, index):
        if index == 12:
            raise KeyboardInterrupt
        return record(dataset, index)

    monkeypatch.setattr(pack_shards, "_record", interrupted)
    assert pack_here(monkeypatch, *arguments, out) == 130
    begun = {path.name: path.read_bytes() for path in out.glob("*.array_record")}
    assert sorted(begun) == [f"images-0000{n}-of-00005.array_record" for n in range(2)]
    with pytest.raises(InputError, match="holds no images"):
        load(str(out))
    packed = []
    monkeypatch.setattr(pack_shards, "_record", lambda dataset, index: packed.append(index) or record(dataset, index))
    assert pack_here(monkeypatch, *arguments, out) == 0
    assert sorted(packed) == list(range(10, NUM))
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes()
    assert pack_here(monkeypatch, *arguments, out) == 2
    assert "holds a packed data set already" in capsys.readouterr().err


@pytest.mark.usefixtures("small_shards")
def test_another_packing_or_another_folder_is_not_overwritten(pictures, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    monkeypatch.setattr(pack_shards, "_finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pack(stream(str(pictures), images=OPTIONS), out, record={})
    assert pack_here(monkeypatch, pictures, "--size", "8x12", "--fit", "pad", "--out", out) == 2
    assert "holds the beginning of another packing" in capsys.readouterr().err
    assert pack_here(monkeypatch, pictures, "--size", "8x12", "--out", pictures) == 2
    assert "is no empty folder" in capsys.readouterr().err


@pytest.mark.usefixtures("small_shards")
def test_an_interrupted_packing_of_other_pixels_does_not_go_on(tmp_path, monkeypatch, capsys):
    def write(value):
        for number in range(12):
            Image.fromarray(np.full((8, 12, 3), value, np.uint8)).save(tmp_path / f"{number:02}.bmp")

    write(0)
    record = pack_shards._record
    monkeypatch.setattr(pack_shards, "_record", lambda data, index: record(data, index) if index < 7 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pack_here(monkeypatch, tmp_path, "--out", tmp_path / "out")
    monkeypatch.setattr(pack_shards, "_record", record)
    write(255)  # as many bytes
    assert pack_here(monkeypatch, tmp_path, "--out", tmp_path / "out") == 2
    assert "holds the beginning of another packing" in capsys.readouterr().err


def test_two_processes_do_not_pack_into_one_folder(pictures, tmp_path, monkeypatch):
    out, data = tmp_path / "out", stream(str(pictures), images=OPTIONS)
    out.mkdir()
    monkeypatch.setattr(pack_shards, "_claim", lambda *_: None)
    with FileLock(out / ".lock"), pytest.raises(InputError, match="is being written by another process"):
        pack(data, out, record={})


def test_a_packing_of_no_readable_image_leaves_the_folder_free(tmp_path, monkeypatch, capsys):
    folder, out = tmp_path / "folder", tmp_path / "out"
    folder.mkdir()
    whole = png(RNG.integers(0, 256, (8, 8, 3), np.uint8))
    (folder / "0.png").write_bytes(whole[: len(whole) // 2])
    assert pack_here(monkeypatch, folder, "--out", out, "--skip-damaged") == 2
    assert "no image can be read, the first because: " in capsys.readouterr().err
    (folder / "0.png").write_bytes(whole)
    assert pack_here(monkeypatch, folder, "--out", out) == 0


def test_a_label_that_is_no_class_is_not_packed(tmp_path, monkeypatch, capsys):
    np.savez(tmp_path / "a.npz", image=np.zeros((3, 8, 8, 1), np.uint8), label=np.array([0, -1, 2]))
    assert pack_here(monkeypatch, tmp_path / "a.npz", "--out", tmp_path / "out") == 2
    assert "has the label -1, which is no class" in capsys.readouterr().err


def test_an_error_about_a_name_with_a_line_break_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b\nc.png").write_bytes(b"no image")
    assert pack_here(monkeypatch, tmp_path / "a", "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_features_are_not_packed(tmp_path, monkeypatch, capsys):
    np.savez(tmp_path / "a.npz", image=np.zeros((3, 8, 8, 1), np.uint8), features=np.zeros((3, 2)))
    assert pack_here(monkeypatch, tmp_path / "a.npz", "--out", tmp_path / "out") == 2
    assert "has features, which shards do not hold" in capsys.readouterr().err


def cut(path, content):
    path.write_bytes(content[:-10])


def changed(path, content):
    middle = content.index(b"IDAT") + 40
    path.write_bytes(
        content[:middle] + bytes(byte ^ 255 for byte in content[middle : middle + 64]) + content[middle + 64 :]
    )


def removed(path, _):
    path.unlink()


@pytest.mark.parametrize(
    ("name", "do", "line"),
    [
        ("images-00000-of-00001.array_record", cut, r"has [\d,]+ bytes, and had [\d,]+ when it was packed"),
        ("images-00000-of-00001.array_record", removed, r"has 0 bytes, and had"),
        ("images-00000-of-00001.array_record", changed, r"cannot be read as a packed data set"),
        ("captions.json", cut, r"captions\.json cannot be read as the captions .*: it is not the one that was packed"),
        ("captions.json", removed, r"captions\.json cannot be read"),
    ],
)
def test_damaged_shards_are_one_line(pictures, tmp_path, name, do, line):
    out = tmp_path / "out"
    pack(stream(str(pictures), images=OPTIONS), out, record={})
    do(out / name, (out / name).read_bytes())
    with pytest.raises(InputError, match=line) as error:
        load(str(out))
    assert "\n" not in str(error.value)


def test_a_full_disk_is_one_line_and_loses_no_shard(pictures, tmp_path):
    earlier = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OutsideError, match=r"images-00000-of-00001\.array_record cannot be written: "):
            pack(stream(str(pictures), images=OPTIONS), tmp_path / "out", record={})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, earlier)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".lock", ".plan"]
    pack(stream(str(pictures), images=OPTIONS), tmp_path / "out", record={})
    assert load(str(tmp_path / "out")).size == NUM
