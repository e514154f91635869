"""Normalisation layers whose statistics are those of the whole batch, on any number of devices."""

from typing import Any

import flax.linen as nn

from jaxgen.axis import AXIS, devices


def batch_norm(**options: Any) -> nn.BatchNorm:
    """Linen's BatchNorm; inside a pmap its statistics are averaged over the devices.

    Ioffe and Szegedy (2015), https://arxiv.org/abs/1502.03167.
    """
    return nn.BatchNorm(axis_name=AXIS if devices() > 1 else None, **options)
