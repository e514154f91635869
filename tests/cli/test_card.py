"""`card`, as typed: a run as a folder to share."""

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from safetensors.numpy import load_file

from jaxgen import Aux, init_state, minimize
from jaxgen.cli import main as jaxgen
from jaxgen.cli import read
from jaxgen.data.image_file import read_image
from jaxgen.export import load_sampler, save_grid
from jaxgen.training.checkpoint import Checkpoints
from tests.explore.toy_run import write_run
from tests.programs import run_here

WEIGHTS = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def run(tmp_path):
    """A run with a checkpoint and an evaluation, whose record has paths of this machine."""
    run = write_run(tmp_path / "toy", data="/home/me/pictures", data_dir="/home/me/data", out="/home/me/runs")
    update = minimize(lambda networks, _: (networks["net"]["params"].sum(), Aux()), optax.sgd(0.1), wrt="net")
    state = init_state(update, {"net": {"params": jnp.asarray(WEIGHTS)}}, jax.random.key(0))
    Checkpoints(run / "checkpoints").save(state)
    (run / "evaluation.json").write_text(json.dumps({"measures": {"recall": {"value": 0.5, "standard_error": 0.125}}}))
    return run


def test_a_card_has_weights_functions_numbers_and_a_picture(run, tmp_path, monkeypatch):
    out = tmp_path / "card"
    assert run_here(monkeypatch, jaxgen, "card", run, "--out", out, "--license", "cc-by-4.0") == 0
    np.testing.assert_array_equal(load_file(out / "model.safetensors")["net.params"], WEIGHTS)
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: jaxgen\n")
    assert "\nlicense: cc-by-4.0\n" in card
    assert "| recall | 0.5 ± 0.12 |" in card
    sampler = load_sampler(run / "sampler")
    save_grid(tmp_path / "expected.png", sampler.draw(0, 64))
    np.testing.assert_array_equal(read_image(out / "samples.png"), read_image(tmp_path / "expected.png"))
    # The lines of the card draw, from the folder alone.
    monkeypatch.chdir(out)
    exec(re.search(r"```python\n(.*?)```", card, re.DOTALL)[1], {})
    save_grid(tmp_path / "expected.png", sampler.draw(0, 16))
    np.testing.assert_array_equal(read_image(out / "drawn.png"), read_image(tmp_path / "expected.png"))


def test_a_card_names_no_place_of_this_machine(run, tmp_path, monkeypatch):
    assert run_here(monkeypatch, jaxgen, "card", run, "--out", tmp_path / "card") == 0
    for name in ("README.md", "config.json"):
        text = (tmp_path / "card" / name).read_text()
        assert "/home" not in text
        assert str(tmp_path) not in text
    assert json.loads((tmp_path / "card" / "config.json").read_text())["config"]["data"] == "pictures"


def test_a_space_shows_its_own_page_by_what_is_in_the_folder(run, tmp_path, monkeypatch):
    testclient, server = pytest.importorskip("starlette.testclient"), pytest.importorskip("jaxgen.explore.server")
    out = tmp_path / "card"
    assert run_here(monkeypatch, jaxgen, "card", run, "--out", out, "--title", 'My "toy"', "--space") == 0
    assert (out / "README.md").read_text().startswith('---\ntitle: "My \\"toy\\""\nsdk: docker\napp_port: 7860\n')
    assert {"jax", "numpy", "starlette", "uvicorn"} <= {
        line.split("==")[0] for line in (out / "requirements.txt").read_text().split()
    }
    # The package in the folder is this one; the options in the Dockerfile are those of the verb.
    assert (out / "jaxgen" / "__main__.py").read_bytes() == (
        Path(server.__file__).parents[1] / "__main__.py"
    ).read_bytes()
    words = json.loads((out / "Dockerfile").read_text().rsplit("CMD ", 1)[1])
    assert read(words[3:]).public
    public = testclient.TestClient(server.make_app(out, None))
    (found,) = public.get("/api/runs").json()["runs"].values()
    assert (found["experiment"], found["step"], found["exports"]) == ("toy", 2_500, ["sampler", "controls"])
    assert public.post("/api/draw", json={"run": ".", "view": {"num": 2}}).status_code == 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--license", "My own!"), "--license My own!: expected a name of the Hub"),
        (("--out", "{tmp}/toy"), "toy exists: choose a new folder"),
        (("--out", "{tmp}/toy/config.json/card"), "cannot be written"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(run, tmp_path, monkeypatch, capsys, options, message):
    before = sorted(tmp_path.rglob("*"))
    options = [word.format(tmp=tmp_path) for word in options]
    out = () if "--out" in options else ("--out", tmp_path / "card")
    assert run_here(monkeypatch, jaxgen, "card", run, *out, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_checkpoint_is_refused_in_one_line(run, tmp_path, monkeypatch, capsys):
    for file in (run / "checkpoints").rglob("d/*"):
        file.write_bytes(b"")
    assert run_here(monkeypatch, jaxgen, "card", run, "--out", tmp_path / "card") == 2
    error = capsys.readouterr().err
    assert "damaged" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "card").exists()


def test_scalars_stay_scalars_and_a_title_and_options_stay_in_their_lines(tmp_path, monkeypatch):
    run = write_run(tmp_path / "toy", words="a|b\nc", places=["/home/me/x"])
    update = minimize(lambda networks, _: (networks["net"]["params"], Aux()), optax.sgd(0.1), wrt="net")
    Checkpoints(run / "checkpoints").save(init_state(update, {"net": {"params": jnp.float32(2)}}, jax.random.key(0)))
    assert run_here(monkeypatch, jaxgen, "card", run, "--out", tmp_path / "card", "--title", "A\n---\nb") == 0
    assert load_file(tmp_path / "card" / "model.safetensors")["net.params"].shape == ()
    card = (tmp_path / "card" / "README.md").read_text()
    assert "\n# A --- b\n" in card
    assert "\n| `--words` | a\\|b c |\n| `--places` | ['x'] |" in card


def test_a_run_that_has_not_ended_has_no_card(tmp_path, monkeypatch, capsys):
    run = write_run(tmp_path / "new", exported=False)
    assert run_here(monkeypatch, jaxgen, "card", run, "--out", tmp_path / "card") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "card").exists()
