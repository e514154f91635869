"""Normalisation layers with the statistics of the global batch, on any number of devices."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxgen.core.batch import AXIS, devices
from jaxgen.core.types import Array


def batch_norm(**options: Any) -> nn.BatchNorm:
    """Linen's BatchNorm; inside a pmap its statistics are averaged over the devices.

    Ioffe and Szegedy (2015), https://arxiv.org/abs/1502.03167.
    """
    return nn.BatchNorm(axis_name=AXIS if devices() > 1 else None, **options)


class ConditionalBatchNorm(nn.Module):
    """BatchNorm of [B, H, W, C] whose scale and shift are linear in a condition [B, F].

    De Vries et al. (2017), https://arxiv.org/abs/1707.00683, section 3; at first all conditions have scale 1, shift 0.
    """

    train: bool
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array, condition: Array) -> Array:
        statistics: Any = {"use_running_average": not self.train, "momentum": 0.9}
        image = batch_norm(**statistics, use_scale=False, use_bias=False, dtype=self.dtype)(image)
        features = image.shape[-1]
        linear = partial(nn.Dense, features, dtype=self.dtype, kernel_init=nn.initializers.zeros)
        scale, shift = linear(bias_init=nn.initializers.ones)(condition), linear()(condition)
        places = (image.shape[0], *(1,) * (image.ndim - 2), features)
        return image * scale.reshape(places) + shift.reshape(places)
