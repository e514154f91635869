"""Images as an `.npz`, in the layout that the OpenAI guided-diffusion evaluator reads."""

import os
from pathlib import Path

import numpy as np


def save_archive(path: Path, images: np.ndarray) -> None:
    """Writes images uint8 [N, H, W, C] as `arr_0`, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, images)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
