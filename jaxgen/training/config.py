"""The options that every run has, and the bounds of their values."""

import dataclasses
from typing import Annotated, Any, ClassVar, Literal, get_args, get_type_hints

from jaxgen.core.precision import Precision
from jaxgen.data.image_options import Fit
from jaxgen.io.errors import InputError
from jaxgen.io.program import UserPath, UserSize
from jaxgen.training.dtype import FLOAT32, DType


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The values that an option may have; part of its type, as in `Annotated[int, Bounds(least=1)]`."""

    least: float = -float("inf")
    above: float = -float("inf")
    most: float = float("inf")

    def allow(self, value: float) -> bool:
        """Whether a value is finite and within the bounds."""
        return self.least <= value <= self.most and self.above < value < float("inf")

    def __str__(self) -> str:
        if self.most < float("inf"):
            return f"a number from {self.least:,} to {self.most:,}"
        return f"at least {self.least}" if self.least > -float("inf") else f"a finite number above {self.above}"


Count = Annotated[int, Bounds(least=1)]
Positive = Annotated[float, Bounds(above=0)]
GuidanceScale = Annotated[float, Bounds(least=0, most=100)]
Seed = Annotated[int, Bounds(least=0, most=2**32 - 1)]


FREE = frozenset(
    (
        *("out", "data", "data_dir", "offline", "steps", "max_minutes", "resume"),
        *("log_every", "sample_every", "checkpoint_every", "keep", "keep_every"),
        *("evaluate_every", "evaluate_num", "inception"),
        *("on_divergence", "parallel", "distributed"),
    )
)
"""Options that a resumed run may change, since no step depends on them; a config may add its own to `free`.

The data are compared by their digest, whatever names them.
"""


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """The options of every experiment."""

    free: ClassVar[frozenset[str]] = FREE

    out: UserPath | None = None
    """Run directory; runs/<experiment> if not given."""
    data: str = "mnist"
    """mnist, fashion_mnist, cifar10, binarized_mnist, a folder of images, a .zip, .tar or .tar.gz of one, .parquet, the
    shards that `python -m jaxgen pack` writes, or an .npz or .npy: `image` (x_train, images, x, ...) [N, H, W], [N, H,
    W, C] or [N, C, H, W], of 0 to 255, bool, or floats in [0, 1] or [-1, 1]; perhaps `label` (y_train, labels, y, ...).
    """
    data_dir: UserPath | None = None
    """Folder of the data set: prepared TFDS data, the four original MNIST files, or those of binarized_mnist."""
    size: UserSize | None = None
    """Bring all images to this size: 64, or height x width, as in 64x96.  By default they must be of one size."""
    fit: Fit = "crop"
    """How images of another shape get that size: crop takes the largest centred rectangle, pad adds background around
    the whole image, stretch distorts it."""
    background: str = "white"
    """Behind transparent pixels and around padded images: white, black, another colour by name, #rrggbb, or median, the
    median colour of each image."""
    grey: bool = False
    """Read all images as grey."""
    offline: bool = False
    """Never download."""
    steps: Count = 150_000
    """Training steps in total, including those before a resume."""
    max_minutes: Positive = 5.0
    """Stop after this many minutes with everything saved; the same command resumes from there."""
    batch_size: Count = 64
    """Images per step, over all devices."""
    seed: Seed = 0
    """Seed of all random numbers."""
    augment: tuple[Literal["mirror", "crop", "shift", "turn", "colour"], ...] = ()
    """Random transforms of the training images, in this order.  mirror: left and right swapped, for one in two; crop: a
    window of at least 7/8 of the sides, enlarged; shift: by up to 1/16 of the sides; turn: by multiples of 90 degrees;
    colour: brightness, contrast and saturation, slightly.  A model draws such images too, so choose those after which
    an image could still be one of the data: mirror for most photographs, not for digits or text.  (Only the adaptive
    augmentation of a GAN, adaptive_augment, does not leak.)"""
    start_from: UserPath | None = None
    """A run whose networks this one starts from, at step 0 and with new optimisers: the best that it evaluated, or else
    its last.  Arrays of other conditions, such as another number of classes, are initialised as usual.  Once this run
    has a checkpoint the other is not read again; the option stays the same, wherever the other run has gone."""
    resume: bool = True
    """Resume the run in --out if there is one; --no-resume moves it aside and starts over."""
    log_every: Count = 50
    """Steps per dispatch, and per line of metrics; Ctrl-C waits for up to two dispatches."""
    sample_every: Count = 1_000
    """Steps between sample grids."""
    checkpoint_every: Count = 2_500
    """Steps between checkpoints: the most that a kill can cost."""
    evaluate_every: Annotated[int, Bounds(least=0)] = 0
    """Steps between evaluations, whose scores go into the metrics; the best state is kept in best/.  0 for none."""
    evaluate_num: Annotated[int, Bounds(least=2)] = 5_000
    """Images drawn per evaluation, and training images to compare them with."""
    inception: UserPath | None = None
    """Weights of the Inception network for evaluations; without it, the features are those of the packaged
    classifiers: of MNIST for images of 28x28x1, else of CIFAR-10, for which images are resized to 32x32."""
    keep: Count = 2
    """Number of checkpoints to keep: the newest."""
    keep_every: Annotated[int, Bounds(least=0)] = 0
    """Also keep the checkpoints whose step is a multiple of this; 0 for none."""
    on_divergence: Literal["stop", "rollback"] = "stop"
    """If a loss or a parameter is not finite, the discriminator has won, or the generator has collapsed: stop with a
    report, or go back to an earlier checkpoint with other random numbers and half the learning rates, three times at
    most."""
    dtype: DType = FLOAT32
    """Type in which the networks compute: bfloat16 takes half the memory for features, and less time on GPUs and TPUs.
    Parameters, their averages, statistics, penalties and losses stay float32."""
    matmul_precision: Precision = "default"
    """Precision of float32 matrix products and convolutions in the training step: by default TPUs round their inputs to
    bfloat16 and GPUs to TF32; highest is float32.  Evaluations always use highest."""
    parallel: Literal["auto", "jit", "pmap", "fsdp"] = "auto"
    """How training uses all devices: jit shards the batch, fsdp also the parameters and moments, pmap runs one program
    per device; auto is jit."""
    distributed: bool = False
    """Train with several processes: under SLURM, Kubernetes or Open MPI, on a TPU pod, or with
    JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID set."""
    memory_gib: Positive = 4.0
    """GiB of memory for the images of the data set; a larger set is streamed from disk."""


def require_bounds(options: Any) -> None:
    """Refuses options, a dataclass, with a value outside the bounds of its type.

    Raises:
      InputError: naming the option, its value and what is expected.
    """
    for name, hint in get_type_hints(type(options), include_extras=True).items():
        value = getattr(options, name, None)
        parts = (hint, *get_args(hint))  # those of `Count | None` and of `tuple[Count, ...]`
        for bounds in [bounds for part in parts for bounds in getattr(part, "__metadata__", ())]:
            for one in value if isinstance(value, tuple) else (value,):
                if isinstance(bounds, Bounds) and isinstance(one, int | float) and not bounds.allow(one):
                    raise InputError(f"--{name.replace('_', '-')} {one}: expected {bounds}.")
