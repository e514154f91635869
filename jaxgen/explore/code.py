"""The command line, or the lines of Python, that draw what the page shows."""

import shlex
from pathlib import Path

from jaxgen.explore.views import FILMS, SOLVING, View


def code_of(view: View, run: Path) -> str:
    """A command where there is a verb for the view, else Python."""
    if view.kind == "wall" and view.truncation == 1 and not view.rounds:
        return _sample(view, run)
    if view.kind == "stylised":
        words = ["--content", view.picture, "--style", view.style, "--strength", str(view.strength)]
        return shlex.join(["python", "-m", "jaxgen", "stylize", str(run), *words, "--out", "stylized.png"])
    return _python(view, run)


def _sample(view: View, run: Path) -> str:
    words = ["python", "-m", "jaxgen", "sample", str(run), "--seed", str(view.seed), "--num", str(view.num)]
    for name in ("label", "text", *SOLVING):
        value = getattr(view, name)
        if value not in ("", None):
            words += [f"--{name}", str(value)]
    return shlex.join([*words, "--out", "samples.png"])


def _python(view: View, run: Path) -> str:
    shown = ", ".join(f"{name}={value!r}" for name, value in vars(view).items() if value != getattr(View, name))
    ending = "gif" if view.kind in FILMS else "png"
    return "\n".join(
        [
            "from pathlib import Path",
            "from jaxgen.explore import Drawer, View, save_view",
            "",
            f"drawer = Drawer(Path({str(run)!r}))",
            f"save_view('view.{ending}', drawer, View({shown}))",
        ]
    )
