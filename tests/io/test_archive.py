import numpy as np

from jaxgen.io.archive import save_archive


def test_an_archive_is_the_same_bytes_for_the_same_images(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), dtype=np.uint8)
    for name in ("a.npz", "b.npz"):
        save_archive(tmp_path / name, images)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["arr_0"], images)
