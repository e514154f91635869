"""A small classifier of digits, whose last hidden layer serves as features to compare sets of digits by."""

import flax.linen as nn

from jaxgen.nets.conv import Conv
from jaxgen.nets.dropout import Dropout
from jaxgen.nets.resizing import max_pool
from jaxgen.types import Array

CLASSES, FEATURES, DROP = 10, 64, 0.5


class DigitClassifier(nn.Module):
    """Images float32 [B, 28, 28, 1] in [-1, 1] to features [B, 64], not negative, and logits [B, 10].

    Three convolutions, the first two halved by maxima, and a dense layer; dropout only before the logits.
    """

    @nn.compact
    def __call__(self, image: Array, *, train: bool) -> tuple[Array, Array]:
        for features in (16, 32, 64):
            image = nn.relu(Conv(features, (3, 3), kernel_init=nn.initializers.he_normal())(image))
            if features < 64:
                image = max_pool(image)
        features = nn.relu(nn.Dense(FEATURES)(image.reshape(len(image), -1)))
        return features, nn.Dense(CLASSES)(Dropout(DROP)(features, train=train))
