"""Trains a classifier as the package carries it.  python experiments/judges/classifier.py --help

Only the training set is seen, all of it, each image moved by a few pixels, those of CIFAR-10 mirrored too.  Digits need
a minute or two, CIFAR-10 twenty.  What it writes is used by the package once it takes the place of the file of that
name in jaxgen/evaluation, and distances are then no longer comparable with those before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from jaxgen import (
    Array,
    Aux,
    InputError,
    Loss,
    Variables,
    by_jit,
    init_state,
    make_mesh,
    make_step,
    mean,
    minimize,
    to_float,
)
from jaxgen.cli.arguments import writing
from jaxgen.data import Dataset, load
from jaxgen.evaluation.classifiers import CIFAR10_CLASSIFIER, DIGIT_CLASSIFIER, Carried, carried_network
from jaxgen.evaluation.weights import write_weights
from jaxgen.nets import Module, forward
from jaxgen.training import command
from jaxgen.training.dispatch import feed_from, train

BATCH = 128


class Training(NamedTuple):
    """What is trained, how often it sees an image, and what it sees of it: a float32 image [H, W, C] from one."""

    carried: Carried
    epochs: int
    augment: Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Options:
    """Train the classifier that judges drawn digits, or drawn photographs of 32x32."""

    data: Literal["mnist", "cifar10"] = "mnist"
    """What it learns to tell apart."""
    data_dir: Path | None = None
    """The folder of full MNIST, or of prepared CIFAR-10."""
    out: Path = Path("runs")
    """The folder that the weights go to."""


def moved(key: Array, image: Array, most: int) -> Array:
    """An image moved by up to so many pixels."""
    padded = jnp.pad(image, ((most, most), (most, most), (0, 0)), mode="edge")
    row, column = jax.random.randint(key, (2,), 0, 2 * most + 1)
    return jax.lax.dynamic_slice(padded, (row, column, 0), image.shape)


def moved_or_mirrored(key: Array, image: Array) -> Array:
    """An image moved by up to four pixels, every other one mirrored."""
    where, side = jax.random.split(key)
    return moved(where, jnp.where(jax.random.bernoulli(side), image[:, ::-1], image), 4)


TRAININGS = {
    "mnist": Training(DIGIT_CLASSIFIER, 4, lambda key, image: moved(key, image, 2)),
    "cifar10": Training(CIFAR10_CLASSIFIER, 10, moved_or_mirrored),
}


def classification_loss(module: Module, augment: Callable[[Array, Array], Array]) -> Loss:
    """The cross-entropy of a batch, in nats."""

    def loss(networks, context):
        image, label = to_float(context.batch["image"]), context.batch["label"]
        extract, drop = jax.random.split(context.key)
        image = jax.vmap(augment)(jax.random.split(extract, len(image)), image)
        (_, logits), changes = forward(module, networks["classifier"], image, train=True, key=drop)
        value = optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()
        return value, Aux({"right": mean(logits.argmax(1) == label)}, {"classifier": changes})

    return loss


def train_classifier(dataset: Dataset, training: Training) -> Variables:
    """The trained variables."""
    steps, module = training.epochs * dataset.size // BATCH, training.carried.module
    adam = optax.adam(optax.cosine_onecycle_schedule(steps, 2e-3))
    update = minimize(classification_loss(module, training.augment), adam, wrt="classifier")
    first = module.init(jax.random.key(0), jnp.zeros((1, *dataset.spec)), train=False)
    state = init_state(update, {"classifier": first}, jax.random.key(1))
    feed = feed_from(dataset, seed=0, batch_size=BATCH)
    for progress in train(make_step(update), state, feed, by_jit(make_mesh(jax.devices()[:1])), steps=steps):
        state = progress.state
        for measured in progress.measured:
            print(f"step {measured.step:,} of {steps:,}: {measured.means['right']:.1%} right", flush=True)
    return state.networks["classifier"]


def main() -> None:
    """Trains, writes and tests as the command line says."""
    options = tyro.cli(Options)
    seen, test = (load(options.data, split=split, data_dir=options.data_dir) for split in ("train", "test"))
    training = TRAININGS[options.data]
    if seen.size != training.carried.trained:
        expected = f"all {training.carried.trained:,}: give --data-dir"
        raise InputError(f"--data {options.data}: {seen.source} has {seen.size:,} images; expected {expected}.")
    carried = training.carried._replace(weights=options.out / training.carried.weights.name)
    with writing(options.out):
        # A folder that cannot be written to is told before training, not after.
        options.out.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=options.out).close()
    variables = train_classifier(seen, training)
    with writing(options.out):
        write_weights(carried.weights, variables)
    probabilities = carried_network(carried).extract(test.arrays["image"]).probabilities
    assert probabilities is not None
    right = np.mean(probabilities.argmax(axis=1) == test.arrays["label"])
    print(f"{right:.2%} of {test.size:,} test images right: {carried.weights}")


if __name__ == "__main__":
    command(main)
