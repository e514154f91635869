"""The benchmarks compare like with like."""

import json
import subprocess
import sys

import pytest

from jaxgen import ImageSpec
from tests.programs import ROOT, float64, load_program

FOLDER = ROOT / "experiments" / "benchmarks"


@pytest.mark.long
def test_the_benchmark_of_an_accelerator_measures_each_part_once(tmp_path):
    """In small and on this machine: the first minute on an accelerator is not spent on a typing error."""
    command = sys.executable, FOLDER / "accelerator.py", "--small", "--out", tmp_path
    subprocess.run(command, check=True, timeout=1_800)
    record = json.loads((tmp_path / "accelerator.json").read_text())
    assert len(record["results"]) == 7
    assert record["results"]["bits"] == {"equal": {"three runs": True, "a resumed run": True}}
    assert record["results"]["agreement with the CPU"]["difference"] == {"similarity": 0.0, "features": 0.0}
    before = (tmp_path / "accelerator.md").read_text()
    subprocess.run(command, check=True, timeout=1_800)  # measures the quality again
    first = [line for line in before.splitlines() if "| quality |" not in line]
    assert [line for line in (tmp_path / "accelerator.md").read_text().splitlines() if line in first] == first


@pytest.mark.agreement
@pytest.mark.parametrize("on_stock", [False, True])
def test_the_textbook_step_is_the_same_in_pytorch(torch, monkeypatch, on_stock):
    monkeypatch.syspath_prepend(FOLDER)
    benchmark = load_program(FOLDER / "step_time.py")
    monkeypatch.setattr(benchmark.textbook, "WIDTH", 4)
    case = benchmark.Case(ImageSpec(28, 28, 1), batch=8)
    with float64():
        assert benchmark.difference(case, on_stock=on_stock) < benchmark.TOLERANCE
