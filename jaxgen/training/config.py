"""What every run is told, and what its options may be."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_type_hints

from jaxgen.io.errors import InputError


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The values that a number may have; part of an option's type."""

    least: float = -float("inf")
    above: float = -float("inf")
    most: float = float("inf")

    def allow(self, value: float) -> bool:
        """Whether a value is finite and within."""
        return self.least <= value <= self.most and self.above < value < float("inf")

    def __str__(self) -> str:
        if self.most < float("inf"):
            return f"a number from {self.least:,} to {self.most:,}"
        return f"at least {self.least}" if self.least > -float("inf") else f"a finite number above {self.above}"


Count = Annotated[int, Bounds(least=1)]
Positive = Annotated[float, Bounds(above=0)]
Seed = Annotated[int, Bounds(least=0, most=2**32 - 1)]


FREE = frozenset(
    (
        *("out", "data", "data_dir", "offline", "steps", "max_minutes", "resume"),
        *("log_every", "sample_every", "checkpoint_every", "keep", "keep_every"),
        *("evaluate_every", "evaluate_num", "inception"),
        *("on_divergence", "parallel", "distributed"),
    )
)
"""Fields that a resumed run may change, since no step depends on them; a config's own are its `free`.

(The data are known by their digest.)
"""


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Options of every experiment."""

    free: ClassVar[frozenset[str]] = FREE

    out: Path | None = None
    """Run directory; runs/<experiment> if not given."""
    data: str = "mnist"
    """mnist, fashion_mnist, cifar10, a folder of images, or an .npz with `image` uint8 [N, H, W, C]."""
    data_dir: Path | None = None
    """Where the data set is: a folder of prepared TFDS data, or of the four original MNIST files."""
    offline: bool = False
    """Never download."""
    steps: Count = 150_000
    """Training steps in all, those before a resume included."""
    max_minutes: Positive = 5.0
    """Stop after this long with everything saved; the same command goes on from there."""
    batch_size: Count = 64
    """Images a step."""
    seed: Seed = 0
    """Seed of everything random."""
    resume: bool = True
    """Go on with the run in --out if there is one; --no-resume moves it aside and starts over."""
    log_every: Count = 50
    """Steps that run as one dispatch and make one line of metrics; Ctrl-C waits for up to two of these."""
    sample_every: Count = 1_000
    """Steps between sample grids."""
    checkpoint_every: Count = 2_500
    """Steps between checkpoints: as many are lost at most if the run is killed."""
    evaluate_every: Annotated[int, Bounds(least=0)] = 0
    """Steps between evaluations, which go into the metrics; the best state is kept in best/.  0 for none."""
    evaluate_num: Annotated[int, Bounds(least=2)] = 5_000
    """Images that are drawn for an evaluation, and training images that they are compared with."""
    inception: Path | None = None
    """Weights of the Inception network for evaluations; without it, images of 28x28x1 and of 32x32x3 are judged by the
    packaged classifiers of MNIST and CIFAR-10."""
    keep: Count = 2
    """Checkpoints that are kept, the newest."""
    keep_every: Annotated[int, Bounds(least=0)] = 0
    """Besides, keep those whose step is a multiple of this; 0 for none."""
    on_divergence: Literal["stop", "rollback"] = "stop"
    """If a number is not finite, the discriminator has won or all drawn images look alike: stop with a report, or go
    back to a sound checkpoint with other random numbers and half the learning rates, three times at most."""
    parallel: Literal["auto", "jit", "pmap", "fsdp"] = "auto"
    """Over all devices: jit splits the batch, fsdp the parameters and moments too, pmap runs a program a device; auto
    is jit."""
    distributed: bool = False
    """Join the other processes of this run: under SLURM, Kubernetes, Open MPI, on a TPU pod, or as
    JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID say."""
    memory_gib: Positive = 4.0
    """Images that take more than this are read from disk during training."""


def require_bounds(options: Any) -> None:
    """Refuses a dataclass with a value outside the bounds of its type.

    Raises:
      InputError: naming the option, its value and what is expected.
    """
    for name, hint in get_type_hints(type(options), include_extras=True).items():
        value = getattr(options, name, None)
        parts = (hint, *get_args(hint))  # those of `Count | None` and of `tuple[Count, ...]`
        for bounds in [bounds for part in parts for bounds in getattr(part, "__metadata__", ())]:
            for one in value if isinstance(value, tuple) else (value,):
                if isinstance(bounds, Bounds) and one is not None and not bounds.allow(one):
                    raise InputError(f"--{name.replace('_', '-')} {one}: expected {bounds}.")
