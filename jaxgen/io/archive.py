"""Images as an `.npz`, in the layout that the OpenAI guided-diffusion evaluator reads."""

import numpy as np

from jaxgen.io.files import AnyPath, write_whole


def save_archive(path: AnyPath, images: np.ndarray, label: np.ndarray | None = None) -> None:
    """Writes images uint8 [N, H, W, C] as `arr_0`, and labels int32 [N] as `arr_1` if there are any."""
    arrays = (images,) if label is None else (images, label)
    write_whole(path, lambda file: np.savez(file, *arrays))
