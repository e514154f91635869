"""Grids of images as PNG, and films of them."""

import numpy as np
import pytest
from PIL import Image

from jaxgen.io.pictures import GAP, image_grid, picture, save_animation, save_grid


def images(num, *shape):
    return np.random.default_rng(0).integers(0, 256, (num, *shape), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_holds_every_image_at_its_place(channels):
    some = images(5, 4, 6, channels)
    grid = image_grid(some, columns=2)
    assert grid.shape == (3 * (4 + GAP) + GAP, 2 * (6 + GAP) + GAP, channels)
    for place, image in enumerate(some):
        top, left = GAP + place // 2 * (4 + GAP), GAP + place % 2 * (6 + GAP)
        np.testing.assert_array_equal(grid[top : top + 4, left : left + 6], image)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_a_grid_is_written_as_png_and_small_images_enlarged(tmp_path, channels, mode):
    save_grid(tmp_path / "g.png", images(4, 28, 28, channels))
    with Image.open(tmp_path / "g.png") as grid:
        assert grid.format == "PNG"
        assert grid.mode == mode
        assert grid.size == (2 * (2 * (28 + GAP) + GAP),) * 2
    assert [path.name for path in tmp_path.iterdir()] == ["g.png"]


@pytest.mark.parametrize(("name", "kind"), [("f.gif", "GIF"), ("f.webp", "WEBP"), ("f.png", "PNG")])
def test_a_film_of_grids_is_a_loop_or_goes_there_and_back(tmp_path, name, kind):
    frames = images(4, 2, 6, 6, 3)  # of fewer colours than a GIF has
    for is_loop, order in ((True, [0, 1, 2, 3]), (False, [0, 1, 2, 3, 2, 1])):
        save_animation(tmp_path / name, frames, milliseconds=120, is_loop=is_loop)
        with Image.open(tmp_path / name) as film:
            assert (film.format, film.n_frames) == (kind, len(order))
            for number, frame in enumerate(order):
                film.seek(number)
                film.load()
                assert film.info["duration"] == 120
                np.testing.assert_array_equal(np.asarray(film.convert("RGB")), np.asarray(picture(frames[frame])))
