"""Trains the network that says which caption goes with an emoji.  python experiments/judges/emoji_matcher.py --help

It sees the training captions of experiments/text_to_emoji.py alone, each picture moved and lit in its own way; that it
finds the captions of real pictures which were held out too is how far its word counts.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from jaxgen import Aux, by_jit, init_state, make_mesh, make_step, mean, minimize, to_float
from jaxgen.core.batch import devices, shard_batch
from jaxgen.data import Dataset, load
from jaxgen.evaluation import Matcher, hold_out_captions, retrieval_accuracy, save_matcher
from jaxgen.losses import symmetric_cross_entropy
from jaxgen.models import change_colour, translate
from jaxgen.nets import Matching, forward
from jaxgen.training import Bounds, Count, command, require_bounds
from jaxgen.training.dispatch import feed_from, train


@dataclass(frozen=True)
class Options:
    """Train the network that matches emoji and captions."""

    data: Path
    """The folder of emoji, with its metadata.jsonl."""
    out: Path = Path("runs/emoji_matcher")
    """Where the network goes."""
    steps: Count = 3_000
    """Training steps of 128 pairs."""
    words: Count = 12
    """Words of a caption at most, as in the experiment that is judged."""
    vocabulary: Annotated[int, Bounds(least=3)] = 4_096
    """Words that are known at most, and two more numbers, as there."""


def matching_loss(module):
    """The symmetric cross-entropy of a batch of pairs."""

    def loss(networks, context):
        image = to_float(context.batch["image"])
        keys = shard_batch(jax.random.split(context.key, devices() * len(image)))
        image = jax.vmap(lambda key, one: translate(key, 0.7 * one + 0.3 * change_colour(key, one)))(keys, image)
        (images, texts, temperature), _ = forward(module, networks["matcher"], image, context.batch["text"], train=True)
        found = (images @ texts.T).argmax(1) == jnp.arange(len(image))
        return symmetric_cross_entropy(images, texts, temperature).mean(), Aux({"found": mean(found)})

    return loss


def train_matcher(dataset: Dataset, steps: int) -> Matcher:
    """The trained network."""
    assert dataset.tokenizer is not None
    module = Matching(dataset.tokenizer.size)
    adam = optax.adam(optax.cosine_onecycle_schedule(steps, 2e-3))
    update = minimize(matching_loss(module), adam, wrt="matcher")
    given = jnp.zeros((1, *dataset.spec)), jnp.asarray(dataset.arrays["text"][:1])
    state = init_state(update, {"matcher": module.init(jax.random.key(0), *given, train=False)}, jax.random.key(1))
    feed = feed_from(dataset, seed=0, batch_size=128)
    for progress in train(make_step(update), state, feed, by_jit(make_mesh(jax.devices()[:1])), steps=steps):
        state = progress.state
        for measured in progress.measured:
            print(f"step {measured.step:,}: {measured.means['found']:.1%} found among 128", flush=True)
    return Matcher(state.networks["matcher"], dataset.tokenizer)


def main() -> None:
    """Trains, writes and tests as the command line says."""
    options = tyro.cli(Options)
    require_bounds(options)
    training, test = hold_out_captions(load(str(options.data)), words=options.words, vocabulary=options.vocabulary)
    matcher = train_matcher(training, options.steps)
    save_matcher(options.out, matcher)
    for part in (training, test):
        captions, first = np.unique(part.captions, return_index=True)
        accuracy = retrieval_accuracy(*matcher.extract(part.arrays["image"][first], captions.tolist()))
        print(f"{accuracy.value:.1%} of {len(first):,} real pictures, {part.split}: their caption is found among 10")


if __name__ == "__main__":
    command(main)
