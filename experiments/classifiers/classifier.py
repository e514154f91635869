"""Trains a packaged classifier.  python experiments/classifiers/classifier.py --help

It is trained on the whole training set, with random translations and, for CIFAR-10, random mirroring.  Digits need a
minute or two, CIFAR-10 twenty.  The package uses the weights once they replace the file of that name in
jaxgen/evaluation; Fréchet distances are then not comparable with earlier ones.
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

from jaxgen import Array, Aux, Context, InputError, Loss, Networks, Variables, mean, minimize, to_float
from jaxgen.cli.arguments import writing
from jaxgen.data import Dataset, load
from jaxgen.evaluation.classifiers import CIFAR10_CLASSIFIER, DIGIT_CLASSIFIER, Classifier, classifier_network
from jaxgen.evaluation.weights import write_weights
from jaxgen.io.terminal import say
from jaxgen.nets import Module, forward
from jaxgen.training import UserPath, command, fit

BATCH = 128

Augment = Callable[[Array, Array], Array]
"""A key and an image float32 [H, W, C] to an augmented image."""


class Training(NamedTuple):
    """A classifier, the epochs of its training, and its data augmentation."""

    classifier: Classifier
    epochs: int
    augment: Augment


@dataclass(frozen=True)
class Options:
    """Train a classifier whose features images are compared by."""

    data: Literal["mnist", "cifar10"] = "mnist"
    """The data set whose classes it learns."""
    data_dir: UserPath | None = None
    """The folder of full MNIST, or of prepared CIFAR-10."""
    out: UserPath = Path("runs")
    """The folder that the weights are written to."""


def translated(key: Array, image: Array, most: int) -> Array:
    """An image translated by at most `most` pixels in each direction."""
    padded = jnp.pad(image, ((most, most), (most, most), (0, 0)), mode="edge")
    row, column = jax.random.randint(key, (2,), 0, 2 * most + 1)
    return jax.lax.dynamic_slice(padded, (row, column, 0), image.shape)


def translated_and_mirrored(key: Array, image: Array) -> Array:
    """An image translated by at most four pixels, and mirrored with probability 1/2."""
    translation, mirroring = jax.random.split(key)
    return translated(translation, jnp.where(jax.random.bernoulli(mirroring), image[:, ::-1], image), 4)


TRAININGS = {
    "mnist": Training(DIGIT_CLASSIFIER, 4, lambda key, image: translated(key, image, 2)),
    "cifar10": Training(CIFAR10_CLASSIFIER, 10, translated_and_mirrored),
}


def classification_loss(module: Module, augment: Augment) -> Loss:
    """The mean cross-entropy of a batch, in nats."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        image, label = to_float(context.batch["image"]), context.batch["label"]
        augmentation, dropout = jax.random.split(context.key)
        image = jax.vmap(augment)(jax.random.split(augmentation, len(image)), image)
        (_, logits), changes = forward(module, networks["classifier"], image, train=True, key=dropout)
        value = optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()
        return value, Aux({"accuracy": mean(logits.argmax(1) == label)}, {"classifier": changes})

    return loss


def train_classifier(dataset: Dataset, training: Training) -> Variables:
    """The trained variables."""
    steps, module = training.epochs * dataset.size // BATCH, training.classifier.module
    adam = optax.adam(optax.cosine_onecycle_schedule(steps, 2e-3))
    networks = fit(
        minimize(classification_loss(module, training.augment), adam, wrt="classifier"),
        {"classifier": module.init(jax.random.key(0), jnp.zeros((1, *dataset.spec)), train=False)},
        dataset,
        key=jax.random.key(1),
        batch_size=BATCH,
        steps=steps,
        report=lambda measured: say(f"step {measured.step:,} of {steps:,}: accuracy {measured.means['accuracy']:.1%}"),
    )
    return networks["classifier"]


def main() -> None:
    """Trains a classifier, writes its weights and tests it."""
    options = tyro.cli(Options)
    data, test = (load(options.data, split=split, data_dir=options.data_dir) for split in ("train", "test"))
    training = TRAININGS[options.data]
    if data.size != training.classifier.num_trained:
        expected = f"all {training.classifier.num_trained:,}: give --data-dir"
        raise InputError(f"--data {options.data}: {data.source} has {data.size:,} images; expected {expected}.")
    classifier = training.classifier._replace(weights=options.out / training.classifier.weights.name)
    with writing(options.out):
        # A folder that cannot be written to is an error before training, not after.
        options.out.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=options.out).close()
    variables = train_classifier(data, training)
    with writing(options.out):
        write_weights(classifier.weights, variables)
    probabilities = classifier_network(classifier).extract(test.arrays["image"]).probabilities
    assert probabilities is not None
    accuracy = np.mean(probabilities.argmax(axis=1) == test.arrays["label"])
    say(f"Test accuracy {accuracy:.2%} of {test.size:,} images: {classifier.weights}")


if __name__ == "__main__":
    command(main)
