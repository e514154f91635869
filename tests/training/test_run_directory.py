"""The run directory, and which runs it resumes."""

import pytest

from jaxgen import InputError
from jaxgen.training import RunDirectory
from jaxgen.training.run_directory import FORMAT, require_same_run

RECORD = {
    "format": FORMAT,
    "experiment": "e",
    "config": {"width": 8, "steps": 10},
    "data": {"source": "s", "digest": "d"},
    "recipe": "r",
    "sessions": [{"versions": {"jax": "1"}}],
}
FREE = frozenset(("steps",))


def test_a_new_directory_is_made_and_found_again(tmp_path):
    directory = RunDirectory(tmp_path / "new" / "run")
    assert directory.earlier() is None
    directory.open()
    directory.write(RECORD)
    assert directory.earlier() == RECORD
    directory.close()


def test_one_process_at_a_time_has_the_directory(tmp_path):
    first, second = RunDirectory(tmp_path), RunDirectory(tmp_path)
    first.open()
    with pytest.raises(InputError, match="is being written by another process"):
        second.open()
    first.close()
    second.open()
    second.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"experiment": "f"}, "holds a run of e:"),
        ({"config": {"width": 9, "steps": 10}}, "with width = 8, not 9"),
        ({"config": {"width": 8, "steps": 10, "depth": 1}}, "with depth = None, not 1"),
        ({"data": {"source": "t", "digest": "x"}}, r"on other data \(s\)"),
        ({"recipe": "x"}, "of another recipe"),
    ],
)
def test_another_run_is_refused(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        require_same_run(tmp_path, RECORD, {**RECORD, **change}, FREE)


def test_a_run_of_another_format_is_refused(tmp_path):
    first = {name: value for name, value in RECORD.items() if name != "format"}  # format 1 had no such entry
    for earlier, number in ((first, 1), ({**RECORD, "format": FORMAT + 1}, FORMAT + 1)):
        with pytest.raises(InputError, match=f"holds a run of format {number}; this jaxgen resumes format {FORMAT}"):
            require_same_run(tmp_path, earlier, RECORD, FREE)


def test_the_same_run_may_go_on_for_longer_and_under_other_versions(tmp_path):
    require_same_run(tmp_path, RECORD, {**RECORD, "config": {"width": 8, "steps": 20}}, FREE)
    later = {**RECORD, "recipe": "traced otherwise", "sessions": [{"versions": {"jax": "2"}}]}
    require_same_run(tmp_path, RECORD, later, FREE)


@pytest.mark.parametrize("name", ["thesis.txt", "config.json"])
def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path, name):
    (tmp_path / name).write_text('{"model_type": "precious"}')
    for refused in (RunDirectory(tmp_path).earlier, RunDirectory(tmp_path).set_aside):
        with pytest.raises(InputError, match=r"holds no run|is not a run's config"):
            refused()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_place_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--out .* cannot be written"):
        RunDirectory(tmp_path / "file" / "run").open()


def test_starting_over_moves_the_earlier_run_aside(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    assert directory.set_aside() is None
    for number in (1, 2):
        directory.open()
        directory.write(RECORD)
        directory.log({"step": number})
        directory.close()
        assert directory.set_aside() == tmp_path / f"run.{number}"
        assert RunDirectory(tmp_path / f"run.{number}").rows() == [{"step": number}]
    assert not directory.path.exists()


def test_rewinding_deletes_the_grids_after_a_step(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.open()
    for step in (50, 100, 12_345_678):
        directory.grid(step).write_bytes(b"")
    directory.rewind(100)
    assert directory.grids() == [directory.grid(50), directory.grid(100)]
    directory.close()


def test_rewinding_drops_what_comes_after_and_what_a_kill_cut_short(tmp_path):
    directory = RunDirectory(tmp_path)
    for step in (50, 100, 150):
        directory.log({"step": step})
    with directory.metrics.open("a") as file:
        file.write('{"step": 2')
    directory.rewind(100)
    directory.log({"step": 150})
    assert [row["step"] for row in directory.rows()] == [50, 100, 150]
