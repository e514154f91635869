"""An experiment that starts fast, with faults on demand: test_survival.py kills, breaks and moves it."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import optax
import tyro

from jaxgen import Aux, Update, chain, ema, mean, minimize
from jaxgen.core.batch import draw_batch
from jaxgen.core.image import to_float
from jaxgen.core.sampler import Sampler
from jaxgen.data import load
from jaxgen.training import Checkpoints, Recipe, RunConfig, command, first_state, run

LATENT = 16


@dataclass(frozen=True)
class Config(RunConfig):
    """Fit random images with a linear generator."""

    batch_size: int = 8
    """Images a step."""
    fault: Literal["none", "nan", "infinite", "saturated", "collapse"] = "none"
    """The fault."""
    fault_at: int = 0
    """The first step with the fault."""
    again: bool = False
    """Whether the fault is there again after going back."""


def build(config, spec):
    """One linear map from latents to pixels, its average, and the fault."""

    def is_wrong(fault, context):
        return (config.fault == fault) & (context.step >= config.fault_at) & (config.again | (context.lr_scale == 1))

    def first(key):
        size = spec.height * spec.width * spec.channels
        return {"generator": {"params": {"w": jax.random.normal(key, (LATENT, size)), "unused": jnp.ones(())}}}

    def images(params, latent):
        return jnp.tanh(latent @ params["w"])

    def loss(networks, context):
        real = to_float(context.batch["image"])
        latent = draw_batch(jax.random.normal, context.key, (len(real), LATENT))
        params = networks["generator"]["params"]
        errors = jnp.square(images(params, latent) - real.reshape(len(real), -1)).mean(axis=1)
        played = jnp.where(is_wrong("saturated", context), 0.0, errors)
        bad = jnp.where(is_wrong("nan", context), jnp.nan, 0.0) * params["unused"]
        infinite = jnp.where(is_wrong("infinite", context), jnp.inf, 0.0)
        return errors.mean() + bad + infinite, Aux({"played_loss": mean(played)})

    def collapse(networks, opt_state, context):
        params = networks["generator"]["params"]
        w = jnp.where(is_wrong("collapse", context), 0.0, params["w"])
        return {**networks, "generator": {"params": {**params, "w": w}}}, opt_state, {}

    update = chain(
        fit=minimize(loss, optax.sgd(1e-3, momentum=0.9), wrt="generator"),
        fault=Update(lambda networks: (networks, ()), collapse),
        average=ema("generator", into="generator_ema", decay=0.9),
    )

    def draw(networks, keys, _):
        latent = jax.vmap(lambda key: jax.random.normal(key, (LATENT,)))(keys)
        return images(networks["generator"]["params"], latent).reshape(-1, *spec)

    return Recipe(networks=first, update=update, sampler=Sampler(draw), discriminators=("fit/played_loss",))


def saved(out, data):
    """The newest saved state of a run."""
    config = Config()
    target = first_state(config, build(config, load(str(data)).spec))
    return Checkpoints(out / "checkpoints").restore(target, print)


def main():
    """Trains as the command line says."""
    run(tyro.cli(Config), build, name="toy")


if __name__ == "__main__":
    command(main)
