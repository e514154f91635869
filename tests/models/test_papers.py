"""The page's table of the papers' equations against the files that it names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "jaxgen/models/diffusion"
PAPERS = {
    "EDM": r"Karras et al\. \(2022\)",
    "flow matching": r"Lipman\s+et al\.\s+\(2023\)",
    "rectified flow": r"Liu\s+et al\.\s+\(2022\)",
    "MeanFlow": r"Geng et al\. \(2025\)",
    "DDIM": r"2010\.02502",
    "VDM": r"Kingma et al\. \(2021\)",
    "autoguidance": r"Karras et al\. \(2024\)",
    "DDNM": r"Wang et al\. \(2023\)",
}


def rows() -> list[tuple[str, str, str, str]]:
    """The paper, the cell of the equation, the function and the file of each row."""
    paper, found = "", []
    for line in (ROOT / "experiments/README.md").read_text().splitlines():
        match = re.fullmatch(
            r"\| (.*?) ?\| (.*) \| `(\w+)` in \[(\w+\.py)\]\(\.\./jaxgen/models/diffusion/\4\) \|", line
        )
        if match:
            name, equation, function, file = match.groups()
            paper = name.split(",")[0] or paper
            found.append((paper, equation, function, file))
    return found


def labels(cell: str) -> list[str]:
    """The numbers of equations, algorithms and tables in a cell, as the code cites them."""
    return [*re.findall(r"\(\d+\)", cell), *re.findall(r"(?:algorithm|table) \d+", cell)]


def test_the_table_has_these_papers():
    assert {paper for paper, *_ in rows()} == set(PAPERS)
    assert all(labels(equation) for _, equation, *_ in rows())


@pytest.mark.parametrize(("paper", "equation", "function", "file"), rows())
def test_each_equation_is_cited_under_its_number_in_the_file_that_defines_the_function(paper, equation, function, file):
    text = (FOLDER / file).read_text()
    assert re.search(rf"^(def {function}\(|{function} = )", text, re.MULTILINE)
    assert re.search(PAPERS[paper], text)
    for label in labels(equation):
        assert label in text, f"{file} does not cite {label}"


@pytest.mark.parametrize("paper", PAPERS)
def test_no_numbered_equation_of_these_papers_is_cited_in_two_files(paper):
    cited = [
        (number, file.name)
        for file in FOLDER.glob("*.py")
        for match in re.finditer(PAPERS[paper] + r"[^;]{0,80}?,\s+equation\s+\((\d+)\)", file.read_text())
        for number in match.groups()
    ]
    assert len({number for number, _ in cited}) == len(cited), cited
