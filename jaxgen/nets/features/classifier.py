"""Small classifiers; the Fréchet distance and other measures use the features of their last hidden layers."""

import flax.linen as nn
import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.dropout import Dropout
from jaxgen.nets.layers.normalization import batch_norm
from jaxgen.nets.layers.resizing import max_pool

CLASSES, FEATURES, DROP = 10, 64, 0.5


class DigitClassifier(nn.Module):
    """Images float32 [B, 28, 28, 1] in [-1, 1] to features float32 [B, 64], non-negative, and logits [B, 10].

    Three convolutions, with max pooling after the first two, and a dense layer; dropout only before the logits.
    """

    @nn.compact
    def __call__(self, image: Array, *, train: bool) -> tuple[Array, Array]:
        for features in (16, 32, 64):
            image = nn.relu(Conv(features, (3, 3), kernel_init=nn.initializers.he_normal())(image))
            if features < 64:
                image = max_pool(image)
        features = nn.relu(nn.Dense(FEATURES)(image.reshape(len(image), -1)))
        return features, nn.Dense(CLASSES)(Dropout(DROP)(features, train=train))


class ObjectClassifier(nn.Module):
    """Images float32 [B, 32, 32, 3] in [-1, 1] to features float32 [B, 128], non-negative, and logits [B, 10].

    Five convolutions with BatchNorm, max pooling after the first, the third and the fifth, and global average pooling.
    """

    @nn.compact
    def __call__(self, image: Array, *, train: bool) -> tuple[Array, Array]:
        for features, halve in ((32, True), (64, False), (64, True), (96, False), (128, True)):
            image = Conv(features, (3, 3), use_bias=False, kernel_init=nn.initializers.he_normal())(image)
            image = nn.relu(batch_norm(use_running_average=not train, momentum=0.9)(image))
            image = max_pool(image) if halve else image
        features = jnp.mean(image, axis=(1, 2))
        return features, nn.Dense(CLASSES)(features)
