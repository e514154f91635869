"""Pictures of a whole sphere from bands around its equator."""

from xml.etree import ElementTree

import numpy as np
from PIL import Image

from jaxgen.data.image_file import read_image
from jaxgen.io.pictures import XMP
from jaxgen.io.sphere import save_sphere, whole_sphere

GPANO = "{http://ns.google.com/photos/1.0/panorama/}"


def test_caps_are_harmonic_and_meet_the_band():
    width, height = 64, 8
    longitude = 2 * np.pi * np.arange(width) / width
    band = np.empty((height, width, 3))
    # Im and Re of tan(colatitude / 2)^k exp(i k longitude) are harmonic.
    for channel, (k, wave) in enumerate(((0, 0 * longitude), (1, np.sin(longitude)), (2, np.cos(2 * longitude)))):
        band[..., channel] = 120 + 100 * wave + k
    band = np.rint(band).astype(np.uint8)
    sphere = whole_sphere(band)
    assert sphere.shape == (32, 64, 3)
    np.testing.assert_array_equal(sphere[12:20], band)
    radius = np.tan(np.pi / width * (np.arange(13) + 0.5))
    for k in (1, 2):
        size = np.ptp(sphere[:13, :, k].astype(float), axis=1)
        np.testing.assert_allclose(size, 200 * (radius / radius[-1]) ** k, atol=2)  # of numbers rounded twice
    np.testing.assert_array_equal(sphere[:12], sphere[20:][::-1])
    np.testing.assert_array_equal(whole_sphere(np.roll(band, 5, 1)), np.roll(sphere, 5, 1))


def test_a_band_that_is_a_sphere_and_one_of_an_odd_height():
    rng = np.random.default_rng(0)
    whole, odd = rng.integers(0, 256, (6, 12, 1), np.uint8), rng.integers(0, 256, (3, 12, 1), np.uint8)
    np.testing.assert_array_equal(whole_sphere(whole), whole)
    sphere = whole_sphere(odd)
    assert sphere.shape == (6, 12, 1)
    np.testing.assert_array_equal(sphere[1:4], odd)


def test_viewers_read_the_projection_and_pixels_stay(tmp_path):
    for channels in (1, 3):
        image = np.random.default_rng(1).integers(0, 256, (4, 8, channels), np.uint8)
        save_sphere(tmp_path / "a.png", image)
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)
        with Image.open(tmp_path / "a.png") as opened:
            opened.load()
            (description,) = ElementTree.fromstring(opened.text[XMP])[0]
        tags = {name.removeprefix(GPANO): value for name, value in description.items() if name.startswith(GPANO)}
        assert tags.pop("ProjectionType") == "equirectangular"
        assert tags.pop("UsePanoramaViewer") == "True"
        for area in ("CroppedAreaImage", "FullPano"):
            assert (tags.pop(f"{area}WidthPixels"), tags.pop(f"{area}HeightPixels")) == ("8", "4")
        assert set(tags.values()) == {"0"}
