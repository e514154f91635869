"""Archives as people have them: arrays in any usual layout, and packed folders; the right data set, or one line."""

import io
import tarfile
import tempfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jaxgen import InputError
from jaxgen.cli.arguments import read_images
from jaxgen.data import archives, read_features
from tests.real_inputs.files import pack, png, read

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (4, 5, 6, 3), np.uint8)
GREY, OTHER = RGB[..., :1], 255 - RGB
LABEL = np.array([3, 0, 1, 2])
UNIT, SIGNED = RGB / 255, RGB / 127.5 - 1
HALF = UNIT.astype(np.float16)
CHANNELS_FIRST = RGB.transpose(0, 3, 1, 2)
IS_UNIT, IS_SIGNED = "floats, taken for [0, 1] (black to white)", "floats, taken for [-1, 1] (black to white)"
IS_FIRST = "the layout of [4, 3, 5, 6] is taken for [N, C, H, W]"
SPLITS = {"x_train": RGB, "y_train": LABEL, "x_test": OTHER[:3], "y_test": LABEL[:3]}

READ = [
    *[(f"images in {name}", {name: RGB}, "train", RGB, None, []) for name in ("images", "x", "X", "data")],
    *[
        (f"labels in {name}", {"images": RGB, name: LABEL}, "train", RGB, LABEL, [])
        for name in ("label", "labels", "y", "Y", "targets")
    ],
    ("labels [N, 1]", {"x": RGB, "y": LABEL[:, None]}, "train", RGB, LABEL, []),
    ("the documented name first", {"data": OTHER, "image": RGB}, "train", RGB, None, []),
    ("the training images of both", SPLITS, "train", RGB, LABEL, []),
    ("the test images of both", SPLITS, "test", OTHER[:3], LABEL[:3], []),
    ("the only split", {"x_train": RGB, "y_train": LABEL}, "test", RGB, LABEL, []),
    ("MedMNIST", {"train_images": RGB, "test_images": OTHER, "train_labels": LABEL[:, None]}, "train", RGB, LABEL, []),
    ("grey [N, H, W]", {"x": GREY[..., 0]}, "train", GREY, None, []),
    ("colour [N, C, H, W]", {"x": CHANNELS_FIRST}, "train", RGB, None, [IS_FIRST]),
    ("grey [N, C, H, W]", {"x": GREY.transpose(0, 3, 1, 2)}, "train", GREY, None, ["taken for [N, C, H, W]"]),
    ("floats in [0, 1]", {"x": UNIT}, "train", RGB, None, [IS_UNIT]),
    ("floats in [-1, 1]", {"x": SIGNED.astype(np.float32)}, "train", RGB, None, [IS_SIGNED]),
    ("half floats", {"x": HALF}, "train", np.rint(255 * HALF.astype(float)), None, [IS_UNIT]),
    ("floats that overshoot", {"x": UNIT * 1.0005}, "train", np.clip(np.rint(RGB * 1.0005), 0, 255), None, [IS_UNIT]),
    ("PyTorch's", {"x": SIGNED.astype(np.float32).transpose(0, 3, 1, 2)}, "train", RGB, None, [IS_FIRST, IS_SIGNED]),
    ("bool", {"x": RGB > 127}, "train", 255 * (RGB > 127), None, []),
    ("int64", {"x": RGB.astype(np.int64)}, "train", RGB, None, []),
    ("big-endian uint16", {"x": RGB.astype(">u2")}, "train", RGB, None, []),
    ("Fortran order", {"x": np.asfortranarray(RGB)}, "train", RGB, None, []),
]  # fmt: skip

REFUSED = [
    ("floats up to 255", {"x": RGB.astype(float)}, "images are float64 from 0 to 255; expected [0, 1] or [-1, 1]"),
    ("standardised floats", {"x": (UNIT - 0.5) / 0.25}, "expected [0, 1] or [-1, 1]: save them as uint8 from 0 to 255"),
    ("not a number", {"x": np.where(UNIT > 0.5, np.nan, UNIT)}, "images are float64 from nan to nan; expected [0, 1]"),
    ("infinity", {"x": np.where(UNIT > 0.5, np.inf, UNIT)}, "images are float64 from 0 to inf; expected [0, 1]"),
    ("16 bits", {"x": RGB.astype(np.uint16) * 257}, "images are uint16 from 0 to 65535; expected 0 to 255: save"),
    ("below 0", {"x": RGB.astype(int) - 128}, "images are int64 from -128 to 127; expected 0 to 255: save"),
    ("0 and 1", {"x": (RGB > 127).astype(int)}, "of 0 and 1 alone, where 1 may be white or the darkest grey: save"),
    ("complex", {"x": RGB.astype(complex)}, "images are complex128; expected uint8 from 0 to 255"),
    ("texts", {"x": np.full((2, 4, 5), "a")}, "images are <U1; expected uint8 from 0 to 255"),
    ("one image", {"x": RGB[0]}, "[5, 6, 3] may be one image [H, W, C] or many [N, H, W]: give it four axes"),
    ("two layouts", {"x": RGB[:, :3, :3]}, "[4, 3, 3, 3] may be [N, H, W, C] or [N, C, H, W]: expected sides other"),
    ("rows", {"data": RGB.reshape(4, -1)}, "the images have shape (4, 90); expected [N, H, W, C] with C = 1 or 3"),
    ("two channels", {"x": RGB[..., :2]}, "the images have shape (4, 5, 6, 2); expected [N, H, W, C] with C = 1 or 3"),
    ("a number", {"x": np.array(3)}, "the images have shape (); expected [N, H, W, C] with C = 1 or 3"),
    ("no images", {"x": RGB[:0]}, "there are no images"),
    ("no such split", {"x_train": RGB, "x_val": RGB}, "has no test images; it has train and validation"),
    ("no known name", {"pictures": RGB}, "has pictures; expected images as one of 'image', 'arr_0', 'images', 'x'"),
    ("nothing", {}, "has nothing; expected images as one of 'image'"),
    ("one-hot labels", {"x": RGB, "y": np.eye(4)}, "the labels are float64[4, 4]; expected whole numbers [4]"),
    ("other labels", {"x": RGB, "y": LABEL[:2]}, "the labels are int64[2]; expected whole numbers [4]"),
    ("a label", {"x": RGB, "y": np.array(3)}, "the labels are int64[]; expected whole numbers [4]"),
    ("a feature", {"x": RGB, "features": np.array(3.0)}, "the features are float64[]; expected numbers [4, F]"),
    ("features [N]", {"x": RGB, "features": np.ones(4)}, "the features are float64[4]; expected numbers [4, F]"),
    ("objects", {"x": np.array([{}, {}])}, "cannot be read as an .npz: it is damaged, or holds Python objects"),
    ("object labels", {"x": RGB, "y": np.array(list("abcd"), object)}, "cannot be read as an .npz: it is damaged"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "split", "image", "label", "said"), READ, ids=[row[0] for row in READ])
def test_arrays_are_read_as_they_are_meant(tmp_path, name, content, split, image, label, said):
    np.savez(tmp_path / "a.npz", **content)
    data, announced = read(tmp_path / "a.npz", split=split)
    np.testing.assert_array_equal(data.arrays["image"], image)
    assert (data.arrays["label"].tolist() if "label" in data.arrays else None) == (None if label is None else [*label])
    assert len(announced) == len(said)
    for line, expected in zip(announced, said, strict=True):
        assert expected in line
    if len(content) == 1:
        np.save(tmp_path / "a.npy", *content.values())
        np.testing.assert_array_equal(read(tmp_path / "a.npy")[0].arrays["image"], image)


@pytest.mark.parametrize(("name", "content", "line"), REFUSED, ids=[row[0] for row in REFUSED])
def test_arrays_that_could_mean_two_things_or_none_are_one_line(tmp_path, name, content, line):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(InputError) as error:
        read(tmp_path / "a.npz", split="test")
    assert line in str(error.value)
    assert "a.npz" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("features", "line"),
    [
        (np.array(3.0), r"features are float64\[\]; expected numbers \[N, F\]"),
        (np.ones(4), r"features are float64\[4\]; expected numbers \[N, F\]"),
        (np.ones((0, 4)), r"features are float64\[0, 4\]; expected numbers \[N, F\]"),
        (np.ones((2, 2, 2)), r"features are float64\[2, 2, 2\]; expected numbers \[N, F\]"),
        (np.ones((4, 0)), r"features are float64\[4, 0\]; expected numbers \[4, F\]"),
        (np.full((4, 2), np.nan), "a feature is not finite"),
        (np.array([["a"]]), "expected numbers"),
        (np.array([[{}]]), "holds Python objects"),
    ],
)
def test_features_that_are_no_rows_of_numbers_are_one_line(tmp_path, features, line):
    np.savez(tmp_path / "f.npz", features=features)
    with pytest.raises(InputError, match=line) as error:
        read_features(tmp_path / "f.npz")
    assert "\n" not in str(error.value)


SHAPES = st.tuples(st.integers(1, 3), st.integers(4, 6), st.integers(4, 6), st.sampled_from([1, 3]))


@settings(max_examples=60, deadline=None)
@given(
    SHAPES.flatmap(lambda shape: arrays(np.uint8, shape)),
    st.sampled_from(["uint8", "int32", "float32", "float64", "signed"]),
    st.sampled_from(["last", "first", "none"]),
)
def test_images_survive_every_dtype_and_layout(image, dtype, layout):
    stored = {"signed": image / 127.5 - 1}.get(dtype, (image / 255 if "float" in dtype else image).astype("f8"))
    stored = stored if dtype == "signed" else stored.astype(dtype)
    stored = stored.transpose(0, 3, 1, 2) if layout == "first" else stored
    if layout == "none" and image.shape[-1] == 1:
        stored = stored[..., 0]
    if (dtype == "signed" and (image > 127).all()) or (dtype == "int32" and image.max() == 1):
        return  # could be read in two ways
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/a.npz", x=stored)
        np.testing.assert_array_equal(read(f"{folder}/a.npz")[0].arrays["image"], image)


# Packed folders.


def shade(number):
    return png(np.full((2, 4, 1), number, np.uint8))


KINDS = ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "A.ZIP"]
CAPTIONS = b'{"file_name": "a.png", "text": "one"}\n{"file_name": "b.png", "text": "two"}'

PACKED = [
    ("images alone", ["b.png", "a.png"], [1, 0], None),
    ("classes", ["dog/b.png", "cat/a.png"], [1, 0], [0, 1]),
    ("classes in a folder", ["data/dog/b.png", "data/cat/a.png"], [1, 0], [0, 1]),
    ("classes in a folder in a folder", ["my/data/dog/b.png", "my/data/cat/a.png"], [1, 0], [0, 1]),
    ("classes with folders inside", ["dog/x/b.png", "cat/y/z/a.png", "cat/b.png"], [2, 1, 0], [0, 0, 1]),
    ("one class", ["cat/a.png", "cat/b.png"], [0, 1], [0, 0]),
    ("packed from inside", ["./dog/b.png", "./cat/a.png"], [1, 0], [0, 1]),
    ("a page of text", ["cat/a.png", "dog/b.png", "README.md"], [0, 1], [0, 1]),
    ("a name twice: the last counts", ["cat/a.png", "dog/b.png", "cat/a.png"], [2, 1], [0, 1]),
    ("an upper-case suffix", ["cat/A.PNG", "dog/b.png"], [0, 1], [0, 1]),
]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "files", "shades", "label"), PACKED, ids=[row[0] for row in PACKED])
def test_an_archive_is_read_as_its_folder(tmp_path, name, files, shades, label, kind):
    path = tmp_path / kind
    pack_list(path, [(file, shade(number)) for number, file in enumerate(files)])
    data, announced = read(path)
    assert data.arrays["image"][:, 0, 0, 0].tolist() == shades
    assert (data.arrays["label"].tolist() if "label" in data.arrays else None) == label
    assert announced == []
    assert list(tmp_path.iterdir()) == [path]  # nothing is unpacked
    np.testing.assert_array_equal(read_images(str(path)).arrays["image"], data.arrays["image"])


def pack_list(path, files):
    """Files in an archive, of which several may have one name."""
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files:
                archive.writestr(name, content)
        return
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefix", ["", "data/"])
def test_captions_are_read_from_an_archive(tmp_path, kind, prefix):
    files = {"a.png": shade(1), "b.png": shade(2), "metadata.jsonl": CAPTIONS}
    pack_list(tmp_path / kind, [(prefix + name, content) for name, content in files.items()])
    data, _ = read(tmp_path / kind)
    assert data.captions == ("one", "two")
    assert "label" not in data.arrays


@pytest.mark.parametrize("kind", KINDS[:3])
def test_an_archive_that_does_not_fit_is_streamed_by_many_threads(tmp_path, kind):
    path = pack(tmp_path / kind, {f"{number:03}.png": shade(number) for number in range(100)})
    data, announced = read(path, most_bytes=0)
    assert announced == ["100 images of 0.0 GB are streamed from disk"]
    barrier = threading.Barrier(8)

    def work(index):
        if index < 8:
            barrier.wait(10)
        return int(data.read(index % 100)["image"][0, 0, 0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(400))) == [index % 100 for index in range(400)]


def encrypted(path):
    content = bytearray(pack(path, {"a.png": shade(1)}).read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)


def linked(kind, target):
    def make(path):
        with tarfile.open(path, "w") as archive:
            member = tarfile.TarInfo("cat")
            member.type, member.linkname = kind, target
            archive.addfile(member)

    return make


def holding(*names):
    return lambda path: pack_list(path, [(name, shade(1)) for name in names])


def two_sizes(path):
    pack_list(path, [("a.png", shade(1)), ("b.png", png(np.zeros((3, 3, 1), np.uint8)))])


def write(content):
    return lambda path: path.write_bytes(content)


def cut(share):
    def make(path):
        content = pack(path, {f"{number}.png": shade(number) for number in range(9)}).read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return make


def damaged_header(path):
    content = bytearray(pack(path, {f"{number}.png": shade(number) for number in range(9)}).read_bytes())
    content[4 * 1024 + 148] ^= 1  # the checksum of the fifth file's header
    path.write_bytes(content)


UNUSABLE = [
    ("a.zip", "a name above", holding("../a.png"), "the name '../a.png' leads outside the archive; pack it again"),
    ("a.tar", "a name above", holding("cat/../../a.png"), "leads outside the archive; pack it again"),
    ("a.tar", "an absolute name", holding("/tmp/a.png"), "the name '/tmp/a.png' leads outside the archive"),
    ("a.zip", "a Windows name above", holding("..\\a.png"), "leads outside the archive"),
    ("a.zip", "a password", encrypted, "a.png is encrypted; pack it again without a password"),
    ("a.tar", "a symbolic link", linked(tarfile.SYMTYPE, "/etc"), "cat is a symbolic link; pack the file itself"),
    ("a.tar", "a link to nothing", linked(tarfile.LNKTYPE, "dog"), "cat is a link to dog, which is not in the archive"),
    ("a.zip", "no images", holding("a.txt"), "holds no images (.apng"),
    ("a.tar.gz", "no images", holding("a.txt"), "holds no images (.apng"),
    ("a.zip", "empty", write(b""), "a.zip cannot be read as an archive: File is not a zip file"),
    ("a.tar", "empty", write(b""), "a.tar cannot be read as an archive: empty file"),
    ("a.tgz", "text", write(b"text"), "a.tgz cannot be read as an archive: not a gzip file"),
    ("a.zip", "cut off", cut(0.7), "a.zip cannot be read as an archive"),
    ("a.tar", "cut off", cut(0.2), "a.tar cannot be read as an archive"),
    ("a.tar.gz", "cut off", cut(0.7), "a.tar.gz cannot be read as an archive"),
    ("a.tar", "a damaged header", damaged_header, "a.tar cannot be read as an archive: it is cut off, or damaged"),
    ("a.tar", "another size", two_sizes, "a.tar holds 2 images of 2 sizes"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "make", "line"), UNUSABLE, ids=[f"{row[0]} {row[1]}" for row in UNUSABLE])
def test_an_archive_that_cannot_be_used_is_one_line(tmp_path, kind, name, make, line):
    path = tmp_path / "inside" / kind
    path.parent.mkdir()
    make(path)
    with pytest.raises(InputError) as error:
        read(path)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert list(tmp_path.rglob("*")) == [path.parent, path]


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_file_in_an_archive_has_a_largest_size(tmp_path, monkeypatch, kind):
    path = pack(tmp_path / kind, {"bomb.png": bytes(10**6)})
    monkeypatch.setattr(archives, "MAX_FILE", 10**6 - 1)
    with pytest.raises(InputError, match=r"bomb\.png takes 1,000,000 bytes; at most 999,999 are read"):
        read(path)


def test_a_compressed_tar_has_a_largest_size(tmp_path, monkeypatch):
    path = pack(tmp_path / "a.tar.gz", {"a.png": shade(1), "zeros": bytes(10**6)})
    monkeypatch.setattr(archives, "MAX_COMPRESSED_TAR", 10**6)
    with pytest.raises(InputError, match=r"a\.tar\.gz holds more than .* GiB: unpack it into a folder"):
        read(path)


def test_a_hard_link_in_a_tar_is_the_file_that_it_is_of(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data" / "cat" / "a.png").write_bytes(shade(7))
    (tmp_path / "data" / "dog" / "b.png").hardlink_to(tmp_path / "data" / "cat" / "a.png")
    for kind in ("a.tar", "a.tar.gz"):
        with tarfile.open(tmp_path / kind, "w" if kind == "a.tar" else "w:gz") as archive:
            archive.add(tmp_path / "data", "data")
        data, _ = read(Path(tmp_path / kind))
        assert data.arrays["image"][:, 0, 0, 0].tolist() == [7, 7]
        assert data.arrays["label"].tolist() == [0, 1]
