"""Trains the digit classifier that the package carries.  python experiments/judges/digit_classifier.py --help

Only the 60,000 MNIST training digits are seen, each moved by up to two pixels.  Needs full MNIST and a minute or two.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from jaxgen import Aux, init_state, make_step, minimize, to_float
from jaxgen.command import command
from jaxgen.data import Dataset, load
from jaxgen.dispatch import feed_from, train
from jaxgen.errors import InputError
from jaxgen.evaluation import digit_network
from jaxgen.evaluation.digits import TRAINED, WEIGHTS
from jaxgen.evaluation.weights import write_weights
from jaxgen.nets import DigitClassifier
from jaxgen.parallel import by_jit, make_mesh

EPOCHS, BATCH, SHIFT = 4, 128, 2


@dataclass(frozen=True)
class Options:
    """Train the classifier that judges drawn digits."""

    data_dir: Path | None = None
    """The folder of full MNIST."""
    out: Path = WEIGHTS
    """Where the weights go."""


def shifted(key, image):
    """Images moved by up to two pixels, each in its own way."""
    padded = jnp.pad(image, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
    offsets = jax.random.randint(key, (len(image), 2), 0, 2 * SHIFT + 1)
    return jax.vmap(lambda one, at: jax.lax.dynamic_slice(one, (at[0], at[1], 0), image.shape[1:]))(padded, offsets)


def classification_loss(networks, context):
    """The cross-entropy of a batch, in nats."""
    shift, drop = jax.random.split(context.key)
    image = to_float(shifted(shift, context.batch["image"]))
    apply: Any = DigitClassifier().apply
    _, logits = apply(networks["classifier"], image, train=True, rngs={"dropout": drop})
    return optax.softmax_cross_entropy_with_integer_labels(logits, context.batch["label"]).mean(), Aux()


def train_classifier(dataset: Dataset):
    """The trained variables."""
    steps = EPOCHS * dataset.size // BATCH
    update = minimize(classification_loss, optax.adam(optax.cosine_onecycle_schedule(steps, 2e-3)), wrt="classifier")
    first = {"classifier": DigitClassifier().init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)), train=False)}
    state = init_state(update, first, jax.random.key(1))
    feed = feed_from(dataset, seed=0, batch_size=BATCH)
    for progress in train(make_step(update), state, feed, by_jit(make_mesh(jax.devices()[:1])), steps=steps):
        state = progress.state
    return state.networks["classifier"]


def main() -> None:
    """Trains, writes and tests as the command line says."""
    options = tyro.cli(Options)
    training, test = (load("mnist", split=split, data_dir=options.data_dir) for split in ("train", "test"))
    if training.size != TRAINED:
        raise InputError(f"{training.source} has {training.size:,} digits; expected full MNIST: give --data-dir.")
    write_weights(options.out, train_classifier(training))
    looked = digit_network(options.out).look(test.arrays["image"])
    assert looked.probabilities is not None
    right = np.mean(looked.probabilities.argmax(axis=1) == test.arrays["label"])
    print(f"{right:.2%} of {test.size:,} test digits right: {options.out}")


if __name__ == "__main__":
    command(main)
