"""What the pages name is there, and the commands on them are understood."""

import ast
import builtins
import re
import shlex
from importlib.util import find_spec

import pytest
import tyro

import jaxgen
from jaxgen import data, evaluation, explore, export, losses, models, nets, training
from jaxgen.cli import read
from jaxgen.models import diffusion
from jaxgen.training.config import require_bounds
from tests.programs import ROOT, load_program

PAGES = {
    name: (ROOT / name).read_text()
    for name in (
        "README.md",
        "experiments/README.md",
        "experiments/benchmarks/README.md",
        "jaxgen/training/README.md",
        "jaxgen/evaluation/README.md",
        "jaxgen/explore/README.md",
        "CONTRIBUTING.md",
    )
}
README, ALL = PAGES["README.md"], "\n".join(PAGES.values())


def blocks(language, text=ALL):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


PROSE = {name: re.sub(r"```.*?```", "", text, flags=re.DOTALL) for name, text in PAGES.items()}
PROGRAMS = sorted(set(re.findall(r"python ((?:experiments|notebooks)/\S+\.py)", ALL)))
LINES = [line for block in blocks("bash") for line in block.replace("\\\n", " ").splitlines()]
PARTS = [part.strip() for line in LINES for part in re.split(r"\s#", line)[0].split("&&")]
WHOLE = [part.rstrip('"') if part.count('"') % 2 else part for part in PARTS]
COMMANDS = sorted({part for part in WHOLE if re.match(r"python (experiments/|-m jaxgen )", part)})
LINKS = sorted(
    (page, link)
    for page, text in PROSE.items()
    for link in set(re.findall(r"\]\((?!https?:)([^)]+)\)", text) + re.findall(r'src="([^"]+)"', text))
)
PACKAGES = (jaxgen, data, evaluation, explore, export, losses, models, diffusion, nets, training)
PUBLIC = {name for package in PACKAGES for name in package.__all__}


def sections(path):
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall("^#+ (.+)$", re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub("[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_front_page_is_short():
    assert len(README.splitlines()) <= 250


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_link_leads_to_a_file_and_to_a_section_of_it(page, link):
    name, _, anchor = link.partition("#")
    path = (ROOT / page).parent / name if name else ROOT / page
    assert path.is_file()
    assert not anchor or anchor in sections(path)


@pytest.mark.parametrize("path", PROGRAMS)
def test_a_program_that_a_page_names_is_there(path):
    assert (ROOT / path).is_file()


def test_the_pages_name_every_experiment_and_benchmark():
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "experiments").rglob("*.py")}
    parts = {f"experiments/benchmarks/{name}.py" for name in ("textbook", "timing", "compiler", "hlo", "lowering")}
    assert there - set(PROGRAMS) <= parts


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_on_a_page_is_understood(command, monkeypatch):
    words = [word for word in shlex.split(re.sub("[<>]", "", command))[1:] if word != "--help"]
    if words[0] == "-m":
        require_bounds(read(words[2:]))
        return
    if "benchmarks" in words[0]:
        if "torch" in (ROOT / words[0]).read_text() and find_spec("torch") is None:
            pytest.skip("PyTorch is not installed")
        monkeypatch.syspath_prepend(ROOT / "experiments" / "benchmarks")
    program = load_program(ROOT / words[0])
    config = next(getattr(program, name) for name in ("Config", "Options") if hasattr(program, name))
    require_bounds(tyro.cli(config, args=words[1:]))


@pytest.mark.parametrize("page", PAGES)
def test_what_python_on_a_page_imports_and_calls_is_public(page):
    for block in blocks("python", PAGES[page]):
        nodes = list(ast.walk(ast.parse(block)))
        imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
        for node in imports:
            assert {name.name for name in node.names} <= PUBLIC or not node.module.startswith("jaxgen")
        known = {name.name for node in imports for name in node.names} | PUBLIC | set(dir(builtins))
        known |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        known |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        calls = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        assert calls <= known


def test_the_authors_kit_is_in_models():
    kit = README.split("### The author's kit")[1].split("\n#")[0]
    names = {name for row in re.findall(r"^\| (`.+?) \|", kit, re.MULTILINE) for name in re.findall(r"`(\w+)\(", row)}
    assert names
    assert names <= set(models.__all__)
