"""`sample --solver --steps --guidance`, as typed: a solver outside of the exported denoiser."""

import re

import jax
import pytest

from jaxgen import ImageSpec
from jaxgen.cli import main
from jaxgen.export import ExportInfo, export_denoiser, export_sampler
from jaxgen.models import Diffusion, labels
from jaxgen.models.diffusion import added_noise, classifier_free, cosine, euler, karras, karras_grid, unguided
from jaxgen.nets import DiT
from tests.programs import loaded, run_here

SPEC, CONDITIONS = ImageSpec(6, 4, 1), labels(3)
GRID, GUIDANCE = karras_grid(5), classifier_free(2.0)
MODEL = Diffusion(DiT(2, 8, 1), SPEC, cosine(), karras(), CONDITIONS, euler, GRID, GUIDANCE)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose sampler takes five steps of DDIM in another schedule than that of the exported denoiser."""
    folder = tmp_path_factory.mktemp("run")
    started = MODEL.init(jax.random.key(0), SPEC)
    # The last layer is zero at first: the images would all be those of c_skip.
    networks = jax.tree.map(lambda leaf: leaf + 0.3 * jax.random.normal(jax.random.key(1), leaf.shape), started)
    export_sampler(MODEL.sampler())(folder / "sampler", networks, ExportInfo(SPEC, CONDITIONS))
    export_denoiser(added_noise(MODEL), 2.0)(folder / "denoiser", networks, ExportInfo(SPEC, CONDITIONS))
    alone = MODEL._replace(conditions={}, guidance=unguided)
    networks = alone.init(jax.random.key(0), SPEC)
    export_sampler(alone.sampler())(folder / "alone" / "sampler", networks, ExportInfo(SPEC))
    export_denoiser(added_noise(alone))(folder / "alone" / "denoiser", networks, ExportInfo(SPEC))
    return folder


def drawn(run, monkeypatch, out, *options):
    assert run_here(monkeypatch, main, "sample", run, "--num", 7, "--seed", 3, "--out", out, *options) == 0
    return loaded(out)["arr_0"].astype(int)


def test_the_same_solver_draws_the_images_of_the_run(run, tmp_path, monkeypatch):
    own = drawn(run, monkeypatch, tmp_path / "a.npz")
    same = ("--solver", "euler", "--steps", 5)  # and the guidance of the run
    assert abs(drawn(run, monkeypatch, tmp_path / "b.npz", *same) - own).max() <= 1  # rounded to other grey levels
    assert own.std(0).mean() > 3
    for other in (("--steps", 6), ("--guidance", 1), ("--solver", "ancestral"), ("--solver", "dpm_solver_2m")):
        assert abs(drawn(run, monkeypatch, tmp_path / "c.npz", *same, *other) - own).max() > 1


def test_guidance_leads_from_the_negative_condition_to_the_condition(run, tmp_path, monkeypatch):
    def by(*options):
        return drawn(run, monkeypatch, tmp_path / "a.npz", *options)

    unguided_two, two = by("--label", 2, "--guidance", 1), by("--label", 2, "--guidance", 3)
    # A scale of 0 is the negative condition; from a label to itself no scale leads anywhere.
    assert abs(by("--label", 1, "--negative", 2, "--guidance", 0) - unguided_two).max() <= 1
    assert abs(by("--label", 2, "--negative", 2, "--guidance", 3) - unguided_two).max() <= 1
    assert abs(by("--label", 2, "--negative", 1, "--guidance", 3) - two).max() > 1


@pytest.mark.parametrize(
    ("folder", "options", "line"),
    [
        (".", ("--steps", 1), "--steps 1: expected at least 2"),
        (".", ("--steps", 0), "--steps 0: expected"),
        (".", ("--guidance", "nan"), "--guidance nan: expected a number from 0 to 100"),
        (".", ("--guidance", 1e30), "--guidance 1e[+]30: expected a number from 0 to 100"),
        ("alone", ("--guidance", 2), "--guidance 2.0: guidance strengthens a condition, and this run has none"),
        (
            ".",
            ("--negative", 1, "--guidance", 1),
            "--negative is what guidance leads away from, and there is none: give --guidance",
        ),
        (".", ("--negative", 3), "--negative 3"),
        (".", ("--negative", "cat"), "--negative cat names no class"),
        ("alone", ("--negative", "cat"), "--negative 'cat': .*alone is conditioned on neither captions nor labels"),
        ("sampler", ("--solver", "euler"), "--solver euler: .*sampler is no diffusion run, or exports no denoiser"),
    ],
)
def test_what_cannot_be_solved_is_one_line(run, tmp_path, monkeypatch, capsys, folder, options, line):
    out = tmp_path / "a.npz"
    assert run_here(monkeypatch, main, "sample", run / folder, "--out", out, *options) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(line, error)
    assert not out.exists()
