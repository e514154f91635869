"""`python -m jaxgen`: what is done with a finished run."""

import tyro

from jaxgen.cli.evaluate import Evaluate, evaluate
from jaxgen.cli.sample import Sample, sample

__all__ = ["main"]


def main() -> None:
    """Does what the command line says."""
    options = tyro.extras.subcommand_cli_from_dict(
        {"sample": Sample, "evaluate": Evaluate},
        prog="python -m jaxgen",
        description="What is done with a finished run.",
    )
    sample(options) if isinstance(options, Sample) else evaluate(options)
