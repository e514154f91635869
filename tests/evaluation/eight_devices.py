"""Drawing and evaluating on many devices.  Run by test_many_devices.py in a process that simulates eight."""

import jax
import numpy as np
import pytest

from jaxgen import ImageSpec
from jaxgen.core.map_rows import ROWS, map_rows
from jaxgen.data import make_dataset
from jaxgen.evaluation import Goal, packaged_network, score_by
from jaxgen.export import ExportInfo, export_denoiser, export_sampler, load_denoiser, load_sampler
from jaxgen.export.steered import steered
from jaxgen.models import GAN, best_of, carry_out, labels
from jaxgen.models.diffusion import added_noise, linear
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator
from jaxgen.training.best import frechet_score
from tests.models.exact_diffusion import exact_denoiser, exact_model

SPEC, NUM = ImageSpec(28, 28, 1), 600
MODEL = GAN(DCGANGenerator(SPEC, width=4), DCGANDiscriminator(width=4), latent_size=8, conditions=labels(10))
LABELS = np.random.default_rng(0).integers(0, 10, NUM)
IMAGES = np.random.default_rng(1).integers(0, 256, (NUM, *SPEC), np.uint8)


@pytest.fixture(scope="module")
def networks():
    return jax.jit(lambda key: MODEL.init(key, SPEC))(jax.random.key(0))


@pytest.fixture(scope="module")
def folder(networks, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "sampler"
    export_sampler(MODEL.sampler())(path, networks, ExportInfo(SPEC, MODEL.conditions))
    return path


def on(count, monkeypatch, compute):
    """What a function gives on the first devices."""
    devices = jax.devices()[:count]
    monkeypatch.setattr(jax, "local_devices", lambda: devices)
    monkeypatch.setattr(jax, "local_device_count", lambda: count)
    return compute()


def test_drawn_images_are_those_of_one_device(folder, monkeypatch):
    def draw():
        return load_sampler(folder).draw(7, NUM, fields={"label": LABELS})

    one = on(1, monkeypatch, draw)
    assert len(np.unique(one, axis=0)) == NUM
    for count in (3, 8):
        np.testing.assert_array_equal(on(count, monkeypatch, draw), one)  # a device's program is that of one alone


@pytest.mark.parametrize("name", ["best of n", "particles"])
def test_a_search_finds_what_it_finds_on_one_device(name, folder, tmp_path, monkeypatch):
    """Evolution and gradients compute on one device always."""
    goals, schedule = [Goal("like it", lambda images: (images * (IMAGES[0] / 255)).sum((1, 2, 3)))], linear()
    model = exact_model(exact_denoiser(schedule), SPEC, schedule)
    export_denoiser(added_noise(model))(tmp_path, {}, ExportInfo(SPEC))

    def search():
        if name == "particles":
            method = steered(load_denoiser(tmp_path), score_by(goals), {}, seed=5, budget=NUM, strength=4.0)
        else:
            sampler = load_sampler(folder)
            method = best_of(
                lambda start, num: sampler.draw(7, num, start=start, fields={"label": LABELS[:num]}),
                score_by(goals),
                budget=NUM,
            )
        return carry_out(method, 5)

    one, eight = (on(count, monkeypatch, search) for count in (1, 8))
    assert len(np.unique(one.rewards)) == 5
    np.testing.assert_array_equal(eight.rewards, one.rewards)
    np.testing.assert_array_equal(eight.arrays["images"], one.arrays["images"])
    np.testing.assert_array_equal(eight.curve, one.curve)


def test_features_are_those_of_one_device(monkeypatch):
    one, eight = (on(count, monkeypatch, lambda: packaged_network(SPEC).extract(IMAGES)) for count in (1, 8))
    for found, expected in zip(eight, one, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)  # other shapes: sums in another order


def test_scores_during_training_are_those_of_one_device(networks, monkeypatch):
    dataset = make_dataset(IMAGES, LABELS, source="noise", split="train")
    score = frechet_score(MODEL.sampler(), dataset, num=NUM, seed=3)
    one, eight = (on(count, monkeypatch, lambda: score(networks)) for count in (1, 8))
    assert eight["frechet_distance"] == pytest.approx(one["frechet_distance"], rel=1e-3)  # a difference of traces


@pytest.mark.parametrize(("num", "busy"), [(80, 8), (79, 8), (31, 4), (1, 1)])
def test_each_device_computes_its_share(num, busy):
    def number(_, row):
        return 0 * row + jax.lax.axis_index(ROWS) if busy > 1 else 0 * row

    devices = map_rows(number)((), np.arange(num, dtype=np.int32), size=10, what="Counting")
    np.testing.assert_array_equal(devices, np.arange(num) // 10)
    assert len(set(devices.tolist())) == busy
