"""Pictures of a whole sphere, which viewers of panoramas show from its centre.

In the equirectangular projection columns are longitudes, and rows are colatitudes from 0 at the upper pole to pi.
"""

import numpy as np

from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath, write_whole
from jaxgen.io.pictures import png

GPANO = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"
GPano:ProjectionType="equirectangular" GPano:UsePanoramaViewer="True"
GPano:CroppedAreaImageWidthPixels="{width}" GPano:CroppedAreaImageHeightPixels="{height}"
GPano:FullPanoWidthPixels="{width}" GPano:FullPanoHeightPixels="{height}"
GPano:CroppedAreaLeftPixels="0" GPano:CroppedAreaTopPixels="0"/>
</rdf:RDF></x:xmpmeta>"""
"""Photo Sphere XMP: https://developers.google.com/streetview/spherical-metadata."""


def whole_sphere(band: np.ndarray) -> np.ndarray:
    """The sphere uint8 [W / 2, W, C] of a band uint8 [H, W, C] around its equator.

    Each polar cap is the harmonic function with the values of the band's edge: its value at the pole is their mean, and
    nowhere is it beyond them.

    Raises:
      InputError: as `require_band`.
    """
    height, width, _ = band.shape
    require_band(height, width)
    above = (width // 2 - height) // 2
    caps = _cap(band[0], above), _cap(band[-1], width // 2 - height - above)[::-1]
    upper, lower = (np.clip(np.rint(cap), 0, 255).astype(np.uint8) for cap in caps)
    return np.concatenate([upper, band, lower])


def require_band(height: int, width: int) -> None:
    """Refuses a size that no band around a sphere has.

    Raises:
      InputError: the width is odd, or less than twice the height.
    """
    if width % 2 or 2 * height > width:
        raise InputError(
            "A sphere is twice as wide as high: a band around it has an even width, at least twice its height; got "
            f"{width} by {height}."
        )


def save_sphere(path: AnyPath, image: np.ndarray) -> None:
    """Writes a picture of a whole sphere uint8 [W / 2, W, C] as `sphere_png`."""
    write_whole(path, sphere_png(image))


def sphere_png(image: np.ndarray) -> bytes:
    """A picture of a whole sphere uint8 [W / 2, W, C] as PNG, with the metadata by which viewers know it."""
    height, width, _ = image.shape
    return png(image, GPANO.format(width=width, height=height))


def _cap(edge: np.ndarray, rows: int) -> np.ndarray:
    """The rows [rows, W, C] from a pole to a row [W, C].

    The stereographic projection, to the radius tan(colatitude / 2), keeps harmonic functions; in a disc of radius 1
    they are sums of r^|k| exp(i k longitude).
    """
    radius = np.tan(np.pi / len(edge) * (np.arange(rows + 1) + 0.5))[:, None, None]
    waves = np.fft.rfft(edge.astype(np.float64), axis=0)
    powers = (radius[:-1] / radius[-1]) ** np.arange(len(waves))[:, None]
    return np.fft.irfft(waves * powers, n=len(edge), axis=1)
