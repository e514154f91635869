import numpy as np
import pytest

from jaxgen.core import rows
from jaxgen.core.parallel import by_jit, make_mesh
from jaxgen.core.rows import LANES, row_shape, take_rows

SIZE = 23
RANDOM = np.random.default_rng(0)
ARRAYS = {
    "28x28": RANDOM.integers(0, 256, (SIZE, 28, 28, 1), np.uint8),
    "odd": RANDOM.integers(0, 256, (SIZE, 5, 7, 3), np.uint8),
    "a row": RANDOM.integers(0, 256, (SIZE, 16, 8, 1), np.uint8),
    "every other": RANDOM.integers(0, 256, (2 * SIZE, 9, 4, 3), np.uint8)[::2],
    "clip": RANDOM.integers(0, 256, (SIZE, 4, 5, 7, 3), np.uint8),
    "label": RANDOM.integers(0, 9, SIZE, np.int32),
    "text": RANDOM.integers(0, 99, (SIZE, 12), np.int32),
    "features": RANDOM.random((SIZE, 6), np.float32),
    "maps": RANDOM.random((SIZE, 3, 3, 2), np.float32),
}


@pytest.mark.parametrize("chunk", [1, 1_000, rows.CHUNK])  # bytes: an example at a time, several, all
def test_what_is_taken_from_rows_is_what_was_put(chunk, monkeypatch):
    monkeypatch.setattr(rows, "CHUNK", chunk)
    put, index = by_jit(make_mesh()).put_rows(ARRAYS), RANDOM.integers(0, SIZE, 8)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(take_rows(put[name], index, array.shape[1:]), array[index], err_msg=name)


def test_only_images_and_clips_are_flat_in_whole_lanes():
    for name, array in ARRAYS.items():
        row = row_shape(array.shape[1:], array.dtype)
        if array.dtype == np.uint8:
            assert len(row) == 1
            assert 0 <= row[0] - array[0].size < LANES
            assert row[0] % LANES == 0
        else:
            assert row == array.shape[1:], name
