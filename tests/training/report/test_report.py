"""Pictures, plots, and the run directory."""

import numpy as np
import pytest
from PIL import Image

from jaxgen import InputError
from jaxgen.export import save_archive, save_grid
from jaxgen.io.pictures import GAP, image_grid
from jaxgen.training import RunDirectory, plot_metrics
from jaxgen.training.plot import panels_of
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


def images(num, *shape):
    return np.random.default_rng(0).integers(0, 256, (num, *shape), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_holds_every_image_at_its_place(channels):
    some = images(5, 4, 6, channels)
    grid = image_grid(some, columns=2)
    assert grid.shape == (3 * (4 + GAP) + GAP, 2 * (6 + GAP) + GAP, channels)
    for place, image in enumerate(some):
        top, left = GAP + place // 2 * (4 + GAP), GAP + place % 2 * (6 + GAP)
        np.testing.assert_array_equal(grid[top : top + 4, left : left + 6], image)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_a_grid_is_written_as_png_and_small_images_enlarged(tmp_path, channels, mode):
    save_grid(tmp_path / "g.png", images(4, 28, 28, channels))
    with Image.open(tmp_path / "g.png") as grid:
        assert grid.format == "PNG"
        assert grid.mode == mode
        assert grid.size == (2 * (2 * (28 + GAP) + GAP),) * 2
    assert [path.name for path in tmp_path.iterdir()] == ["g.png"]


def test_an_archive_is_the_same_bytes_for_the_same_images(tmp_path):
    for name in ("a.npz", "b.npz"):
        save_archive(tmp_path / name, images(3, 4, 4, 1))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["arr_0"], images(3, 4, 4, 1))


def test_a_plot_is_a_picture_even_of_metrics_that_come_and_go(tmp_path):
    rows = [{"step": n, "d/loss": 1.0 / (n + 1), **({"d/r1": 2.0} if n % 2 else {}), "time/s": n} for n in range(4)]
    for name, plotted in [("some", rows), ("none", [])]:
        plot_metrics(tmp_path / f"{name}.png", plotted)
        with Image.open(tmp_path / f"{name}.png") as plot:
            assert plot.format == "PNG"


def test_every_metric_has_its_place_in_the_plot_and_the_losses_are_first():
    rows = [
        {"step": 1, "d/r1": 0.0, "time/seconds": 3.0},
        {"step": 2, "d/loss": 1.0, "d/a/real_logit": 0.0, "e/fake_logit": 0.0},
    ]
    panels = [("loss", ["d/loss"]), ("term", ["d/r1"]), ("logit", ["d/a/real_logit", "e/fake_logit"])]
    assert list(panels_of(rows).items()) == panels
    assert panels_of([{"step": 1, "loss": 0.0, "kl": 0.0}]) == {"loss": ["loss"], "term": ["kl"]}


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
        with pytest.raises(InputError, match=r"holds no run|is no run's config"):
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


def test_rewinding_drops_what_comes_after_and_what_a_kill_cut_short(tmp_path):
    directory = RunDirectory(tmp_path)
    for step in (50, 100, 150):
        directory.log({"step": step})
    with directory.metrics.open("a") as file:
        file.write('{"step": 2')
    directory.rewind(100)
    directory.log({"step": 150})
    assert [row["step"] for row in directory.rows()] == [50, 100, 150]
