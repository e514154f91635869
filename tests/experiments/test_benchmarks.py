"""The benchmarks compare like with like."""

import pytest

from jaxgen import ImageSpec
from tests.programs import ROOT, float64, load_program

FOLDER = ROOT / "experiments" / "benchmarks"


@pytest.mark.agreement
@pytest.mark.parametrize("on_stock", [False, True])
def test_the_textbook_step_is_the_same_in_pytorch(torch, monkeypatch, on_stock):
    monkeypatch.syspath_prepend(FOLDER)
    benchmark = load_program(FOLDER / "step_time.py")
    monkeypatch.setattr(benchmark.textbook, "WIDTH", 4)
    case = benchmark.Case(ImageSpec(28, 28, 1), batch=8)
    with float64():
        assert benchmark.difference(case, on_stock=on_stock) < benchmark.TOLERANCE
