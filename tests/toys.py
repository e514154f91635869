"""Networks and losses small enough to check by hand."""

import jax
import jax.numpy as jnp

from jaxgen import Aux, Context, mean

SIZE = 3


def networks(seed=0):
    """Two vectors; the discriminator also counts its forward passes."""
    generator, discriminator = jax.random.normal(jax.random.key(seed), (2, SIZE))
    return {
        "generator": {"params": {"w": generator}},
        "discriminator": {"params": {"w": discriminator}, "batch_stats": {"passes": jnp.zeros(())}},
    }


def batch(seed=1):
    return {"image": jax.random.normal(jax.random.key(seed), (SIZE,))}


def context(step=0, seed=2):
    return Context(batch(), key=jax.random.key(seed), step=jnp.asarray(step, jnp.int32))


def w(networks, name):
    return networks[name]["params"]["w"]


def discriminate(networks, context):
    """A random quadratic of the discriminator, which leaves a mark in its statistics."""
    noise = jax.random.normal(context.key, (SIZE,))
    errors = jnp.square(w(networks, "discriminator") * noise - context.batch["image"])
    passes = networks["discriminator"]["batch_stats"]["passes"] + 1
    return errors.mean(), Aux({"error": mean(errors)}, {"discriminator": {"batch_stats": {"passes": passes}}})


def generate(networks, context):
    """A quadratic of both networks, without randomness."""
    values = jnp.square(w(networks, "generator") * w(networks, "discriminator") - context.batch["image"])
    return values.sum(), Aux({"value": mean(values)})


def lively(init, seed=0, scale=0.3):
    """Networks like those that `init()` would make, of random numbers, so that no bias is zero by chance."""
    leaves, structure = jax.tree.flatten(jax.eval_shape(init))
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    made = [scale * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, made)
