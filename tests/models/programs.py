"""Tests in few programs: most of a test's time is that of tracing and compiling."""

from typing import NamedTuple

import jax
import numpy as np

from jaxgen import init_state, make_step
from jaxgen.models import GAN


class FixedLatents(NamedTuple):
    """Images of the same latents in every loss, drawn anew in each."""

    gan: GAN
    latents: jax.Array
    conditioning: None = None

    def images(self, networks):
        return self.gan.generate(networks[self.gan.generator_name], self.latents, train=True)


def networks_like(init, seed=0, scale=0.3):
    """Networks like those that `init()` would make, of random numbers; NumPy draws them: nothing is compiled."""
    random = np.random.default_rng(seed)
    shapes = jax.eval_shape(init)
    return jax.tree.map(lambda leaf: np.asarray(scale * random.standard_normal(leaf.shape), leaf.dtype), shapes)


def trained(update, init, key, batch, steps):
    """The state after some steps from `init()`, and the metrics of each step, stacked."""
    state = jax.jit(lambda key: init_state(update, init(), key))(key)
    step, measured = jax.jit(make_step(update)), []
    for _ in range(steps):
        state, metrics = step(state, batch)
        measured.append(jax.device_get(metrics))
    return state, jax.tree.map(lambda *values: np.stack(values), *measured)
