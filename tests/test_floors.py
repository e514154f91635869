"""Imports go down the floors only, and Flax stays inside `nets`."""

import ast
import importlib
import subprocess
from pathlib import Path

import pytest

import jaxgen

ROOT = Path(jaxgen.__file__).parent
FLOORS = [
    {"io"},
    {"core"},
    {"losses", "nets"},
    {"models", "data"},
    {"export"},
    {"evaluation"},
    {"training"},
    {"explore"},
    {"cli"},
]
ROOMS = sorted(set().union(*FLOORS))
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
FLOOR |= {"__init__": len(FLOORS), "__main__": len(FLOORS)}
FILES = sorted(ROOT.rglob("*.py"))


def room(path):
    """The top-level module or folder that a file is in."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path):
    """The full names of the modules that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    here = room(path)
    for name in imports(path):
        if name.split(".")[0] != "jaxgen":
            assert not name.startswith("flax") or here == "nets", f"{path} imports {name}"
            continue
        assert name != "jaxgen", f"{path} imports the whole of jaxgen"
        there = name.split(".")[1]
        if there != here:
            assert FLOOR[there] < FLOOR[here], f"{path} imports {name}"


def test_every_room_has_a_floor():
    assert {room(path) for path in FILES} == set(FLOOR)


@pytest.mark.parametrize("name", ROOMS)
def test_every_room_has_a_sentence(name):
    first_line = (importlib.import_module(f"jaxgen.{name}").__doc__ or "").split("\n")[0]
    sentence = first_line.split(".  ")[0].removesuffix(".")
    assert first_line.endswith(".")
    assert len(sentence.split()) >= 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_are_small(path):
    assert len(path.read_text().splitlines()) <= 300


def test_the_kernel_reads_in_one_sitting():
    lines = 0
    for name in ("types", "metrics", "objective", "update", "step"):
        tree = ast.parse((ROOT / "core" / f"{name}.py").read_text())
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                node.body = [
                    n for n in body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))
                ] or [ast.Pass()]
        lines += sum(bool(line.strip()) for line in ast.unparse(tree).split("\n"))
    assert lines < 250


def test_the_repository_holds_what_belongs_to_it_and_no_results():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT.parent, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no checkout")
    expected = {"pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"}
    expected |= {"jaxgen", "experiments", "tests", "notebooks"}
    visible = {name.split("/")[0] for name in listed.stdout.split("\0")} - {""}
    assert {name for name in visible if not name.startswith(".")} == expected
