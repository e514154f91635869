"""How good are drawn digits?  python experiments/benchmarks/digit_quality.py --data-dir DIR samples.npz ...

A small classifier, trained here once on the MNIST training set, sees 28x28 digits.  In the 64 features below its logits
the Fréchet distance is taken between drawn digits and the MNIST test set, which the classifier never saw; its classes
give the share of each digit.  The floor is the distance of 10,000 training digits to the test set.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from jaxgen import Aux, init_state, make_step, minimize, to_float
from jaxgen.command import command
from jaxgen.data import Dataset, load
from jaxgen.dispatch import feed_from, train
from jaxgen.evaluation import frechet_distance
from jaxgen.files import cache_folder, write_whole
from jaxgen.nets import Conv
from jaxgen.parallel import by_jit, make_mesh

EPOCHS, BATCH, FEATURES, DROP, SHIFT = 4, 128, 64, 0.5, 2


@dataclass(frozen=True)
class Options:
    """Judge drawn digits by an independent digit classifier."""

    samples: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """.npz files with `arr_0` uint8 [N, 28, 28, 1]; none: only the floor is measured."""
    data_dir: Path | None = None
    """The folder of full MNIST."""


class Classifier(nn.Module):
    """Images [B, 28, 28, 1] in [-1, 1] to features [B, 64] and logits [B, 10]."""

    @nn.compact
    def __call__(self, image, *, train: bool):
        for features in (16, 32, 64):
            image = nn.relu(Conv(features, (3, 3), kernel_init=nn.initializers.he_normal())(image))
            if features < 64:
                batch, height, width, _ = image.shape
                image = image.reshape(batch, height // 2, 2, width // 2, 2, features).max(axis=(2, 4))
        features = nn.relu(nn.Dense(FEATURES)(image.reshape(len(image), -1)))
        return features, nn.Dense(10)(nn.Dropout(DROP, deterministic=not train)(features))


def shifted(key, image):
    """Images moved by up to two pixels, each in its own way."""
    padded = jnp.pad(image, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
    offsets = jax.random.randint(key, (len(image), 2), 0, 2 * SHIFT + 1)
    return jax.vmap(lambda one, at: jax.lax.dynamic_slice(one, (at[0], at[1], 0), image.shape[1:]))(padded, offsets)


def classification_loss(networks, context):
    shift, drop = jax.random.split(context.key)
    image = to_float(shifted(shift, context.batch["image"]))
    apply: Any = Classifier().apply
    _, logits = apply(networks["classifier"], image, train=True, rngs={"dropout": drop})
    return optax.softmax_cross_entropy_with_integer_labels(logits, context.batch["label"]).mean(), Aux()


def train_classifier(dataset: Dataset):
    """The trained variables."""
    steps = EPOCHS * dataset.size // BATCH
    update = minimize(classification_loss, optax.adam(optax.cosine_onecycle_schedule(steps, 2e-3)), wrt="classifier")
    first = {"classifier": Classifier().init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)), train=False)}
    state = init_state(update, first, jax.random.key(1))
    feed = feed_from(dataset, seed=0, batch_size=BATCH)
    for progress in train(make_step(update), state, feed, by_jit(make_mesh(jax.devices()[:1])), steps=steps):
        state = progress.state
    return state.networks["classifier"]


def classifier(dataset: Dataset):
    """The trained variables, from the user's cache folder if they are there."""
    version = hashlib.sha256((dataset.digest + Path(__file__).read_text()).encode()).hexdigest()[:16]
    path = cache_folder() / f"digit-classifier-{version}.npz"
    template = jax.eval_shape(lambda: Classifier().init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)), train=False))
    if not path.exists():
        print("Training the classifier once (a minute or two)", flush=True)
        leaves = jax.tree.leaves(train_classifier(dataset))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: np.savez(file, *map(np.asarray, leaves)))
    with np.load(path) as archive:
        return jax.tree.unflatten(jax.tree.structure(template), [archive[name] for name in archive.files])


def look(variables, image):
    """Features float64 [N, 64] and classes [N] of images uint8 [N, 28, 28, 1]."""
    apply = jax.jit(lambda batch: Classifier().apply(variables, to_float(batch), train=False))
    parts = [apply(image[at : at + 500]) for at in range(0, len(image), 500)]
    features, logits = (np.concatenate([np.asarray(part[i]) for part in parts]) for i in (0, 1))
    return features.astype(np.float64), logits.argmax(axis=1)


def main() -> None:
    options = tyro.cli(Options)
    training, test = (load("mnist", split=split, data_dir=options.data_dir) for split in ("train", "test"))
    variables = classifier(training)
    reference, classes = look(variables, test.arrays["image"])
    print(f"classifier: {np.mean(classes == test.arrays['label']):.2%} of {test.size:,} test digits right")
    sets = {"training digits (floor)": training.arrays["image"][:10_000]}
    for path in options.samples:
        sets[str(path)] = load(str(path)).arrays["image"]
    for name, image in sets.items():
        features, classes = look(variables, image)
        shares = np.bincount(classes, minlength=10) / len(image)
        result = {"frechet": round(frechet_distance(features, reference), 3), "rarest": round(shares.min(), 4)}
        print(f"{name}: {json.dumps({**result, 'shares': shares.round(3).tolist(), 'n': len(image)})}", flush=True)


if __name__ == "__main__":
    command(main)
