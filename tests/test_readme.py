"""What the README names is there."""

import re
import shlex

import pytest
import tyro

from jaxgen.cli import read
from jaxgen.training.config import require_bounds
from tests.programs import ROOT, load_program

README = (ROOT / "README.md").read_text()
PROGRAMS = sorted(set(re.findall(r"python ((?:experiments|notebooks)/\S+\.py)", README)))
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
LINES = [line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines()]
PARTS = [part.strip() for line in LINES for part in re.split(r"\s#", line)[0].split("&&")]
WHOLE = [part.rstrip('"') if part.count('"') % 2 else part for part in PARTS]
COMMANDS = sorted({part for part in WHOLE if re.match(r"python (experiments/|-m jaxgen )", part)})
LINKS = sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README) + re.findall(r'src="([^"]+)"', README)))
TITLES = re.findall("^#+ (.+)$", README, re.MULTILINE)
SECTIONS = {re.sub("[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in TITLES}


@pytest.mark.parametrize("path", PROGRAMS + LINKS)
def test_a_file_that_the_readme_names_is_there(path):
    assert (ROOT / path).is_file()


def test_the_readme_names_every_experiment_and_benchmark():
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "experiments").rglob("*.py")}
    assert there - set(PROGRAMS) <= {"experiments/benchmarks/textbook.py"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_is_understood(command, monkeypatch):
    words = [word for word in shlex.split(re.sub("[<>]", "", command))[1:] if word != "--help"]
    if words[0] == "-m":
        require_bounds(read(words[2:]))
        return
    if "benchmarks" in words[0]:
        if "torch" in (ROOT / words[0]).read_text():
            pytest.importorskip("torch", reason="PyTorch is not installed")
        monkeypatch.syspath_prepend(ROOT / "experiments" / "benchmarks")
    program = load_program(ROOT / words[0])
    config = next(getattr(program, name) for name in ("Config", "Options") if hasattr(program, name))
    require_bounds(tyro.cli(config, args=words[1:]))


def test_links_within_the_readme_lead_to_its_sections():
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= SECTIONS
