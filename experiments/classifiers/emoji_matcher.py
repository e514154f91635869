"""Trains the matching network of emoji and captions.  python experiments/classifiers/emoji_matcher.py --help

It is trained on the training captions of experiments/text_to_emoji.py alone, with random translations and colour
changes.  Its retrieval accuracy for held-out captions of real images bounds how far it can measure drawn ones.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from jaxgen import Array, Aux, Context, Loss, Networks, mean, minimize, to_float
from jaxgen.data import Dataset, load
from jaxgen.evaluation import Matcher, hold_out_captions, retrieval_accuracy, save_matcher
from jaxgen.io.terminal import say
from jaxgen.losses import symmetric_cross_entropy
from jaxgen.models import change_colour, draw_batch, translate
from jaxgen.nets import Matching, forward
from jaxgen.training import Bounds, Count, Seed, UserPath, command, fit, require_bounds

BATCH = 128


@dataclass(frozen=True)
class Options:
    """Train the network that matches emoji and captions."""

    data: UserPath
    """The folder of emoji, with its metadata.jsonl."""
    out: UserPath = Path("runs/emoji_matcher")
    """The folder that the network is written to."""
    steps: Count = 3_000
    """Training steps of 128 pairs."""
    words: Count = 12
    """The most words of a caption, as in the experiment to evaluate."""
    vocabulary: Annotated[int, Bounds(least=3)] = 4_096
    """Size of the vocabulary, as in the experiment to evaluate; two tokens are special."""
    seed: Seed = 0
    """Random seed."""


def matching_loss(module: Matching) -> Loss:
    """The symmetric cross-entropy of a batch of pairs, in nats."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        image = to_float(context.batch["image"])
        keys = draw_batch(jax.random.split, context.key, (len(image),))
        image = jax.vmap(lambda key, one: translate(key, 0.7 * one + 0.3 * change_colour(key, one)))(keys, image)
        (images, texts, temperature), _ = forward(module, networks["matcher"], image, context.batch["text"], train=True)
        is_own = (images @ texts.T).argmax(1) == jnp.arange(len(image))
        return symmetric_cross_entropy(images, texts, temperature).mean(), Aux({"accuracy": mean(is_own)})

    return loss


def train_matcher(dataset: Dataset, steps: int, seed: int) -> Matcher:
    """The trained network."""
    first, others = jax.random.split(jax.random.key(seed))
    assert dataset.tokenizer is not None
    module = Matching(dataset.tokenizer.size)
    adam = optax.adam(optax.cosine_onecycle_schedule(steps, 2e-3))
    inputs = jnp.zeros((1, *dataset.spec)), jnp.asarray(dataset.arrays["text"][:1])
    networks = fit(
        minimize(matching_loss(module), adam, wrt="matcher"),
        {"matcher": module.init(first, *inputs, train=False)},
        dataset,
        key=others,
        batch_size=BATCH,
        steps=steps,
        report=lambda measured: say(
            f"step {measured.step:,}: retrieval accuracy {measured.means['accuracy']:.1%} among {BATCH}"
        ),
    )
    return Matcher(networks["matcher"], dataset.tokenizer)


def main() -> None:
    """Trains the network, writes it and tests it."""
    options = tyro.cli(Options)
    require_bounds(options)
    parts = hold_out_captions(load(str(options.data)), words=options.words, vocabulary=options.vocabulary)
    matcher = train_matcher(parts[0], options.steps, options.seed)
    save_matcher(options.out, matcher)
    for part in parts:
        captions, first = np.unique(part.captions, return_index=True)
        accuracy = retrieval_accuracy(*matcher.extract(part.arrays["image"][first], captions.tolist()))
        say(f"Retrieval accuracy {accuracy:.1%} among 10 for {len(first):,} captions of real images, {part.split}")


if __name__ == "__main__":
    command(main)
