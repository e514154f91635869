"""`python -m jaxgen`: what can be done with a finished run, and with images and texts for one."""

from collections.abc import Sequence

import tyro

from jaxgen.cli.card import Card, write_card
from jaxgen.cli.describe import Describe, write_features
from jaxgen.cli.directions import Directions, draw_directions
from jaxgen.cli.embed import Embed, embed
from jaxgen.cli.evaluate import Evaluate, evaluate_images
from jaxgen.cli.explore import Explore, explore
from jaxgen.cli.film import Film, draw_film
from jaxgen.cli.inspect import Inspect, inspect
from jaxgen.cli.interpolate import Interpolate, draw_interpolations
from jaxgen.cli.invert import Invert, invert
from jaxgen.cli.mix import Mix, draw_mixtures
from jaxgen.cli.pack import Pack, pack_images
from jaxgen.cli.panorama import Panorama, write_panorama
from jaxgen.cli.restore import Restore, restore
from jaxgen.cli.saliency import Saliency, draw_saliency
from jaxgen.cli.sample import Sample, sample
from jaxgen.cli.search import Search, search
from jaxgen.cli.stylize import Stylize, stylize
from jaxgen.cli.tensorboard import TensorBoard, write_events
from jaxgen.cli.truncate import Truncate, draw_truncations

__all__ = ["main"]

VERBS = {
    "explore": (Explore, explore),
    "inspect": (Inspect, inspect),
    "sample": (Sample, sample),
    "evaluate": (Evaluate, evaluate_images),
    "interpolate": (Interpolate, draw_interpolations),
    "film": (Film, draw_film),
    "truncate": (Truncate, draw_truncations),
    "mix": (Mix, draw_mixtures),
    "directions": (Directions, draw_directions),
    "invert": (Invert, invert),
    "search": (Search, search),
    "saliency": (Saliency, draw_saliency),
    "restore": (Restore, restore),
    "panorama": (Panorama, write_panorama),
    "stylize": (Stylize, stylize),
    "card": (Card, write_card),
    "tensorboard": (TensorBoard, write_events),
    "pack": (Pack, pack_images),
    "describe": (Describe, write_features),
    "embed": (Embed, embed),
}


def read(arguments: Sequence[str] | None = None) -> object:
    """The options of the verb on the command line."""
    return tyro.extras.subcommand_cli_from_dict(
        {verb: options for verb, (options, _) in VERBS.items()},
        prog="python -m jaxgen",
        args=arguments,
        description="Inspect images; draw from a finished run, evaluate it, search and explore it; prepare features.",
    )


def main() -> None:
    """Carries out the verb on the command line."""
    options = read()
    next(do for kind, do in VERBS.values() if type(options) is kind)(options)
