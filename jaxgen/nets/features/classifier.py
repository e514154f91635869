"""Small classifiers; the Fréchet distance and other measures use the features of their last hidden layers."""

import flax.linen as nn
import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.dropout import Dropout
from jaxgen.nets.layers.motion import displacements
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


class ClipClassifier(nn.Module):
    """Clips float32 [B, T, H, W, 1] in [-1, 1] to features float32 [B, 64], non-negative, and logits [B, classes].

    Three convolutions of each frame, with max pooling after the first two and the global maximum after the third; then
    BatchNorm and a dense layer over all frames, and over the correlations of neighbouring ones at small displacements.
    """

    classes: int

    @nn.compact
    def __call__(self, clip: Array, *, train: bool) -> tuple[Array, Array]:
        image = clip.reshape(-1, *clip.shape[2:])
        for features, side in ((16, 5), (32, 3), (64, 3)):
            image = nn.relu(Conv(features, (side, side), kernel_init=nn.initializers.he_normal())(image))
            image = max_pool(image) if features < 64 else image.max((1, 2))
        motion = displacements(jnp.moveaxis(jnp.concatenate([clip, jnp.ones_like(clip)], axis=-1), 1, 3))
        seen = jnp.concatenate([part.reshape(len(clip), -1) for part in (image, motion)], axis=-1)
        features = nn.relu(nn.Dense(FEATURES)(batch_norm(use_running_average=not train, momentum=0.9)(seen)))
        return features, nn.Dense(self.classes)(Dropout(DROP)(features, train=train))
