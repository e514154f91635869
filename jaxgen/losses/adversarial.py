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
      average       f(l - mean l') + f(mean l - l')   with f(t) = log(1 + exp(-t)); the generator's side is the same
                                                      with real and generated swapped

Logits are [B]; every loss is [B], not reduced.
"""

import jax
import jax.numpy as jnp

from jaxgen.core.batch import mean_over_devices
from jaxgen.core.types import Array


def logistic_discriminator(real_logits: Array, fake_logits: Array) -> Array:
    """Cost of telling real from fake, in nats.

    >>> import jax.numpy as jnp
    >>> logistic_discriminator(jnp.zeros(1), jnp.zeros(1)) / jnp.log(2)
    Array([2.], dtype=float32)
    """
    return jax.nn.softplus(-real_logits) + jax.nn.softplus(fake_logits)


def non_saturating_generator(fake_logits: Array) -> Array:
    """Cost of being distinguished from real, in nats."""
    return jax.nn.softplus(-fake_logits)


def minimax_generator(fake_logits: Array) -> Array:
    """What the discriminator gains, in nats: its gradient vanishes where the discriminator is sure."""
    return -jax.nn.softplus(fake_logits)


def least_squares_discriminator(real_logits: Array, fake_logits: Array) -> Array:
    """Distance from 1 for real and from 0 for fake."""
    return 0.5 * jnp.square(real_logits - 1) + 0.5 * jnp.square(fake_logits)


def least_squares_generator(fake_logits: Array) -> Array:
    """Distance of fake from 1."""
    return 0.5 * jnp.square(fake_logits - 1)


def wasserstein_critic(real_logits: Array, fake_logits: Array) -> Array:
    """The negative estimate of the Wasserstein distance, for critics whose slope is bounded."""
    return fake_logits - real_logits


def wasserstein_generator(fake_logits: Array) -> Array:
    """The generator's side of the Wasserstein and of the hinge loss."""
    return -fake_logits


def hinge_discriminator(real_logits: Array, fake_logits: Array) -> Array:
    """Cost of logits within 1 of the boundary or beyond it."""
    return jax.nn.relu(1 - real_logits) + jax.nn.relu(1 + fake_logits)


def relativistic_paired(real_logits: Array, fake_logits: Array) -> Array:
    """Cost of real not being more real than the fake beside it, in nats; swapped, the generator's side."""
    return jax.nn.softplus(fake_logits - real_logits)


def relativistic_average(real_logits: Array, fake_logits: Array) -> Array:
    """Cost of real not being more real than fake on average, and of the reverse; swapped, the generator's side."""
    real, fake = mean_over_devices((real_logits.mean(), fake_logits.mean()))
    return jax.nn.softplus(fake - real_logits) + jax.nn.softplus(fake_logits - real)
