"""The benchmarks compare like with like."""

import json
import subprocess
import sys

import numpy as np
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


def test_the_best_of_n_images_of_a_caption_is_measured_by_another_network(monkeypatch):
    """The chooser's best image of a caption is the fourth; the other network finds the caption in that one alone."""
    monkeypatch.syspath_prepend(FOLDER)
    accuracies = load_program(FOLDER / "search_words.py").accuracies
    texts, wrong = np.eye(12, dtype=np.float32), np.roll(np.eye(12, dtype=np.float32), 1, axis=0)
    measured_by = np.stack([wrong, wrong, wrong, texts]), texts
    chosen_by = np.stack([0.2 * texts, 0.3 * texts, 0.1 * texts, texts]), texts
    found = accuracies(chosen_by, measured_by, [1, 2, 4])
    assert [accuracy.value for accuracy in found] == [0.0, 0.0, 1.0]


def test_futures_are_drawn_from_the_exact_posterior(monkeypatch):
    """Of a digit that is seen twice, the share of futures with each next corner is that of all clips that show it."""
    program = load_program(FOLDER / "predictable.py")
    monkeypatch.setattr(program, "DRAWN", 2**12)
    rng = np.random.default_rng(0)
    start, angle = rng.uniform(0, 1, (2**20, 1, 2)), rng.uniform(0, 2 * np.pi, (2**20, 1))
    velocity = program.STEP * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    every = (program.ROOM * program.trajectories(start, velocity, 11)[:, 8:, 0]).astype(int)
    corners = np.array([[1, 5], [0, 6]])  # at a wall, from which it bounces or along which it goes
    fits = every[(every[:, :2] == corners).all(axis=(1, 2)), 2]
    drawn = np.stack([program.draw_future(corners, rng)[0] for _ in range(300)])
    for corner in np.unique(fits, axis=0):
        expected, share = ((places == corner).all(axis=1).mean() for places in (fits, drawn))
        error = np.sqrt(expected * (1 - expected) * (1 / len(drawn) + 1 / len(fits)))
        assert abs(share - expected) < 4.5 * error


@pytest.mark.agreement
@pytest.mark.parametrize("on_stock", [False, True])
def test_the_textbook_step_is_the_same_in_pytorch(torch, monkeypatch, on_stock):
    monkeypatch.syspath_prepend(FOLDER)
    benchmark = load_program(FOLDER / "step_time.py")
    monkeypatch.setattr(benchmark.textbook, "WIDTH", 4)
    case = benchmark.Case(ImageSpec(28, 28, 1), batch=8)
    with float64():
        assert benchmark.difference(case, on_stock=on_stock) < benchmark.TOLERANCE
