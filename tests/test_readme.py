"""What the README names is there."""

import re

import pytest

from tests.programs import ROOT

README = (ROOT / "README.md").read_text()
PROGRAMS = sorted(set(re.findall(r"python ((?:experiments|notebooks)/\S+\.py)", README)))
LINKS = sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README)))


@pytest.mark.parametrize("path", PROGRAMS + LINKS)
def test_a_file_that_the_readme_names_is_there(path):
    assert (ROOT / path).is_file()


def test_the_readme_names_every_experiment_and_benchmark():
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "experiments").rglob("*.py")}
    assert there - set(PROGRAMS) <= {"experiments/benchmarks/textbook.py"}
