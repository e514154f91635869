"""Trains the packaged classifier of moving digits.  python experiments/classifiers/clip_classifier.py --help

The package uses the weights once they replace the file of that name in jaxgen/evaluation; Fréchet distances of clips
are then not comparable with earlier ones.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from jaxgen import Array, Aux, Context, Networks, mean, minimize, to_float
from jaxgen.cli.arguments import writing
from jaxgen.data import Dataset, load
from jaxgen.data.dataset import make_clips
from jaxgen.data.moving_mnist import TEST_SEED, TRAIN_SEED, draw_clips
from jaxgen.evaluation.clip_features import FRAMES, MODULE, QUADRANTS, SPEC, WEIGHTS, clip_features, motion_class
from jaxgen.evaluation.weights import write_weights
from jaxgen.io.terminal import say
from jaxgen.nets import forward
from jaxgen.training import Bounds, UserPath, command, fit

BATCH, NUM_TRAIN, NUM_TEST = 32, 20_000, 2_000
DIGIT_SIZE = 16


@dataclass(frozen=True)
class Options:
    """Train a classifier whose features clips of moving digits are compared by."""

    data_dir: UserPath | None = None
    """The folder of MNIST."""
    steps: Annotated[int, Bounds(least=1)] = 2_000
    """Steps of 32 clips."""
    out: UserPath = Path("runs")
    """The folder that the weights are written to."""


def draw(digits: Dataset, seed: int, num: int) -> Dataset:
    """Clips of single digits with their classes."""
    images, labels = digits.arrays["image"], digits.arrays["label"]
    moving = draw_clips(
        images, labels, seed, range(num), frames=FRAMES, size=SPEC[:2], num_digits=1, digit_size=DIGIT_SIZE
    )
    classes = motion_class(moving.labels[:, 0], moving.positions[:, :, 0])
    return make_clips(moving.clips, classes, source=f"moving digits of {digits.source}", split=digits.split)


def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
    """The mean cross-entropy of a batch, in nats."""
    clip, label = to_float(context.batch["clip"]), context.batch["label"]
    (_, logits), changes = forward(MODULE, networks["classifier"], clip, train=True, key=context.key)
    value = optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()
    return value, Aux({"accuracy": mean(logits.argmax(1) == label)}, {"classifier": changes})


def main() -> None:
    """Trains the classifier, writes its weights and tests it."""
    options = tyro.cli(Options)
    data, test = (
        draw(load("mnist", split=split, data_dir=options.data_dir), seed, num)
        for split, seed, num in (("train", TRAIN_SEED, NUM_TRAIN), ("test", TEST_SEED, NUM_TEST))
    )
    out = options.out / WEIGHTS.name
    with writing(options.out):
        # A folder that cannot be written to is an error before training, not after.
        options.out.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=options.out).close()
    networks = fit(
        minimize(loss, optax.adam(optax.cosine_onecycle_schedule(options.steps, 2e-3)), wrt="classifier"),
        {"classifier": MODULE.init(jax.random.key(0), jnp.zeros((1, FRAMES, *SPEC)), train=False)},
        data,
        key=jax.random.key(1),
        batch_size=BATCH,
        steps=options.steps,
        report=lambda now: say(f"step {now.step:,} of {options.steps:,}: accuracy {now.means['accuracy']:.1%}"),
    )
    with writing(options.out):
        write_weights(out, networks["classifier"])
    guess, truth = clip_features(test.arrays["clip"], out)[1].argmax(1), test.arrays["label"]
    digit, quadrant = (np.mean(a == b) for a, b in zip(*(np.divmod(c, QUADRANTS) for c in (guess, truth)), strict=True))
    right = np.mean(guess == truth)
    say(f"Test accuracy {right:.2%}, of the digit {digit:.2%}, of the quadrant {quadrant:.2%}: {out}")


if __name__ == "__main__":
    command(main)
