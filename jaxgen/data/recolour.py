"""Images in other colours, so that a model can learn colours and content apart.

The hue of a pixel is its angle about the axis of greys, e = (1, 1, 1) / sqrt(3), in the cube of red, green and blue:

    (1) x' = m + s (cos a (x - m) + sin a (e x (x - m)))     m: mean of the channels, a: angle, s: saturation's factor

where red and green are perhaps swapped first; 120 degrees move each channel into the next.  Then values in [0, 1] are
raised to a power.  Greys stay grey, white and black unchanged.
"""

import numpy as np

from jaxgen.data.dataset import Dataset, subset, with_field

SATURATION, POWER = 1.5, 1.7
"""The most that the saturation is multiplied or divided by, and the largest power; its inverse is the least."""


def recolour(images: np.ndarray, angle: np.ndarray, saturation: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Images uint8 [N, H, W, 3] after (1), with an angle in radians, a factor and a power for each [N]."""
    turn = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    mean = np.full((3, 3), 1 / 3)
    cosine, sine = (saturation * of(angle) for of in (np.cos, np.sin))
    matrix = mean + cosine[:, None, None] * (np.eye(3) - mean) + sine[:, None, None] * turn
    turned = np.einsum("nhwc,ndc->nhwd", images.astype(np.float32) / 255, matrix.astype(np.float32))
    raised = turned.clip(0, 1) ** power.astype(np.float32)[:, None, None, None]
    return np.round(raised * 255).astype(np.uint8)


def recoloured(dataset: Dataset, copies: int, *, seed: int = 0) -> Dataset:
    """The images of a data set and `copies` of each in random colours, with all other fields; only them if grey."""
    image, rng = dataset.arrays["image"], np.random.default_rng(seed)
    if dataset.spec.channels == 1:
        return dataset
    several = [image]
    for _ in range(copies):
        angle, saturation, power = rng.uniform([[0], [-1], [-1]], [[2 * np.pi], [1], [1]], (3, dataset.size))
        is_mirrored = rng.random(dataset.size) < 0.5
        mirrored = np.where(is_mirrored[:, None, None, None], image[..., [1, 0, 2]], image)
        several.append(recolour(mirrored, angle, SATURATION**saturation, POWER**power))
    rows = np.tile(np.arange(dataset.size), len(several))
    return with_field(subset(dataset, rows, split=dataset.split), image=np.concatenate(several))
