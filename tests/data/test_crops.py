"""Random crops of images, where the values of an image tell from where a crop is."""

import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.cli import main
from jaxgen.data import crops_of_picture, load
from jaxgen.data.crops import LARGEST, random_crop
from jaxgen.data.image_options import ImageOptions
from tests.prepared import png
from tests.programs import run_here

OPTIONS = ImageOptions((8, 12))


def places(height, width):
    """An image uint8 [H, W, 3] whose channels are the row and the column of a pixel."""
    rows, columns = np.indices((height, width))
    return np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)


def test_a_crop_keeps_its_aspect_ratio_and_stays_between_the_two_sides():
    image = places(100, 250)
    # The places of the first and the last row and column are half a resized pixel inside of the crop.
    spans = [np.ptp(random_crop(image, "x", OPTIONS, index).astype(int), axis=(0, 1)) for index in range(300)]
    height, width = (np.array(spans)[:, axis] / (side - 1) for axis, side in enumerate(OPTIONS.size))
    assert (np.abs(height - width) < 0.6).all()
    assert height.min() < 1.2 < LARGEST - 0.6 < height.max() <= LARGEST + 0.1
    assert np.median(height) == pytest.approx(np.sqrt(LARGEST), rel=0.15)


def test_each_crop_has_a_place_of_its_own_and_the_same_one_each_time():
    image = places(60, 60)
    crops = [random_crop(image, "x", OPTIONS, index) for index in range(20)]
    assert len({crop.tobytes() for crop in crops}) == 20
    np.testing.assert_array_equal(random_crop(image, "x", OPTIONS, 7), crops[7])


@pytest.mark.parametrize("shape", [(8, 12), (4, 6)])
def test_an_image_no_larger_than_a_crop_is_one(shape):
    expected = places(8, 12) if shape == (8, 12) else None
    crops = [random_crop(places(*shape), "x", OPTIONS, index) for index in range(3)]
    assert all(crop.shape == (8, 12, 3) for crop in crops)
    np.testing.assert_array_equal(crops[0], crops[1] if expected is None else expected)


def test_crops_are_packed_with_the_labels_of_their_images(tmp_path, monkeypatch, capsys):
    for name, side in {"a/0.png": 20, "a/1.png": 30, "b/2.png": 40}.items():
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pictures" / name).write_bytes(png(places(side, side)))
    shared = "pack", tmp_path / "pictures", "--crops", 5
    assert run_here(monkeypatch, main, *shared, "--size", 8, "--out", tmp_path / "shards") == 0
    packed = load(str(tmp_path / "shards"))
    assert packed.arrays["label"].tolist() == [0] * 10 + [1] * 5
    expected = [random_crop(places(40, 40), "x", ImageOptions((8, 8)), index) for index in range(10, 15)]
    np.testing.assert_array_equal(packed.arrays["image"][10:], expected)
    assert run_here(monkeypatch, main, *shared, "--out", tmp_path / "other") == 2
    assert "error: --crops 5: give --size, the size of a crop." in capsys.readouterr().err
    np.savez(tmp_path / "a.npz", image=np.zeros((3, 8, 8, 1), np.uint8))
    options = "--crops", 5, "--size", 8, "--out", tmp_path / "other"
    assert run_here(monkeypatch, main, "pack", tmp_path / "a.npz", *options) == 2
    assert "a.npz is no folder of image files" in capsys.readouterr().err


def test_crops_of_a_picture_are_parts_of_it_at_one_scale(tmp_path):
    picture = places(30, 50)
    (tmp_path / "a.png").write_bytes(png(picture))
    crops = crops_of_picture(tmp_path / "a.png", (8, 12), 200, side=30, seed=3).arrays["image"]
    tops, lefts = crops[:, 0, 0, 0].astype(int), crops[:, 0, 0, 1].astype(int)
    expected = [picture[top : top + 8, left : left + 12] for top, left in zip(tops, lefts, strict=True)]
    np.testing.assert_array_equal(crops, expected)
    assert {0, 22} <= set(tops)  # from edge to edge
    assert (lefts.min() < 4, lefts.max() > 34) == (True, True)
    again = crops_of_picture(str(tmp_path / "a.png"), (8, 12), 200, side=30, seed=3).arrays["image"]
    np.testing.assert_array_equal(again, crops)
    # Half as large, a step is of two places.
    small = crops_of_picture(tmp_path / "a.png", (8, 12), 50, side=15).arrays["image"].astype(int)
    assert np.median(np.diff(small[..., 0], axis=1)) == np.median(np.diff(small[..., 1], axis=2)) == 2
    (tmp_path / "grey.png").write_bytes(png(picture[..., 0]))
    assert crops_of_picture(tmp_path / "grey.png", (8, 8), 5, side=8).spec == (8, 8, 1)


def test_crops_larger_than_the_picture_and_what_is_no_picture_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(png(places(30, 50)))
    with pytest.raises(InputError, match=r"Crops of 16 are larger than .*a.png, which has 15x25 pixels here"):
        crops_of_picture(tmp_path / "a.png", (16, 16), 5, side=15)
    for path in (tmp_path, tmp_path / "b.png"):
        with pytest.raises(InputError, match="cannot be read as an image"):
            crops_of_picture(path, (16, 16), 5, side=15)
