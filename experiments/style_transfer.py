"""The content of one image in the style of another.  python experiments/style_transfer.py --help

An encoder trains as one half of an autoencoder and is then frozen; a decoder learns to decode the features of one image
with the channel moments of another: adaptive instance normalisation.  Contents and styles are of one data set, of which
every tenth image is held out.  It ends with the content and the style loss of held-out pairs.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from jaxgen import ImageSpec, InputError, add, chain, ema, minimize, scale, to_float, to_uint8, until
from jaxgen.data import Dataset, make_dataset
from jaxgen.evaluation import write_results
from jaxgen.export import export_stylizer, save_grid
from jaxgen.models import (
    StyleTransfer,
    ema_networks,
    ema_warmup,
    identity_loss,
    strengths,
    style_transfer_loss,
    use_ema,
)
from jaxgen.nets import PyramidDecoder, PyramidEncoder
from jaxgen.training import Count, Positive, Recipe, RunConfig, RunDirectory, best_networks, command, load_split, run

HELD_OUT, EXAMPLES, PAIRS, SHOWN = 10, 64, 100, 10
"""One image in HELD_OUT is held out; the numbers of examples to sample from, of evaluated pairs and of shown ones."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Transfer styles between images by adaptive instance normalisation."""

    data: str = "cifar10"
    """mnist, fashion_mnist, cifar10, binarized_mnist, a folder of images, or an archive; contents and styles are
    both of it."""
    max_minutes: Positive = 10.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 8
    """Images per step, over all devices, an even number: each takes its neighbour's style."""
    sample_every: Count = 500
    """Steps between sample grids."""
    width: Count = 16
    """Channels of the maps of the image's size; maps of half the size have twice, of a quarter four times as many."""
    encoder_steps: Count = 500
    """Steps after which the encoder is frozen."""
    style_weight: Positive = 5.0
    """Weight of the style loss; that of the content loss is 1."""
    identity_weight: Positive = 1.0
    """Weight of the identity loss, the reconstruction error of images whose style is not changed."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 4,000)."""


def build(config: Config, spec: ImageSpec, examples: np.ndarray | None = None) -> Recipe:
    """The networks, how they train, and how to draw from them: some examples uint8 [N, H, W, C] in others' styles."""
    examples = np.zeros((2, *spec), np.uint8) if examples is None else examples
    model = make_model(config, spec)
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 4_000))
    # Not before the encoder is trained: the styles of meaningless features would keep it from learning.
    loss = add(
        transfer=scale(
            lambda step: 1.0 * (step >= config.encoder_steps), style_transfer_loss(model, weight=config.style_weight)
        ),
        identity=scale(config.identity_weight, identity_loss(model)),
    )
    update = chain(
        encoder=until(config.encoder_steps, minimize(identity_loss(model), adam, wrt="encoder")),
        decoder=minimize(loss, adam, wrt="decoder"),
        average=ema("decoder", into="decoder_ema", decay=ema_warmup(0.999)),
    )
    return Recipe(
        networks=partial(model.init, spec=spec),
        update=update,
        sampler=use_ema(model.sampler(jnp.asarray(examples))),
        pictures=use_ema(lambda networks, batch: {"strengths": strengths(model, networks, batch)}),
        exports={"stylizer": export_stylizer(use_ema(model.stylizer))},
    )


def make_model(config: Config, spec: ImageSpec) -> StyleTransfer:
    """The model."""
    return StyleTransfer(
        PyramidEncoder(config.width, dtype=config.dtype),
        PyramidDecoder(spec.channels, config.width, dtype=config.dtype),
    )


def training_part(dataset: Dataset) -> Dataset:
    """The images that are not held out."""
    image = np.delete(dataset.arrays["image"], np.s_[::HELD_OUT], axis=0)
    return make_dataset(image, None, source=f"{dataset.source}, but for one in {HELD_OUT}", split=dataset.split)


def compare(model: StyleTransfer, networks, content, style) -> tuple[np.ndarray, dict[str, list[float]]]:
    """The transfers uint8 [N, H, W, C], and the mean content and style losses of them and of the trivial outputs."""
    transfer, losses = (jax.jit(partial(part, networks)) for part in (model.transfer, model.losses))
    result = to_uint8(transfer(content, style))
    outputs = {"result": to_float(result), "content unchanged": content, "style image": style}
    pairs = {name: losses(output, content, style) for name, output in outputs.items()}
    return np.asarray(result), {name: [float(loss.mean()) for loss in pair] for name, pair in pairs.items()}


def main() -> None:
    """Trains and evaluates as the command line says."""
    config = tyro.cli(Config)
    data = load_split(config, "train", lambda _: None)
    held_out = np.random.default_rng(config.seed).permutation(data.arrays["image"][::HELD_OUT])
    pairs = min(PAIRS, len(held_out) // 2)
    if not pairs:
        expected = f"more than {HELD_OUT}, of which a pair is held out"
        raise InputError(f"--data {config.data} has {data.size} images; expected {expected}.")

    def evaluate(directory: RunDirectory) -> None:
        networks = ema_networks(best_networks(config, build, directory, data.spec))
        content, style = held_out[:pairs], held_out[pairs : 2 * pairs]
        inputs = (to_float(jnp.asarray(images)) for images in (content, style))
        result, losses = compare(make_model(config, data.spec), networks, *inputs)
        rows = np.concatenate([images[:SHOWN] for images in (content, style, result)])
        save_grid(directory.path / "held_out.png", rows, columns=min(SHOWN, pairs))
        results = {
            name: {"content loss": a, "style loss": b, "weighted sum": a + config.style_weight * b}
            for name, (a, b) in losses.items()
        }
        title, details = f"{pairs} held-out pairs", {"pairs": pairs}
        write_results(directory.path / "held_out.json", results, title=title, details=details)

    run(
        config,
        lambda config, spec: build(config, spec, held_out[:EXAMPLES]),
        name="style_transfer",
        prepare=training_part,
        afterwards=evaluate,
    )


if __name__ == "__main__":
    command(main)
