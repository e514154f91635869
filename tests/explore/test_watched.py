"""What run directories tell while they are written."""

import io
import json
import shutil
import time
from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pytest

from jaxgen.explore.watched import MOST_POINTS, Curves, describe, find_runs
from tests.explore.toy_run import ROWS, write_run


def test_runs_are_found_by_their_paths_and_other_folders_are_none(tmp_path):
    write_run(tmp_path / "a", exported=False)
    write_run(tmp_path / "study" / "b", exported=False)
    write_run(tmp_path / ".hidden", exported=False)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    assert list(find_runs(tmp_path)) == ["a", "study/b"]
    assert list(find_runs(tmp_path / "a")) == ["."]


def test_a_run_is_described_from_its_files(tmp_path):
    run = write_run(tmp_path / "a")
    (run / "evaluation.json").write_text(
        json.dumps({"measures": {"recall": {"value": 0.5, "standard_error": 0.1}}, "images": 10})
    )
    (run / "divergence_1").mkdir()
    (run / "divergence_1" / "report.md").write_text("# It collapsed\n\nNoticed at step 7.\n\nMore.\n")
    described = describe(run)
    assert (described["step"], described["steps"], described["grids"]) == (2_500, 5_000, [1_000, 2_000])
    assert described["is_training"]
    assert described["measures"] == {"recall": {"value": 0.5, "error": 0.1}}
    assert described["signs"] == ["It collapsed. Noticed at step 7."]
    assert described["exports"] == ["sampler", "controls"]


def test_long_curves_are_means_of_stretches(tmp_path):
    run = write_run(tmp_path / "a", exported=False)
    read = Curves(run / "metrics.jsonl").read()
    assert len(read["step"]) == MOST_POINTS
    assert read["step"][-1] == 2_500
    starts = [number * len(ROWS) // MOST_POINTS for number in range(1, MOST_POINTS)]
    parts = np.split([row["generator/loss"] for row in ROWS], starts)
    np.testing.assert_allclose(read["curves"]["generator/loss"], [part.mean() for part in parts], rtol=1e-5)


def test_curves_go_on_where_they_were_and_begin_again_if_rows_were_taken_back(tmp_path):
    metrics = tmp_path / "metrics.jsonl"
    rows = [{"step": step, "loss": step / 2} for step in (1, 2, 3)]
    lines = [json.dumps(row) + "\n" for row in rows]
    curves = Curves(metrics)
    assert curves.read() == {"step": [], "curves": {}}
    metrics.write_text(lines[0] + lines[1][:8])  # a line that is being written
    assert curves.read() == {"step": [1], "curves": {"loss": [0.5]}}
    metrics.write_text("".join(lines))
    assert curves.read() == {"step": [1, 2, 3], "curves": {"loss": [0.5, 1.0, 1.5]}}
    metrics.write_text(lines[0])
    assert curves.read()["step"] == [1]
    metrics.write_text(lines[0] + "{broken\n" + '{"step": 2, "loss": null}\n')
    assert curves.read() == {"step": [1, 2], "curves": {"loss": [0.5, None]}}


def test_what_is_not_a_finite_number_is_missing_from_the_curves(tmp_path):
    odd = ["NaN", "Infinity", "1e999", "1" + "0" * 400, '"<script>"', "{}", "[1]", "true", "1e308"]
    lines = [f'{{"step": {step}, "loss": {value}}}' for step, value in enumerate([*odd, "2.5"])]
    no_rows = ['{"step": true}', '{"step": null}', f'{{"step": {10**400}}}', "[" * 100_000, "7"]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*no_rows, *lines, ""]))
    read = Curves(tmp_path / "metrics.jsonl").read()
    assert read == {"step": list(range(len(lines))), "curves": {"loss": [None] * len(odd) + [2.5]}}


def test_a_file_that_was_written_anew_is_read_anew_though_it_is_longer(tmp_path):
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text('{"step": 7, "loss": 1.0}\n')
    curves = Curves(metrics)
    assert curves.read()["step"] == [7]
    (tmp_path / "new").write_text('{"step": 1, "loss": 1.0}\n{"step": 2, "loss": 1.0}\n')
    shutil.move(tmp_path / "new", metrics)
    assert curves.read()["step"] == [1, 2]


def test_two_readers_at_once_read_no_row_twice(tmp_path, monkeypatch):
    class Slow(io.BytesIO):
        def read(self, *size):
            time.sleep(0.02)
            return super().read(*size)

    run = write_run(tmp_path / "a", exported=False)
    content = (run / "metrics.jsonl").read_bytes()
    monkeypatch.setattr(Path, "open", lambda *_: Slow(content))
    curves, start = Curves(run / "metrics.jsonl"), Barrier(8)
    readers = [Thread(target=lambda: (start.wait(), curves.read())) for _ in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(curves.rows) == len(ROWS)


def test_a_folder_that_cannot_be_read_hides_no_run(tmp_path, monkeypatch):
    write_run(tmp_path / "a", exported=False)
    (tmp_path / "locked").mkdir()
    real = Path.iterdir

    def iterdir(folder):
        if folder.name == "locked":
            raise PermissionError
        return real(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert list(find_runs(tmp_path)) == ["a"]


def test_a_config_of_another_program_is_no_run(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="another program"):
        describe(tmp_path)
