"""What every run is told."""

import dataclasses
from pathlib import Path

from jaxgen.errors import InputError


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Options of every experiment."""

    out: Path | None = None
    """Run directory; runs/<experiment> if not given."""
    data: str = "mnist"
    """mnist, fashion_mnist, cifar10, a folder of images, or an .npz with `image` uint8 [N, H, W, C]."""
    data_dir: Path | None = None
    """Where the data set is: a folder of prepared TFDS data, or of the four original MNIST files."""
    offline: bool = False
    """Never download."""
    steps: int = 60_000
    """Training steps in all, those before a resume included."""
    max_minutes: float = 5.0
    """Stop after this long with everything saved; the same command goes on from there."""
    batch_size: int = 64
    """Images a step."""
    seed: int = 0
    """Seed of everything random."""
    resume: bool = True
    """Go on with the run in --out if there is one; --no-resume moves it aside and starts over."""
    sample_every: int = 1_000
    """Steps between sample grids."""
    checkpoint_every: int = 1_000
    """Steps between checkpoints."""


POSITIVE = ("steps", "max_minutes", "batch_size", "sample_every", "checkpoint_every")

FREE = frozenset(
    ("out", "data", "data_dir", "offline", "steps", "max_minutes", "resume", "sample_every", "checkpoint_every")
)
"""Fields that a resumed run may change, since no step depends on them.  (The data are known by their digest.)"""


def require_sensible(config: RunConfig) -> None:
    """Refuses numbers that no run can have, whatever the experiment.

    Raises:
      InputError: naming the option, its value and what is expected.

    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        option = "--" + field.name.replace("_", "-")
        if isinstance(value, float) and not abs(value) < float("inf"):
            raise InputError(f"{option} {value}: expected a finite number.")
        if field.name in POSITIVE and value <= 0:
            raise InputError(f"{option} {value}: expected more than 0.")
        if field.name == "seed" and not 0 <= value < 2**32:
            raise InputError(f"{option} {value}: expected a whole number from 0 to 2**32 - 1.")
