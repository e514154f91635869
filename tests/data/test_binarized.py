"""Binarised MNIST in both of its forms."""

import numpy as np
import pytest

from jaxgen.data import load
from jaxgen.data.image_options import ImageOptions
from jaxgen.io.errors import InputError

BITS = np.random.default_rng(0).integers(0, 2, (5, 784), np.uint8)


def write_text(path, bits=BITS):
    path.write_text("\n".join(" ".join(map(str, row)) for row in bits) + "\n")


def test_both_forms_are_the_same_digits(tmp_path):
    for name in ("text", "packed"):
        (tmp_path / name).mkdir()
    write_text(tmp_path / "text" / "binarized_mnist_valid.amat")
    packed = {name: np.packbits(BITS[::step], axis=1) for name, step in (("train", 2), ("valid", 1), ("test", -1))}
    np.savez(tmp_path / "packed" / "binarized_mnist.npz", **packed)
    one, other = (load("binarized_mnist", split="validation", data_dir=tmp_path / name) for name in ("text", "packed"))
    assert one.digest == other.digest
    np.testing.assert_array_equal(one.arrays["image"].reshape(5, 784), 255 * BITS)
    test = load("binarized_mnist", split="test", data_dir=tmp_path / "packed")
    np.testing.assert_array_equal(test.arrays["image"], one.arrays["image"][::-1])


def test_a_size_at_which_digits_are_grey_is_refused(tmp_path):
    write_text(tmp_path / "binarized_mnist_train.amat")
    with pytest.raises(InputError, match="--size 32x32: binarized_mnist at another size"):
        load("binarized_mnist", data_dir=tmp_path, images=ImageOptions((32, 32)))
    digits = load("binarized_mnist", data_dir=tmp_path, images=ImageOptions((28, 28))).arrays["image"]
    np.testing.assert_array_equal(digits.reshape(5, 784), 255 * BITS)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda folder: None, "give --data-dir, a folder with binarized_mnist.npz"),
        (lambda folder: write_text(folder / "binarized_mnist_train.amat", BITS[:, 1:]), "rows of 784 zeros and ones"),
        (lambda folder: write_text(folder / "binarized_mnist_train.amat", 2 * BITS), "rows of 784 zeros and ones"),
        (lambda folder: (folder / "binarized_mnist_train.amat").write_text(""), "rows of 784 zeros and ones"),
        (
            lambda folder: np.savez(folder / "binarized_mnist.npz", train=BITS),
            r"uint8\[5, 784\]; expected uint8\[N, 98\]",
        ),
        (lambda folder: np.savez(folder / "binarized_mnist.npz", test=BITS), "train"),
        (lambda folder: (folder / "binarized_mnist.npz").write_bytes(b"PK"), "cannot be read"),
    ],
)
def test_other_files_are_refused(tmp_path, write, message):
    write(tmp_path)
    with pytest.raises(InputError, match=message):
        load("binarized_mnist", data_dir=tmp_path)


def test_a_split_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="mnist has no validation split"):
        load("mnist", split="validation", data_dir=tmp_path)
