"""The likelihood of binarised digits.  python experiments/vae_binarized_mnist.py --help

The benchmark of VAEs, statically binarised MNIST: 50,000 training digits; the state with the best bound on the 10,000
validation digits is kept; its likelihood of the 10,000 test digits is estimated by importance sampling.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from jaxgen import ImageSpec, InputError, Networks, chain, ema, minimize
from jaxgen.evaluation import images_to_test, mean_of, negative_log_likelihoods, write_results
from jaxgen.export import export_controls
from jaxgen.losses import bernoulli
from jaxgen.models import (
    VAE,
    LadderVAE,
    elbo_loss,
    ema_networks,
    ema_warmup,
    importance_weighted_loss,
    importance_weights,
    reconstructions,
    standard_normal,
    use_ema,
    vamp_prior,
)
from jaxgen.nets import LadderDecoder, LadderEncoder, MLPDecoder, MLPEncoder, ResidualDecoder, ResidualEncoder
from jaxgen.training import (
    Bounds,
    Count,
    Positive,
    Recipe,
    RunConfig,
    RunDirectory,
    best_networks,
    command,
    load_split,
    run,
)


@dataclass(frozen=True)
class Config(RunConfig):
    """Fit statically binarised MNIST and estimate the likelihood of its test digits."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"test_samples", "test_images"}

    data: Literal["binarized_mnist"] = "binarized_mnist"
    """The benchmark, whose files are under --data-dir."""
    max_minutes: Positive = 60.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 100
    """Images per step, over all devices."""
    evaluate_every: Annotated[int, Bounds(least=0)] = 2_500
    """Steps between evaluations on the validation digits; the best state is kept in best/.  0 for none."""
    network: Literal["mlp", "residual", "ladder"] = "mlp"
    """mlp: dense layers of 200, as in the IWAE paper; residual: convolutions; ladder: with latents of three sizes."""
    latent_size: Count = 50
    """Latent dimension; in a ladder, that of its top."""
    samples: Count = 1
    """K of the importance-weighted bound in training; 1 is the evidence lower bound."""
    backward: Count | None = None
    """Samples that gradients go through, resampled by weight, which is faster; by default all --samples."""
    pseudo_inputs: Annotated[int, Bounds(least=0)] = 0
    """Components of a VampPrior; 0 for the standard normal prior."""
    learning_rate: Positive = 1e-3
    """Adam's at the first step; at step n it is lr / (1 + n / half_life)."""
    half_life: Count = 20_000
    """The step at which the learning rate is half of what it was at first; at twice that step, a third."""
    warm_up: Annotated[int, Bounds(least=0)] = 0
    """Steps over which the weight of the KL divergence rises linearly from 0 to 1 (with --samples 1)."""
    test_samples: Annotated[int, Bounds(least=0)] = 5_000
    """Importance samples per test digit; 0 for no test."""
    test_images: Annotated[int, Bounds(least=0)] = 10_000
    """Test digits for the evaluation, fewer for a run of fewer than 1,000 steps; 0 for no test."""


def make_model(config: Config, spec: ImageSpec) -> VAE | LadderVAE:
    """The encoder, the decoder, the likelihood and the prior.

    Raises:
      InputError: options that do not go together.
    """
    if config.network == "ladder" and config.pseudo_inputs:
        raise InputError(f"--pseudo-inputs {config.pseudo_inputs}: a ladder learns its priors by itself.")
    if config.samples > 1 and config.warm_up:
        raise InputError(f"--warm-up {config.warm_up} goes with --samples 1; got --samples {config.samples}.")
    if config.backward and config.backward > config.samples:
        raise InputError(f"--backward {config.backward} is more than --samples {config.samples}.")
    if config.network == "ladder":
        return LadderVAE(
            LadderEncoder(dtype=config.dtype), LadderDecoder(spec, config.latent_size, dtype=config.dtype), bernoulli()
        )
    encoder, decoder = MLPEncoder(config.latent_size, dtype=config.dtype), MLPDecoder(spec, dtype=config.dtype)
    if config.network == "residual":
        encoder, decoder = (
            ResidualEncoder(config.latent_size, dtype=config.dtype),
            ResidualDecoder(spec, dtype=config.dtype),
        )
    prior = vamp_prior(config.pseudo_inputs) if config.pseudo_inputs else standard_normal()
    return VAE(encoder, decoder, bernoulli(), config.latent_size, prior)


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, how to sample from them, and their bound on the validation digits."""
    model = make_model(config, spec)
    trained = ("encoder", "decoder", *(("prior",) if config.pseudo_inputs else ()))
    loss = elbo_loss(model, beta=optax.linear_schedule(0.0, 1.0, config.warm_up) if config.warm_up else 1.0)
    if config.samples > 1:
        loss = importance_weighted_loss(model, samples=config.samples, backward=config.backward)
    # Epsilon as in the IWAE paper: a smaller one overreacts to pixels that are rarely white.
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / config.half_life), eps=1e-4)
    averages = {f"average_{name}": ema(name, into=f"{name}_ema", decay=ema_warmup(0.999)) for name in trained}
    k = max(config.samples, 10)  # a bound of fewer samples is not what training makes tight
    held_out = load_split(config, "validation").arrays["image"]

    @jax.jit
    def bounds(networks: Networks, images: jax.Array) -> jax.Array:
        weights = importance_weights(model, ema_networks(networks))(images, jax.random.key(0), k)
        return jnp.log(k) - jax.nn.logsumexp(weights, axis=0)

    def score(networks: Networks) -> dict[str, float]:
        values = [bounds(networks, part) for part in np.array_split(held_out, len(held_out) // 250 or 1)]
        return {f"validation_nll_{k}": float(np.concatenate(values).mean())}

    return Recipe(
        networks=partial(model.init, spec=spec),
        update=chain(vae=minimize(loss, adam, wrt=trained), **averages),
        sampler=use_ema(model.sampler()),
        score=score,
        exports={"controls": export_controls(use_ema(model.controls))} if isinstance(model, VAE) else {},
        pictures=use_ema(lambda networks, batch: {"reconstructions": reconstructions(model, networks, batch)}),
    )


def main() -> None:
    """Trains and tests as the command line says."""
    config = tyro.cli(Config)
    # Read first: missing data are an error before hours of training, not after.
    test = load_split(config, "test")

    def measure(directory: RunDirectory) -> None:
        model, networks = (
            make_model(config, test.spec),
            ema_networks(best_networks(config, build, directory, test.spec)),
        )
        images = images_to_test(test.arrays["image"], directory.step(), config.test_images)
        weigh = importance_weights(model, networks)
        nll = negative_log_likelihoods(weigh, images, samples=config.test_samples, seed=config.seed)
        write_results(
            directory.path / "test.json",
            {"test": {"NLL, nats": mean_of(nll)}},
            title=f"{len(nll):,} test digits",
            details={"images": len(nll), "samples": config.test_samples, "data": test.source},
        )

    run(
        config,
        build,
        name="vae_binarized_mnist",
        afterwards=measure if config.test_samples and config.test_images else None,
    )


if __name__ == "__main__":
    command(main)
