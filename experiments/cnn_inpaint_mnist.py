"""A network that completes digits.  python experiments/cnn_inpaint_mnist.py --help

It learns to restore images of which a part is hidden, to which noise is added, or whose pixels are averaged.  At the
end it restores the test images: a picture shows inputs, restorations and the truth, and a table compares their PSNR,
SSIM and Fréchet distance with those of a baseline without a network and, with --flow, of restorations drawn by a
diffusion run.  Afterwards it restores images of your own:

    python -m jaxgen restore runs/cnn_inpaint_mnist --images damaged.png --mask mask.png --out completed.png
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from jaxgen import ImageSpec, InputError, chain, ema, minimize, to_float, to_uint8
from jaxgen.evaluation import degraded, images_to_test, report_restoration
from jaxgen.export import ExportedDenoiser, export_restorer, load_sampler
from jaxgen.export.restorations import draw_restorations, load_unconditional
from jaxgen.losses import charbonnier_error
from jaxgen.models import (
    ImageToImage,
    denoise,
    ema_warmup,
    inpaint,
    random_block,
    random_half,
    restoration_loss,
    super_resolve,
    use_ema,
)
from jaxgen.nets import UNet
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, RunDirectory, UserPath, command, load_split, run

DEVIATION = 0.5
"""That of the noise; black to white is 2."""

TASKS = {
    "inpaint": (inpaint(random_block()), "mean fill"),
    "complete": (inpaint(random_half()), "mean fill"),
    "denoise": (denoise(DEVIATION), "noisy image"),
    "super_resolve_x2": (super_resolve(2), "bicubic"),
    "super_resolve_x4": (super_resolve(4), "bicubic"),
}
"""The tasks, and the names of their baselines."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Complete, clean or sharpen MNIST digits with a U-Net."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"test_images", "flow"}

    data: Literal["mnist", "fashion_mnist"] = "mnist"
    """The training split is for training, the test split for the evaluation."""
    task: Literal["inpaint", "complete", "denoise", "super_resolve_x2", "super_resolve_x4"] = "inpaint"
    """inpaint: a block is hidden; complete: a half is; denoise: Gaussian noise is added; super_resolve: blocks of 2x2
    or 4x4 pixels are averaged."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    width: Count = 32
    """Channels of the maps of half the image's sides; those of a quarter have twice as many."""
    learning_rate: Positive = 2e-3
    """Adam's; it decays as lr / (1 + step / 2,000)."""
    test_images: Annotated[int, Bounds(least=0)] = 10_000
    """Test images for the evaluation, fewer for a run of fewer than 1,000 steps; 0 for no test."""
    flow: UserPath | None = None
    """A run of flow_mnist.py without labels, whose restorations of the test images are measured too: some minutes for a
    thousand."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The network, how it trains, and how to restore images with it."""
    task, _ = TASKS[config.task]
    model = ImageToImage(UNet(spec.channels, config.width, levels=1, folded=True, dtype=config.dtype), task)
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 2_000))
    update = chain(
        cnn=minimize(restoration_loss(model, charbonnier_error()), adam, wrt="generator"),
        average=ema("generator", into="generator_ema", decay=ema_warmup(0.999)),
    )
    return Recipe(
        networks=partial(model.init, spec=spec),
        update=update,
        sampler=use_ema(model.sampler(spec)),
        exports={"restorer": export_restorer(use_ema(model.restorer))},
    )


def restored_by_flow(config: Config, denoiser: ExportedDenoiser, inputs: jax.Array) -> np.ndarray:
    """Draws one restoration of each of the task's inputs, by a flow."""
    (task, _), is_masked = TASKS[config.task], config.task in ("inpaint", "complete")
    images = np.asarray(inputs[..., :-1] if is_masked else inputs)
    known = np.asarray(inputs[..., -1:] > 0) if is_masked else np.ones((*images.shape[:3], 1), bool)
    deviation = DEVIATION if config.task == "denoise" else 0.0
    drawn = draw_restorations(denoiser, task, images, known, deviation=deviation, seed=config.seed)
    return drawn[:, 0]


def main() -> None:
    """Trains and tests as the command line says."""
    config = tyro.cli(Config)
    if config.flow and not config.test_images:
        raise InputError(f"--flow {config.flow} restores test images; --test-images is 0.")
    task, baseline = TASKS[config.task]
    # Read first: missing data are an error before training, not after.
    test = load_split(config, "test")
    denoiser = load_unconditional(config.flow / "denoiser", test.spec) if config.flow else None

    def evaluate(directory: RunDirectory) -> None:
        truth = images_to_test(test.arrays["image"], directory.step(), config.test_images)
        inputs = degraded(task, truth, config.seed)
        made = {
            "network": load_sampler(directory.sampler).draw(config.seed, len(truth), fields={"image": truth}),
            baseline: to_uint8(task.baseline(inputs)),
        }
        if denoiser:
            made["flow"] = restored_by_flow(config, denoiser, inputs)
        if config.task in ("inpaint", "complete"):
            made["mean of the test images"] = to_uint8(
                task.complete(inputs, to_float(jnp.asarray(test.arrays["image"])).mean(0))
            )
        report_restoration(directory.path, inputs, made, truth)

    run(config, build, name="cnn_inpaint_mnist", afterwards=evaluate if config.test_images else None)


if __name__ == "__main__":
    command(main)
