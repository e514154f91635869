"""What makes a folder with a run a Space of the Hugging Face Hub, which shows the page of `explore`.

A Space of the kind `docker` builds the image of its Dockerfile and shows what answers at `app_port`:
https://huggingface.co/docs/hub/spaces-sdks-docker.
"""

import importlib.metadata
import re
import shutil
import sys
from pathlib import Path

import jaxgen.explore
from jaxgen.io.files import write_whole

PORT = 7860

SPACE_HEAD = f"title: {{title}}\nsdk: docker\napp_port: {PORT}"
"""The beginning of the README's metadata."""

DOCKERFILE = """FROM python:{python}-slim
RUN useradd --create-home --uid 1000 user
WORKDIR /home/user/run
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY --chown=user . .
USER user
CMD ["python", "-m", "jaxgen", "explore", ".", "--public", "--host", "0.0.0.0", "--port", "{port}", "--no-open"]
"""


def add_page(folder: Path) -> None:
    """Writes a Dockerfile, the requirements at the versions of this environment, and a copy of this package."""
    package = Path(jaxgen.explore.__file__).parents[1]
    shutil.copytree(package, folder / "jaxgen", ignore=shutil.ignore_patterns("__pycache__"))
    write_whole(folder / "requirements.txt", "".join(f"{pin}\n" for pin in requirements()))
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    write_whole(folder / "Dockerfile", DOCKERFILE.format(python=python, port=PORT))


def requirements() -> list[str]:
    """The packages that jaxgen and its page need, pinned to the versions of this environment."""
    pins = []
    for requirement in importlib.metadata.requires("jaxgen") or []:
        name, _, marker = requirement.partition(";")
        if "extra" in marker and "explore" not in marker:
            continue
        name = re.split(r"[<>=!~\[ ]", name.strip())[0]
        try:
            pins.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:  # a marker left it out here
            pins.append(requirement.partition(";")[0].strip())
    return sorted(set(pins))
