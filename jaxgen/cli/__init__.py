"""`python -m jaxgen`: what is done with a finished run."""

from collections.abc import Sequence

import tyro

from jaxgen.cli.describe import Describe, write_features
from jaxgen.cli.embed import Embed, embed
from jaxgen.cli.evaluate import Evaluate, evaluate
from jaxgen.cli.given import Invert, Saliency, look_at_given
from jaxgen.cli.restore import Restore, restore
from jaxgen.cli.sample import Sample, sample
from jaxgen.cli.steer import Directions, Interpolate, Mix, Truncate, steer
from jaxgen.cli.stylize import Stylize, stylize

__all__ = ["main"]

VERBS = {
    "sample": (Sample, sample),
    "evaluate": (Evaluate, evaluate),
    "interpolate": (Interpolate, steer),
    "truncate": (Truncate, steer),
    "mix": (Mix, steer),
    "directions": (Directions, steer),
    "invert": (Invert, look_at_given),
    "saliency": (Saliency, look_at_given),
    "restore": (Restore, restore),
    "stylize": (Stylize, stylize),
    "describe": (Describe, write_features),
    "embed": (Embed, embed),
}


def read(arguments: Sequence[str] | None = None) -> object:
    """What the command line asks for."""
    return tyro.extras.subcommand_cli_from_dict(
        {verb: options for verb, (options, _) in VERBS.items()},
        prog="python -m jaxgen",
        args=arguments,
        description="What is done with a finished run, and what it may be told.",
    )


def main() -> None:
    """Does what the command line says."""
    options = read()
    next(do for kind, do in VERBS.values() if type(options) is kind)(options)
