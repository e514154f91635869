from contextlib import suppress
from functools import partial
from hashlib import md5
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from jaxgen import ImageSpec, InputError
from jaxgen.data import load, mnist_files
from jaxgen.data.idx import read_idx
from jaxgen.io.files import cache_folder
from tests.prepared import idx, write_mnist

SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no prepared data sets in {SHARED}")


def images(num=3, shape=(28, 28), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (num, *shape), dtype=np.uint8)


def silent(_):
    """Nothing to announce to."""


def find(name, **options):
    return load(name, announce=silent, **options)


@pytest.mark.parametrize("shape", [(5,), (2, 3), (4, 3, 2)])
@pytest.mark.parametrize("compress", [True, False])
def test_an_idx_file_gives_its_array(tmp_path, shape, compress):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / "file"
    path.write_bytes(idx(array, compress=compress))
    np.testing.assert_array_equal(read_idx(path), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx(images())[:-1], "not whole"),
        (idx(images()) + b"x", "not whole"),
        (idx(images())[:6], "not whole"),
        (b"\0\0\x0d\x01" + b"\0" * 8, "no IDX file of unsigned bytes"),
        (b"", "no IDX file"),
        (idx(images(), compress=True)[:-20], "cannot be read"),
        (idx(images(), compress=True)[:30] + b"damage" + idx(images(), compress=True)[36:], "cannot be read"),
    ],
)
def test_a_damaged_idx_file_is_named(tmp_path, content, message):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"train-images.*{message}"):
        read_idx(path)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("inside", [".", "mnist"])
def test_the_original_files_are_found_in_the_given_folder(tmp_path, inside, compress):
    write_mnist(tmp_path / inside, compress=compress, train=images())
    data = find("mnist", data_dir=tmp_path)
    np.testing.assert_array_equal(data.arrays["image"][..., 0], images())
    assert data.arrays["label"].tolist() == [0, 1, 2]
    assert data.spec == ImageSpec(28, 28, 1)


def test_one_set_is_never_taken_for_the_other(tmp_path, monkeypatch):
    write_mnist(tmp_path, compress=True, train=images())
    name = mnist_files.FILES["train"][0]
    checksum = md5((tmp_path / f"{name}.gz").read_bytes()).hexdigest()
    monkeypatch.setitem(mnist_files.CHECKSUMS["fashion_mnist"], name, checksum)
    with pytest.raises(InputError, match="is fashion_mnist's file, not mnist's"):
        find("mnist", data_dir=tmp_path)


def test_offline_and_without_data_mnist_is_the_embedded_digits():
    announced = []
    data = load("mnist", offline=True, announce=announced.append)
    assert np.bincount(data.arrays["label"]).tolist() == [500] * 10
    assert "5,000 embedded" in data.source
    assert "embedded" in announced[0]


def test_a_download_that_does_not_come_is_announced_and_does_no_harm(monkeypatch):
    monkeypatch.setitem(mnist_files.ADDRESSES, "mnist", "http://127.0.0.1:9/")
    announced = []
    data = load("mnist", announce=announced.append)
    assert "Downloading mnist" in announced[0]
    assert "failed" in announced[1]
    assert data.size == 5000


@pytest.fixture
def server(tmp_path):
    """A server on this machine of the files in a folder; its address and the folder."""
    served = tmp_path / "served"
    write_mnist(served, compress=True, train=images())
    handler = partial(SimpleHTTPRequestHandler, directory=served)
    handler.log_message = silent
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}/", served
        web.shutdown()


def test_a_download_with_the_right_checksum_is_used_and_kept(server, monkeypatch):
    address, served = server
    monkeypatch.setitem(mnist_files.ADDRESSES, "fashion_mnist", address)
    for name in mnist_files.FILES["train"]:
        checksum = md5((served / f"{name}.gz").read_bytes()).hexdigest()
        monkeypatch.setitem(mnist_files.CHECKSUMS["fashion_mnist"], name, checksum)
    data = find("fashion_mnist")
    np.testing.assert_array_equal(data.arrays["image"][..., 0], images())
    assert find("fashion_mnist", offline=True).digest == data.digest
    for path in (cache_folder() / "fashion_mnist").iterdir():
        path.unlink()


def test_a_download_with_another_checksum_is_refused(server, monkeypatch):
    monkeypatch.setitem(mnist_files.ADDRESSES, "fashion_mnist", server[0])
    announced = []
    with pytest.raises(InputError, match=r"fashion_mnist .* was not found"):
        load("fashion_mnist", announce=announced.append)
    assert "failed: ValueError" in announced[1]
    assert not list((cache_folder() / "fashion_mnist").glob("*.gz"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "minst",
            {},
            "--data minst is unknown: expected mnist, fashion_mnist, cifar10, binarized_mnist, a folder of images, or"
            " an .npz",
        ),
        ("mnist", {"data_dir": Path("/nowhere")}, "--data-dir /nowhere is not a folder"),
        ("mnist", {"split": "test", "offline": True}, r"mnist \(test\) was not found"),
        ("fashion_mnist", {"offline": True}, "fashion_mnist .* was not found"),
        ("cifar10", {"offline": True}, "cifar10 is not prepared"),
        ("mnist", {"split": "valid"}, "The split 'valid' is unknown: expected train, validation, test"),
        ("mnist", {"split": "validation"}, "mnist has no validation split: expected train or test"),
    ],
)
def test_what_is_missing_is_named_in_one_line(name, options, message):
    with pytest.raises(InputError, match=message) as error:
        find(name, **options)
    assert "\n" not in str(error.value)


def test_a_given_folder_without_the_data_is_not_passed_over_in_silence(tmp_path):
    with pytest.raises(InputError, match=r"holds neither mnist/<version>/\*\.array_record nor the IDX files"):
        find("mnist", data_dir=tmp_path)


def test_a_folder_gives_its_images_in_order_and_its_subfolders_as_labels(tmp_path):
    arrays = images(4, (8, 12, 3))
    for number, (place, array) in enumerate(zip("abba", arrays, strict=True)):
        (tmp_path / place).mkdir(exist_ok=True)
        Image.fromarray(array).save(tmp_path / place / f"{number}.png")
    data = find(str(tmp_path))
    np.testing.assert_array_equal(data.arrays["image"], arrays[[0, 3, 1, 2]])
    assert data.arrays["label"].tolist() == [0, 0, 1, 1]


def test_grey_images_stay_grey_and_one_in_colour_makes_all_colour(tmp_path):
    grey = images(1, (8, 8))[0]
    Image.fromarray(grey).save(tmp_path / "a.png")
    np.testing.assert_array_equal(find(str(tmp_path)).arrays["image"][0, ..., 0], grey)
    Image.fromarray(images(1, (8, 8, 3))[0]).save(tmp_path / "b.png")
    both = find(str(tmp_path)).arrays
    assert both["image"].shape == (2, 8, 8, 3)
    assert "label" not in both


def test_transparent_images_are_put_on_white(tmp_path):
    Image.fromarray(np.zeros((8, 8, 4), np.uint8)).save(tmp_path / "a.png")
    assert (find(str(tmp_path)).arrays["image"] == 255).all()


def test_unusable_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no images"):
        find(str(tmp_path))
    Image.fromarray(images(1, (8, 8))[0]).save(tmp_path / "a.png")
    Image.fromarray(images(1, (8, 9))[0]).save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"2 images of 2 sizes .* 8 x 8 \(a\.png\), 8 x 9 \(b\.png\)"):
        find(str(tmp_path))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:-30])
    with pytest.raises(InputError, match=r"b\.png cannot be read as an image"):
        find(str(tmp_path))


def test_an_image_bomb_is_refused_before_it_is_unpacked(tmp_path):
    Image.new("1", (9000, 9000)).save(tmp_path / "bomb.png")
    with pytest.raises(InputError, match="9000 x 9000 pixels; at most"):
        find(str(tmp_path))


def test_channels_of_16_bits_are_scaled_to_8(tmp_path):
    deep = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(find(str(tmp_path)).arrays["image"][0, ..., 0], np.rint(deep / 257))


@pytest.mark.parametrize("names", [("image", "label"), ("arr_0", "arr_1")])
def test_an_archive_gives_its_images_and_labels(tmp_path, names):
    path = tmp_path / "a.npz"
    np.savez(path, **dict(zip(names, (images(), np.arange(3)), strict=True)))
    data = find(str(path))
    np.testing.assert_array_equal(data.arrays["image"][..., 0], images())
    assert data.arrays["label"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"image": np.full((2, 8, 8, 1), 2.0)}, r"images are float64 from 2 to 2; expected \[0, 1\] or \[-1, 1\]"),
        ({"image": np.zeros((2, 8, 8, 2), np.uint8)}, r"shape \(2, 8, 8, 2\); expected .* C = 1 or 3"),
        ({"image": np.zeros((0, 8, 8, 1), np.uint8)}, "no images"),
        (
            {"image": np.zeros((2, 8, 8, 1), np.uint8), "label": np.zeros(3, int)},
            r"labels are int64\[3\]; expected whole numbers \[2\]",
        ),
        ({"pictures": np.zeros((2, 8, 8, 1), np.uint8)}, "has pictures; expected images as one of 'image', 'arr_0'"),
        ({"image": np.array([{}], dtype=object)}, "cannot be read as an .npz: it is damaged, or holds Python objects"),
    ],
)
def test_an_unusable_archive_is_refused(tmp_path, arrays, message):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=message):
        find(str(path))


@pytest.mark.parametrize("content", [b"", b"PK\3\4 no zip", b"\x93NUMPY"])
def test_a_damaged_archive_is_refused(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npz cannot be read as an \.npz"):
        find(str(path))


def test_a_damaged_byte_in_an_archive_is_refused_or_without_effect(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, image=images())
    sound, expected = path.read_bytes(), find(str(path)).digest
    for place in np.linspace(0, len(sound) - 1, 40).astype(int):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 0x10]) + sound[place + 1 :])
        with suppress(InputError):
            assert find(str(path)).digest == expected


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("")
    with pytest.raises(InputError, match=r"not a folder of images, or an \.npz"):
        find(str(path))


def test_the_digest_is_of_the_data(tmp_path):
    digests = []
    for seed in (0, 0, 1):
        write_mnist(tmp_path, train=images(seed=seed))
        digests.append(find("mnist", data_dir=tmp_path).digest)
    assert digests[0] == digests[1] != digests[2]


@needs_shared
def test_prepared_data_are_read_and_cached_and_equal():
    announced = []
    first = load("cifar10", split="test", data_dir=SHARED / "tfds", announce=announced.append)
    assert "Decoding 10,000 images" in announced[0]
    again = load("cifar10", split="test", data_dir=SHARED / "tfds", announce=announced.append)
    assert len(announced) == 1
    assert first.digest == again.digest
    assert first.spec == ImageSpec(32, 32, 3)
    assert np.bincount(first.arrays["label"]).tolist() == [1000] * 10
