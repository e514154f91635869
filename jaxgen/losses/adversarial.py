"""Adversarial losses.

With logits l of real images x and l' of generated ones, D = sigmoid(l):

    logistic        -log D(x) - log(1 - D(x'))      Goodfellow et al. (2014), https://arxiv.org/abs/1406.2661
      non-saturating  -log D(x')
      minimax          log(1 - D(x'))
    least squares   1/2 (l - 1)^2 + 1/2 l'^2        Mao et al. (2017), https://arxiv.org/abs/1611.04076, (9)
                     1/2 (l' - 1)^2
    Wasserstein     l' - l;  -l'                    Arjovsky et al. (2017), https://arxiv.org/abs/1701.07875
    hinge           max(0, 1 - l) + max(0, 1 + l')  Lim and Ye (2017), https://arxiv.org/abs/1705.02894
                     -l', the Wasserstein generator's
    relativistic    f(l - l')                       Jolicoeur-Martineau (2018), https://arxiv.org/abs/1807.00734
      average       f(l - mean l') + f(mean l - l')   with f(t) = log(1 + exp(-t)); for the generator, swap real and
                                                      generated

Logits are [B]; every loss is [B], not reduced.
"""

import jax
import jax.numpy as jnp

from jaxgen.core.batch import mean_over_devices
from jaxgen.core.types import Array


def logistic_discriminator(real_logits: Array, fake_logits: Array) -> Array:
    """The discriminator's cross-entropy, in nats.

    >>> import jax.numpy as jnp
    >>> logistic_discriminator(jnp.zeros(1), jnp.zeros(1)) / jnp.log(2)
    Array([2.], dtype=float32)
    """
    return jax.nn.softplus(-real_logits) + jax.nn.softplus(fake_logits)


def non_saturating_generator(fake_logits: Array) -> Array:
    """The generator's cost: the cross-entropy of fake images labelled real, in nats."""
    return jax.nn.softplus(-fake_logits)


def minimax_generator(fake_logits: Array) -> Array:
    """The discriminator's negative loss on fake images, in nats; its gradient vanishes for confident discriminators."""
    return -jax.nn.softplus(fake_logits)


def least_squares_discriminator(real_logits: Array, fake_logits: Array) -> Array:
    """Half the squared distance of real logits from 1 and of fake logits from 0."""
    return 0.5 * jnp.square(real_logits - 1) + 0.5 * jnp.square(fake_logits)


def least_squares_generator(fake_logits: Array) -> Array:
    """Half the squared distance of fake logits from 1."""
    return 0.5 * jnp.square(fake_logits - 1)


def wasserstein_critic(real_logits: Array, fake_logits: Array) -> Array:
    """The negative estimate of the Wasserstein distance, for Lipschitz critics."""
    return fake_logits - real_logits


def wasserstein_generator(fake_logits: Array) -> Array:
    """The generator's side of the Wasserstein loss and of the hinge loss."""
    return -fake_logits


def hinge_discriminator(real_logits: Array, fake_logits: Array) -> Array:
    """The discriminator's hinge loss: zero for real logits above 1 and fake logits below -1."""
    return jax.nn.relu(1 - real_logits) + jax.nn.relu(1 + fake_logits)


def relativistic_paired(real_logits: Array, fake_logits: Array) -> Array:
    """Cross-entropy of real against the fake image of the same index, in nats; swap the arguments for the generator."""
    return jax.nn.softplus(fake_logits - real_logits)


def relativistic_average(real_logits: Array, fake_logits: Array) -> Array:
    """Cross-entropy of each kind against the mean logit of the other, in nats; swap the arguments for the generator."""
    real, fake = mean_over_devices((real_logits.mean(), fake_logits.mean()))
    return jax.nn.softplus(fake - real_logits) + jax.nn.softplus(fake_logits - real)
