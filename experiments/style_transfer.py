"""The content of one image in the style of another.  python experiments/style_transfer.py --help

An encoder learns as one half of an autoencoder, and then stays as it is; a decoder goes on to learn to draw what the
encoder says of one image, with the means and deviations of what it says of another.  Contents and styles are
of one data set, of which every tenth image is held out.  It ends with how near held-out pairs come to both.
"""

import json
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from rich.console import Console
from rich.table import Table

from jaxgen import ImageSpec, InputError, add, chain, ema, minimize, scale, to_float, to_uint8, until
from jaxgen.data import Dataset, load, make_dataset
from jaxgen.export import save_grid
from jaxgen.io.files import write_whole
from jaxgen.models import StyleTransfer, ema_warmup, identity_loss, strengths, style_transfer_loss, use_ema
from jaxgen.nets import PyramidDecoder, PyramidEncoder
from jaxgen.training import Count, Positive, Recipe, RunConfig, RunDirectory, best_networks, command, run

HELD_OUT, EXAMPLES, PAIRS, SHOWN = 10, 64, 100, 10
"""One image in so many is held out; how many of these are drawn from, are judged in pairs, and are shown."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Transfer styles between images by adaptive instance normalisation."""

    data: str = "cifar10"
    """A data set's name, a folder of images, or an .npz; contents and styles are both of it."""
    max_minutes: Positive = 10.0
    """Stop after this long with everything saved; the same command goes on from there."""
    batch_size: Count = 8
    """Images a step, an even number: each takes its neighbour's style."""
    sample_every: Count = 500
    """Steps between sample grids."""
    width: Count = 16
    """Channels of the maps of the image's sides; those of a half have twice as many, of a quarter four times."""
    encoder_steps: Count = 500
    """Steps after which the encoder stays as it is."""
    style_weight: Positive = 5.0
    """Weight of the style over that of the content."""
    identity_weight: Positive = 1.0
    """Weight of what an image without another's style loses."""
    learning_rate: Positive = 1e-3
    """Adam's at the start; it is half as much after 4,000 steps, a third after 8,000."""


def build(config: Config, spec: ImageSpec, examples: np.ndarray | None = None) -> Recipe:
    """The networks, how they train, and how to draw from them: some examples uint8 [N, H, W, C] in others' styles."""
    examples = np.zeros((2, *spec), np.uint8) if examples is None else examples
    model = make_model(config, spec)
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 4_000))
    # Not before the encoder is ready: styles of maps that say nothing yet would keep them from saying anything.
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
        networks=lambda key: model.init(key, {"image": jnp.zeros((1, *spec), jnp.uint8)}),
        update=update,
        sampler=lambda networks, keys: model.sampler(jnp.asarray(examples))(use_ema(networks), keys),
        pictures=lambda networks, batch: {"strengths": strengths(model, use_ema(networks), batch)},
        stylizer=lambda networks: partial(model.transfer, use_ema(networks)),
    )


def make_model(config: Config, spec: ImageSpec) -> StyleTransfer:
    """The networks and what they mean."""
    return StyleTransfer(PyramidEncoder(config.width), PyramidDecoder(spec.channels, config.width))


def training_part(dataset: Dataset) -> Dataset:
    """The images that are not held out."""
    image = np.delete(dataset.arrays["image"], np.s_[::HELD_OUT], axis=0)
    return make_dataset(image, None, source=f"{dataset.source}, but for one in {HELD_OUT}", split=dataset.split)


def compare(model: StyleTransfer, networks, content, style) -> tuple[np.ndarray, dict[str, list[float]]]:
    """The transfers uint8 [N, H, W, C], and the mean content and style losses of them and of the trivial outputs."""
    transfer, losses = (jax.jit(partial(part, networks)) for part in (model.transfer, model.losses))
    result = to_uint8(transfer(content, style))
    outputs = {"result": to_float(result), "content unchanged": content, "style image": style}
    told = {name: losses(output, content, style) for name, output in outputs.items()}
    return np.asarray(result), {name: [float(loss.mean()) for loss in pair] for name, pair in told.items()}


def main() -> None:
    """Trains and judges as the command line says."""
    config, console = tyro.cli(Config), Console()
    data = load(config.data, data_dir=config.data_dir, offline=config.offline, announce=lambda _: None)
    held_out = np.random.default_rng(config.seed).permutation(data.arrays["image"][::HELD_OUT])
    pairs = min(PAIRS, len(held_out) // 2)
    if not pairs:
        expected = f"more than {HELD_OUT}, of which a pair is held out"
        raise InputError(f"--data {config.data} has {data.size} images; expected {expected}.")

    def judge(directory: RunDirectory) -> None:
        networks = use_ema(best_networks(config, build, directory, data.spec))
        content, style = held_out[:pairs], held_out[pairs : 2 * pairs]
        given = (to_float(jnp.asarray(images)) for images in (content, style))
        result, losses = compare(make_model(config, data.spec), networks, *given)
        rows = np.concatenate([images[:SHOWN] for images in (content, style, result)])
        save_grid(directory.path / "held_out.png", rows, columns=min(SHOWN, pairs))
        table = Table("", "content loss", "style loss", "weighted sum", title=f"{pairs} held-out pairs")
        for name, (of_content, of_style) in losses.items():
            whole = of_content + config.style_weight * of_style
            table.add_row(name, *(f"{value:.4f}" for value in (of_content, of_style, whole)))
        console.print(table)
        write_whole(directory.path / "held_out.json", json.dumps({"pairs": pairs, **losses}, indent=2) + "\n")

    run(
        config,
        lambda config, spec: build(config, spec, held_out[:EXAMPLES]),
        name="style_transfer",
        prepare=training_part,
        afterwards=judge,
    )


if __name__ == "__main__":
    command(main)
