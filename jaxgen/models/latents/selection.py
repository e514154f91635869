"""Selection by eye: new latents near those that somebody liked.

Of standard normal latents a and b, and noise e, the child

    (1) c (cos(w) a + sin(w) b) + sqrt(1 - c^2) e,    w uniform from 0 to pi / 2

is standard normal too, so that it is a latent like any other; c says how near it is to its parents.
"""

import jax
import jax.numpy as jnp

from jaxgen.core.types import Array


def children(key: Array, liked: Array, num: int, *, closeness: float) -> Array:
    """Latents [num, Z]: the liked ones [K, Z] themselves, then children (1) of random pairs of them.

    A pair may be one latent twice, which is then the only parent.  Child i depends on the key, i and the parents alone.

    Raises:
      ValueError: nothing is liked, or a closeness outside [0, 1].
    """
    if not len(liked) or not 0 <= closeness <= 1:
        raise ValueError(f"children was given {len(liked)} latents and a closeness of {closeness}; expected some.")

    def child(number: Array) -> Array:
        parents, angle, noise = jax.random.split(jax.random.fold_in(key, number), 3)
        first, second = jax.random.randint(parents, (2,), 0, len(liked))
        turn = jnp.where(first == second, 0.0, jax.random.uniform(angle, maxval=jnp.pi / 2))
        mixed = jnp.cos(turn) * liked[first] + jnp.sin(turn) * liked[second]
        return closeness * mixed + jnp.sqrt(1 - closeness**2) * jax.random.normal(noise, mixed.shape)

    return jnp.concatenate([liked, jax.vmap(child)(jnp.arange(num))])[:num]
