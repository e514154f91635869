"""VGG16's features and LPIPS, a perceptual distance in them, with weights from the user's files.

With f_l the feature maps of the five blocks, normalised to unit length at each pixel, and weights w_l that were fitted
to people's ratings of image pairs,

    (1) LPIPS(x, y) = sum_l mean over pixels of w_l . (f_l(x) - f_l(y))^2

Zhang et al. (2018), https://arxiv.org/abs/1801.03924, equation (1), version 0.1 with VGG16.
"""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.types import Array, Variables
from jaxgen.evaluation.from_torch import Tensors, read_converted
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath
from jaxgen.losses import Distance
from jaxgen.nets import VGG16, forward
from jaxgen.nets.features.vgg import BLOCKS

LEAST = 1 << (len(BLOCKS) - 1)
"""The least height and width, which the last block sees as one pixel."""

EPSILON = 1e-10
"""Added to the length of a pixel's features, as in the authors' code."""


def vgg_features(weights: AnyPath) -> Callable[[Array], tuple[Array, ...]]:
    """The function from images float32 [B, H, W, 1 or 3] in [-1, 1] to the last feature map of each block of VGG16.

    `weights` are torchvision's: a .pth, which PyTorch converts once, or the .safetensors of such a conversion.
    `perceptual_error` and `optimized_transfer_loss` take the function, which is slow unless it is compiled by `jit`.

    Raises:
      InputError: the file cannot be read, is damaged, or holds another network; or PyTorch is needed and missing.
    """
    module = VGG16()
    template = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros((1, LEAST, LEAST, 3)), train=False))
    variables, _ = read_converted(Path(weights), template, _convolutions, name="vgg16", option="The file")

    def features(image: Array) -> tuple[Array, ...]:
        if min(image.shape[1:3]) < LEAST:
            shape = "x".join(map(str, image.shape[1:]))
            raise InputError(f"VGG16 takes images of {LEAST}x{LEAST} or more; these are {shape}.")
        return forward(module, variables, image, train=False)[0]

    return features


def learned_perceptual_error(vgg: AnyPath, weights: AnyPath) -> Distance:
    """LPIPS (1) of images float32 [B, H, W, 1 or 3] in [-1, 1]: a distance [B], as a loss or as a measure.

    `vgg` are VGG16's weights as for `vgg_features`; `weights` are the fitted w_l: vgg.pth of the package lpips, version
    0.1, or the .safetensors of its conversion.

    Raises:
      InputError: as for `vgg_features`.
    """
    features = vgg_features(vgg)
    template = {f"block{block}": jnp.zeros(channels) for block, (channels, _) in enumerate(BLOCKS, start=1)}
    fitted, _ = read_converted(Path(weights), template, _fitted, name="lpips-vgg", option="The file")

    def distance(output: Array, target: Array) -> Array:
        levels = zip(features(output), features(target), fitted.values(), strict=True)
        return jnp.stack([_apart(one, other, weight).mean((1, 2)) for one, other, weight in levels]).sum(0)

    return distance


def _apart(one: Array, other: Array, weight: Array) -> Array:
    one, other = (maps / (_length(maps) + EPSILON) for maps in (one, other))
    return jnp.square(one - other) @ weight


def _length(maps: Array) -> Array:
    # At 0 the square root has no gradient.
    square = jnp.square(maps).sum(-1, keepdims=True)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


def _convolutions(tensors: Tensors) -> Variables:
    params, at = {}, 0
    for block, (_, convolutions) in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            kernel, bias = (tensors[f"features.{at}.{name}"] for name in ("weight", "bias"))
            params[f"conv{block}_{number}"] = {"kernel": np.transpose(kernel, (2, 3, 1, 0)), "bias": bias}
            at += 2  # a ReLU after each
        at += 1  # and pooling after each block
    return {"params": params}


def _fitted(tensors: Tensors) -> Variables:
    blocks = range(1, len(BLOCKS) + 1)
    return {f"block{block}": tensors[f"lin{block - 1}.model.1.weight"].reshape(-1) for block in blocks}
