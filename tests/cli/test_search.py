"""`search`, as typed: each method on a run that can be computed by hand, and what cannot be searched for."""

import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen import ImageSpec, to_float
from jaxgen.cli import main
from jaxgen.core.controls import Controls
from jaxgen.core.sampler import Sampler, image_keys
from jaxgen.export import ExportInfo, export_controls, export_denoiser, export_sampler, load_controls, load_sampler
from jaxgen.io.pictures import save_image
from jaxgen.models import labels
from jaxgen.models.diffusion import added_noise, linear
from tests.explore.toy_run import write_run
from tests.models.exact_diffusion import exact_denoiser, exact_model
from tests.programs import loaded, run_here

OWN = """
import jax.numpy as jnp

calls = 0

def bright(images):
    return images.mean((1, 2, 3))

def tires(images):
    global calls
    calls += 1
    if calls > 2:
        raise RuntimeError("tired")
    return bright(images)

def first_is_nan(images):
    return bright(images).at[0].set(jnp.nan)

def leaves(images):
    raise SystemExit(3)

def nothing(images):
    return bright(images) * jnp.nan
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A generator; a diffusion model of pixels around 0.3; and one that is conditioned on labels."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "gan")
    save_image(folder / "picture.png", load_sampler(folder / "gan" / "sampler").draw(9, 1)[0])
    spec, schedule = ImageSpec(4, 4, 1), linear()
    model = exact_model(lambda x, t, *condition: exact_denoiser(schedule)(x, t), spec, schedule)
    for name, conditions in {"flow": {}, "labelled": labels(3)}.items():
        info, one = ExportInfo(spec, conditions), model._replace(conditions=conditions)
        export_sampler(Sampler(lambda networks, keys, fields: _noise(keys), conditions))(
            folder / name / "sampler", {}, info
        )
        export_denoiser(added_noise(one))(folder / name / "denoiser", {}, info)
    controls = Controls(
        draw=lambda seed, index: _noise(image_keys(seed, index)).reshape(-1, 16),
        codes=lambda latents, _: latents[:, None],
        generate=lambda codes, latents, fields: codes.reshape(-1, *spec) + 0 * fields["label"][:, None, None, None],
        first_layer=lambda codes: codes[:, 0],
    )
    export_controls(lambda networks: controls)(folder / "labelled" / "controls", {}, ExportInfo(spec, labels(3)))
    return folder


def _noise(keys):
    return jax.vmap(lambda key: jax.random.normal(key, (4, 4, 1)))(keys)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("mine", None)


def searched(monkeypatch, run, *options):
    assert run_here(monkeypatch, main, "search", run, *options) == 0
    return loaded("found.npz")


def test_best_of_n_names_images_that_sample_draws_again(runs, monkeypatch, capsys):
    found = searched(monkeypatch, runs / "gan", "--for", f"pixels:{runs / 'picture.png'}", "--num", 3, "--seed", 4)
    images = load_sampler(runs / "gan" / "sampler").draw(4, 64)
    target = np.asarray(Image.open(runs / "picture.png"))
    errors = np.square(images / 127.5 - target / 127.5).mean((1, 2, 3))
    np.testing.assert_array_equal(found["number"], np.argsort(errors, kind="stable")[:3])
    np.testing.assert_allclose(found["rewards"], -np.sort(errors)[:3], rtol=1e-4)
    line = capsys.readouterr().out
    assert f"Best reward {found['rewards'][0]:.4g} of 64 images; image 0 of seed 4 has {-errors[0]:.4g}" in line
    words = re.search(r"the last of python -m jaxgen (sample .*)", line)[1].split()
    assert run_here(monkeypatch, main, *words) == 0
    np.testing.assert_array_equal(loaded("again.npz")["arr_0"][-1], found["images"][0])
    for name in ("found.png", "found_curve.png"):
        with Image.open(name) as picture:
            picture.verify()


def test_several_goals_are_a_weighted_sum(runs, monkeypatch):
    goals = ("--for", "palette:red,#0000ff", "mine:bright", "--for", "mine:bright", "--weights", 2, 1, -3)
    found = searched(monkeypatch, runs / "gan", *goals, "--budget", 5, "--num", 1)
    image = to_float(jnp.asarray(found["images"]))
    palette = jnp.array([[1.0, -1, -1], [-1, -1, 1]])
    apart = jnp.square(image.reshape(-1, 1, 3) - palette).mean(-1)
    expected = -2 * (apart.min(1).mean() + apart.min(0).mean()) - 2 * image.mean()
    np.testing.assert_allclose(found["rewards"][0], expected, rtol=1e-4)


@pytest.mark.parametrize("method", ["evolution", "gradient"])
def test_what_latents_and_codes_found_is_drawn_again_by_the_controls(runs, monkeypatch, method):
    if method == "evolution":
        pytest.importorskip("cmaes")
    best = searched(monkeypatch, runs / "gan", "--for", "mine:bright", "--budget", 200)
    found = searched(monkeypatch, runs / "gan", "--for", "mine:bright", "--budget", 200, "--method", method)
    assert found["rewards"][0] > best["rewards"][0]
    controls = load_controls(runs / "gan" / "controls").controls
    again = np.clip(np.asarray(controls.generate(found["codes"], found["latents"], {})), -1, 1)
    np.testing.assert_allclose(again, found["images"] / 127.5 - 1, atol=1 / 254)
    np.testing.assert_allclose(again.mean((1, 2, 3)), found["rewards"], atol=1 / 254)


def test_particles_are_brighter_than_the_model_and_again_the_same(runs, monkeypatch):
    options = ("--for", "mine:bright", "--method", "particles", "--budget", 64, "--num", 16)
    found = searched(monkeypatch, runs / "flow", *options)
    # Image 0, then 15 particles that are scored four times; these are all above the mean of the model.
    particles = found["number"] < 0
    assert (particles.sum(), len(found["curve"])) == (15, 61)
    assert found["rewards"][particles].min() > 0.3
    image = load_sampler(runs / "flow" / "sampler").draw(0, 1)
    np.testing.assert_array_equal(found["images"][~particles], image)
    np.testing.assert_allclose(found["curve"][0], image.mean() / 127.5 - 1, atol=1e-6)
    again = searched(monkeypatch, runs / "flow", *options)
    np.testing.assert_array_equal(found["images"], again["images"])
    labelled = searched(monkeypatch, runs / "labelled", *options, "--label", 1)
    np.testing.assert_array_equal(found["images"], labelled["images"])
    alone = searched(monkeypatch, runs / "flow", *options[:4], "--budget", 1)
    np.testing.assert_array_equal(alone["images"], image)


@pytest.mark.parametrize(("method", "scored"), [("best", 128), ("gradient", 64)])  # which traces the reward first
def test_a_reward_that_fails_ends_the_search_with_what_it_has(runs, monkeypatch, capsys, method, scored):
    options = ("--for", "mine:tires", "--budget", 300, "--method", method)
    assert run_here(monkeypatch, main, "search", runs / "gan", *options) == 2
    line = f"mine:tires failed (RuntimeError: tired): the search ended after {scored} of 300 images; found.png has"
    assert line in capsys.readouterr().err
    assert len(loaded("found.npz")["rewards"]) == 8


@pytest.mark.parametrize("method", ["best", "gradient"])
def test_an_image_without_a_reward_is_counted_and_named(runs, monkeypatch, capsys, method):
    options = ("--for", "mine:first_is_nan", "--budget", 8, "--method", method)
    assert run_here(monkeypatch, main, "search", runs / "gan", *options) == 2
    said = capsys.readouterr()
    assert "image 0 of seed 0 has none" in said.out
    assert "mine:first_is_nan is nan for 1 of" in said.err


@pytest.mark.parametrize(
    ("run", "options", "line"),
    [
        ("gan", (), "--for is missing"),
        ("gan", ("--for", "bright"), "--for bright: expected class:7"),
        ("gan", ("--for", "colour:red"), "--for colour:red: it is no reward that can be imported .*expected class:7"),
        ("gan", ("--for", "class:teapot"), "--for class:teapot: class teapot names no class: expected one of airplane"),
        ("gan", ("--for", "class:10"), "The label 10 is not a class"),
        ("gan", ("--for", "palette:reddish"), "'reddish' is no colour"),
        ("gan", ("--for", "picture:nowhere.png"), "nowhere.png cannot be read as an image"),
        ("gan", ("--for", "words:a heart"), "--matcher is missing"),
        ("gan", ("--for", "words:a heart", "--matcher", "nowhere"), "nowhere holds no matching network"),
        ("gan", ("--for", "mine:bright", "--matcher", "nowhere"), "--matcher nowhere belongs to --for words"),
        ("gan", ("--for", "pixels:a.png", "--classifier", "a"), "--classifier a belongs to --for class:... or picture"),
        ("gan", ("--for", "mine:leaves"), r"mine:leaves failed \(SystemExit: 3\): nothing was found"),
        ("gan", ("--for", "mine:nothing"), "mine:nothing is nan for 64 of 64 images: nothing was found"),
        (
            "gan",
            ("--for", "mine:bright", "--weights", 1, 2),
            "--weights 1 2: expected a finite number for each of the 1",
        ),
        ("gan", ("--for", "mine:bright", "--budget", 0), "--budget 0: expected"),
        ("gan", ("--for", "mine:bright", "--out", "a.npz"), "--out a.npz: expected"),
        ("gan", ("--for", "mine:bright", "--method", "particles"), "--method particles: .* is no diffusion run"),
        ("gan", ("--for", "mine:bright", "--strength", 2), "--strength 2.0: only --method particles"),
        ("gan", ("--for", "mine:bright", "--label", 1), "is not conditioned on labels"),
        ("flow", ("--for", "mine:bright", "--method", "gradient"), "--method gradient: .* exports no controls"),
        ("labelled", ("--for", "mine:bright", "--method", "gradient"), "under one condition: give one --label"),
        ("nowhere", ("--for", "mine:bright"), "nowhere is not a run directory"),
    ],
)
def test_what_cannot_be_searched_for_is_one_line(runs, monkeypatch, capsys, run, options, line):
    assert run_here(monkeypatch, main, "search", runs / run, *options) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(line, error)
