"""Paths as users type them: `~` where the shell leaves it, brackets, spaces, letters of all alphabets."""

import dataclasses
import re
import typing
from pathlib import Path

import pytest
import tyro

from jaxgen import cli
from jaxgen.io.errors import InputError
from jaxgen.io.files import expanded
from jaxgen.io.program import RefusedError, UserPath
from jaxgen.training import RunConfig, RunDirectory
from tests.programs import EXPERIMENTS, ROOT, load_program, run_here
from tests.training import toy_experiment

HOME = "/home/of-the-test"
TYPED = [
    ("~/x.png", f"{HOME}/x.png"),
    ("~", HOME),
    ("~root/x", str(Path("~root").expanduser() / "x")),
    ("x~/~y.png", "x~/~y.png"),
    ("runs/[red]x[/red]", "runs/[red]x[/red]"),
    ("with space/ä ✓", "with space/ä ✓"),
]


@dataclasses.dataclass(frozen=True)
class Options:
    """Paths of all kinds."""

    first: typing.Annotated[UserPath, tyro.conf.Positional]
    out: UserPath = Path("default")
    other: UserPath | None = None


@pytest.mark.parametrize(("typed", "expected"), TYPED)
def test_every_path_of_a_command_line_is_expanded(typed, expected, monkeypatch):
    monkeypatch.setenv("HOME", HOME)
    options = tyro.cli(Options, args=["first", f"--out={typed}", f"--other={typed}"])
    assert options == Options(Path("first"), Path(expected), Path(expected))
    assert str(expanded(typed)) == expected
    assert tyro.cli(Options, args=[typed]).first == Path(expected)


def test_an_empty_path_is_not_the_working_directory(monkeypatch, capsys):
    assert run_here(monkeypatch, lambda: tyro.cli(Options), "first", "--out=") == 2
    assert capsys.readouterr().err.startswith("error: A path is empty, as of an unset variable")


@pytest.mark.parametrize("url", ["gs://bucket/run", "s3://bucket/run", "gs:/bucket/run"])
def test_a_bucket_is_not_a_folder_of_its_name(url, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run_here(monkeypatch, toy_experiment.main, "--out", url) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {url.split(':')[0]}://bucket/run is a URL, and --out and all other paths are")
    assert error.endswith("or give a local folder and copy it afterwards.\n")
    assert error.count("\n") == 1
    with pytest.raises(InputError, match="is a URL"):
        RunDirectory(Path(url))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--out=~nobody-here/x", "--other=~nobody-here/x"])
def test_a_home_that_is_not_there_is_one_line(option, monkeypatch, capsys):
    with pytest.raises(RefusedError, match="~nobody-here/x: the user nobody-here has no home folder here"):
        tyro.cli(Options, args=["first", option])
    assert run_here(monkeypatch, lambda: tyro.cli(Options), "first", option) == 2
    expected = "error: ~nobody-here/x: the user nobody-here has no home folder here: give the whole path in place of "
    assert capsys.readouterr().err == f"{expected}~nobody-here.\n"


def paths_of(options):
    """The fields of a dataclass of options that are paths, with their types."""
    hints = typing.get_type_hints(options, include_extras=True)
    return {name: hint for name, hint in hints.items() if re.search(r"\bpathlib\.(_local\.)?Path\b", str(hint))}


PROGRAMS = [*EXPERIMENTS, *sorted((ROOT / "experiments").glob("[bc]*/*.py"))]
VERBS = [options for options, _ in cli.VERBS.values()]


@pytest.mark.parametrize("options", [*VERBS, RunConfig], ids=lambda options: options.__name__)
def test_every_path_of_a_verb_has_the_type_of_paths(options):
    assert paths_of(options)
    for name, hint in paths_of(options).items():
        assert "PrimitiveConstructorSpec" in str(hint), name


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_every_path_of_an_experiment_has_the_type_of_paths(path):
    for line in path.read_text().splitlines():
        assert not line.startswith(("    out: Path", "    data_dir: Path", "    data: Path", "    folder: Path")), line
        assert not (line.startswith("    ") and line.endswith((": Path", ": Path | None = None"))), line


BRACKETS = ["[red]", "[/]", "[bold]x[/bold]", "x [link=y]", "ünï ✓", "a%sb", "{x}"]


@pytest.mark.parametrize("name", BRACKETS)
def test_a_folder_of_any_name_is_said_as_it_is(name, tmp_path, monkeypatch, capsys):
    refused = tmp_path / name
    (refused / "mine").mkdir(parents=True)
    options = ("--data", refused, "--out", refused, "--steps", 1)
    assert run_here(monkeypatch, toy_experiment.main, *options) == 2
    assert str(refused) in capsys.readouterr().err


def test_a_run_in_a_folder_with_brackets(data, tmp_path, monkeypatch, capsys):
    out = tmp_path / "[red] run [/x]"
    assert run_here(monkeypatch, toy_experiment.main, "--data", data, "--out", out, "--steps", 1) == 0
    said = capsys.readouterr().out
    assert f"Training on cpu in {out} from step 0\nCompiling the training step\n" in said
    assert f"python -m jaxgen sample {out} --num" in said


def test_data_in_the_home_folder(data, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(data.parent))
    assert load_images("~/images.npz") == 64
    with pytest.raises(InputError, match="the user nobody-here has no home folder"):
        load_images("~nobody-here/images.npz")


def load_images(name):
    """The number of images that `--data` reads."""
    from jaxgen.data import load

    return load(name).size


def test_the_programs_of_the_table_can_be_loaded():
    assert load_program(EXPERIMENTS[0]).Config
