"""Runs that start from the networks of another run."""

import json
import re
import shutil
from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import ImageSpec, InputError, chain, ema
from jaxgen.core.tree import by_path
from jaxgen.io.terminal import make_console
from jaxgen.training import Checkpoints
from jaxgen.training.checkpoint import read_networks
from jaxgen.training.display import Display
from jaxgen.training.prepare import prepare_run
from jaxgen.training.processes import Host
from jaxgen.training.start import Origin, new_leaves
from tests.programs import ROOT, load_program, raw, run_here, write_images
from tests.training import toy_experiment
from tests.training.toy_experiment import saved

GAN, CGAN, CIFAR10_GAN = (
    load_program(ROOT / "experiments" / f"{name}.py") for name in ("gan_mnist", "cgan_mnist", "gan_cifar10")
)
SMALL = {"width": 2, "hidden": 8, "latent_size": 5, "batch_size": 4}


class WithSlowAverage:
    """The toy experiment with one more average."""

    @staticmethod
    def build(config, spec):
        recipe = toy_experiment.build(config, spec)
        update = chain(all=recipe.update, slow=ema("generator", into="generator_slow", decay=0.99))
        return recipe._replace(update=update, discriminators=("all/fit/played_loss",))


def examples(classes, shape=(28, 28, 1)):
    return [{"image": np.full(shape, number, np.uint8), "label": number % classes} for number in range(12)]


def prepare(program, config, data):
    """A run before its first step."""
    display = Display(make_console(quiet=True))
    return prepare_run(
        config, program.build, name="run", data=data, prepare=None, display=display, host=Host(), began=0.0
    )


def leave(program, config, data):
    """The directory of a run with a checkpoint, of other networks than the initial ones; returns these networks."""
    run = prepare(program, config, data)
    state = run.first_state()
    networks = jax.tree.map(
        lambda leaf: leaf + jnp.arange(leaf.size, dtype=leaf.dtype).reshape(leaf.shape), state.networks
    )
    run.directory.path.mkdir()
    run.directory.write(run.record)
    run.checkpoints.save(state._replace(networks=networks, step=jnp.int32(7)))
    return networks


@pytest.fixture(scope="module")
def first(data, tmp_path_factory):
    """A run of the toy experiment, of 40 steps."""
    out = tmp_path_factory.mktemp("first") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        options = ("--data", data, "--out", out, "--log-every", 10, "--checkpoint-every", 20, "--steps", 40)
        assert run_here(monkeypatch, toy_experiment.main, *options) == 0
    return out


@pytest.fixture
def toy(data, tmp_path, monkeypatch):
    """Runs the toy experiment here; returns its exit code."""

    def run(*options, out=tmp_path / "run"):
        return run_here(monkeypatch, toy_experiment.main, "--data", data, "--out", out, "--log-every", 5, *options)

    return run


def test_the_networks_are_the_others_and_all_else_is_new(first, data, tmp_path):
    config = toy_experiment.Config(data=str(data), out=tmp_path / "run", seed=5)
    fresh, started = (
        prepare(toy_experiment, one, None).first_state() for one in (config, replace(config, start_from=first))
    )
    chex.assert_trees_all_equal(started.networks, saved(first, data).networks)
    chex.assert_trees_all_equal(raw(started)._replace(networks={}), raw(fresh)._replace(networks={}))
    assert not np.array_equal(fresh.networks["generator"]["params"]["w"], started.networks["generator"]["params"]["w"])


def test_the_best_networks_are_taken_if_there_are_any(first, data, tmp_path):
    copy = shutil.copytree(first, tmp_path / "copy")
    (copy / "best" / "checkpoints").mkdir(parents=True)
    (copy / "checkpoints" / "20").rename(copy / "best" / "checkpoints" / "20")
    config = toy_experiment.Config(data=str(data), out=tmp_path / "run", start_from=copy)
    started = by_path(prepare(toy_experiment, config, None).first_state().networks)
    chex.assert_trees_all_equal(started, {**read_networks(copy / "best" / "checkpoints" / "20")})
    assert not np.array_equal(
        started["generator.params.w"], read_networks(copy / "checkpoints" / "40")["generator.params.w"]
    )


def test_an_average_that_the_other_run_does_not_have_begins_as_its_network(first, data, tmp_path):
    config = toy_experiment.Config(data=str(data), out=tmp_path / "run", start_from=first)
    started, there = prepare(WithSlowAverage, config, None).first_state().networks, saved(first, data).networks
    chex.assert_trees_all_equal(started["generator_slow"], there["generator"])
    chex.assert_trees_all_equal(started["generator_ema"], there["generator_ema"])


def test_networks_that_only_the_other_run_has_are_left_out(data, tmp_path):
    there = leave(WithSlowAverage, toy_experiment.Config(data=str(data), out=tmp_path / "first"), None)
    config = toy_experiment.Config(data=str(data), out=tmp_path / "run", start_from=tmp_path / "first")
    started = prepare(toy_experiment, config, None).first_state().networks
    assert there.keys() - started.keys() == {"generator_slow"}
    chex.assert_trees_all_equal(started, {name: there[name] for name in started})


def test_a_run_goes_on_without_the_other_and_ends_as_if_it_had_not_been_interrupted(first, toy, data, tmp_path):
    other = shutil.copytree(first, tmp_path / "other")
    options = ("--start-from", other)
    assert toy("--steps", 10, *options, out=tmp_path / "whole") == 0
    assert toy("--steps", 5, *options) == 0
    other.rename(tmp_path / "elsewhere")
    assert toy("--steps", 10, *options) == 0
    chex.assert_trees_all_equal(raw(saved(tmp_path / "run", data)), raw(saved(tmp_path / "whole", data)))
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert record["started_from"]["checkpoint"] == str(other / "checkpoints" / "40")
    assert record["started_from"]["new"] == []
    assert {len(record["started_from"][name]) for name in ("manifest", "config")} == {64}


def test_another_number_of_classes_makes_only_their_leaves_new(tmp_path):
    there = leave(CGAN, CGAN.Config(out=tmp_path / "first", **SMALL), examples(3))
    config = CGAN.Config(out=tmp_path / "run", **SMALL)
    fresh, run = (prepare(CGAN, one, examples(4)) for one in (config, replace(config, start_from=tmp_path / "first")))
    new = [
        "discriminator.params.projection.kernel",
        "generator.params.Dense_0.kernel",
        "generator_ema.params.Dense_0.kernel",
    ]
    assert sorted(run.record["started_from"]["new"]) == new
    started, there, fresh = (
        by_path(networks) for networks in (run.first_state().networks, there, fresh.first_state().networks)
    )
    assert started.keys() == there.keys()
    for name, leaf in started.items():
        np.testing.assert_array_equal(leaf, (fresh if name in new else there)[name])


def zeros(program, classes, **options):
    """Networks of zeros by path, of the shapes of a recipe's, and what a run records about its conditions."""
    config = program.Config(**options, **({"classes": classes} if hasattr(program.Config, "classes") else {}))
    shapes = by_path(jax.eval_shape(program.build(config, ImageSpec(32, 32, 3)).networks, jax.random.key(0)))
    conditions = {"label": {"size": classes}} if classes else {}
    return {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in shapes.items()}, conditions


def new_to(there, here):
    """The names of the leaves that are new in networks that start from others."""
    (leaves, conditions), (mine, record) = there, here
    return new_leaves(origin(leaves, conditions), mine, {"conditions": record, "data": {}})


def origin(leaves, conditions):
    return Origin("--start-from a", None, {"conditions": conditions, "data": {}}, None, leaves)


@pytest.mark.parametrize(
    ("there", "here", "expected"),
    [
        ((GAN, 0), (CGAN, 4), {"generator.params.Dense_0.kernel", "discriminator.params.projection.kernel"}),
        ((CGAN, 4), (GAN, 0), {"generator.params.Dense_0.kernel"}),
    ],
)
def test_a_condition_that_is_added_or_dropped_makes_only_its_layers_new(there, here, expected):
    assert set(new_to(zeros(*there), zeros(*here))) == expected


def test_conditional_normalisation_is_new_where_a_label_is_added():
    new = new_to(zeros(CIFAR10_GAN, 0), zeros(CIFAR10_GAN, 4))
    assert len(new) > 20
    assert all(re.search("ConditionalBatchNorm|projection", name) for name in new)


@pytest.mark.parametrize(
    ("options", "classes", "message"),
    [
        ({"width": 3}, 3, r"float32\[.*\] there and float32\[.*\] here \(\d+ more differ\): give this run the options"),
        ({"width": 3}, 4, "more differ"),
        ({"hidden": 9}, 4, "more differ"),
        (
            {"latent_size": 6},
            3,
            r"generator.params.Dense_0.kernel is float32\[8,8\] there and float32\[9,8\] here: give",
        ),
        ({"latent_size": 3}, 4, r"generator.params.Dense_0.kernel is float32\[8,8\] there and float32\[7,8\] here"),
        ({"latent_size": 7}, 4, r"generator.params.Dense_0.kernel is float32\[8,8\] there and float32\[11,8\] here"),
    ],
)
def test_other_networks_are_refused_whatever_the_classes(options, classes, message):
    with pytest.raises(InputError, match=message):
        new_to(zeros(CGAN, 3, **SMALL), zeros(CGAN, classes, **{**SMALL, **options}))


def arrays(**shapes):
    return {name.replace("__", "."): np.zeros(shape, np.float32) for name, shape in shapes.items()}


def of_text(vocabulary, length=4):
    return {"text": {"size": length, "vocabulary": vocabulary}}


def test_another_vocabulary_makes_its_embeddings_new_even_of_the_same_size():
    leaves = arrays(net__embedding=(9, 3), net__kernel=(3, 3), net__bias=(3,))
    here, record = arrays(net__embedding=(9, 3), net__kernel=(3, 3), net__bias=(3,)), {"data": {}}
    assert new_leaves(origin(leaves, of_text("a")), here, {**record, "conditions": of_text("a")}) == []
    assert new_leaves(origin(leaves, of_text("a")), here, {**record, "conditions": of_text("b")}) == ["net.embedding"]
    here |= arrays(net__embedding=(7, 3))
    assert new_leaves(origin(leaves, of_text("a")), here, {**record, "conditions": of_text("b")}) == ["net.embedding"]
    with pytest.raises(InputError, match=r"net.embedding is float32\[9,3\] there and float32\[7,3\] here: give"):
        new_leaves(origin(leaves, of_text("a")), here, {**record, "conditions": of_text("a")})


def test_no_network_begins_anew_without_a_word():
    here = arrays(net__kernel=(5, 3), net__bias=(3,), other__kernel=(5, 3))
    there = {name: leaf for name, leaf in here.items() if name.startswith("net")}
    record = {"conditions": {"label": {"size": 5}}, "data": {}}
    with pytest.raises(InputError, match="only 0 of the 1 arrays of other are as there"):
        new_leaves(origin(there, {}), here, record)
    with pytest.raises(InputError, match=r"other.kernel is absent there and float32\[5,3\] here"):
        new_leaves(origin(there, record["conditions"]), here, record)


def test_a_run_that_recorded_no_conditions_must_fit():
    record = {"conditions": {"label": {"size": 5}}, "data": {}}
    here, there = arrays(net__kernel=(5, 3), net__bias=(3,)), arrays(net__kernel=(6, 3), net__bias=(3,))
    with pytest.raises(InputError, match=r"net\.kernel is"):
        new_leaves(origin(there, None), here, record)
    assert new_leaves(origin(there, {"label": {"size": 6}}), here, record) == ["net.kernel"]


def damage(run):
    for step in Checkpoints(run / "checkpoints").steps():
        (run / "checkpoints" / str(step) / "manifest.json").write_text("{}")


def forget(run):
    shutil.rmtree(run / "checkpoints")


def garble(run):
    (run / "config.json").write_text("[]")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (damage, "/checkpoints holds no intact checkpoint"),
        (forget, "holds no checkpoint"),
        (garble, "config.json cannot be read as a run's config"),
        (shutil.rmtree, "holds no run: expected the folder of a run, with its config.json"),
    ],
)
def test_a_run_that_cannot_be_read_is_one_line_and_nothing_is_written(first, toy, tmp_path, capsys, spoil, message):
    other = shutil.copytree(first, tmp_path / "other")
    spoil(other)
    assert toy("--start-from", other) == 2
    error = capsys.readouterr().err
    assert f"error: --start-from {other}" in error
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_images_of_another_size_are_named(first, toy, tmp_path, capsys):
    data = write_images(tmp_path / "wide.npz", shape=(6, 8, 1))
    assert toy("--data", data, "--start-from", first) == 2
    error = capsys.readouterr().err
    assert "generator.params.w is float32[16,64] there and float32[16,48] here" in error
    assert "; its images are 8x8x1, these 6x8x1: give this run the options" in error


def test_the_newest_intact_checkpoint_is_taken(first, toy, tmp_path, capsys):
    other = shutil.copytree(first, tmp_path / "other")
    (other / "checkpoints" / "40" / "manifest.json").write_text("{}")
    assert toy("--steps", 5, "--start-from", other) == 0
    assert f"Starting from the networks in {other / 'checkpoints' / '20'}" in capsys.readouterr().out.replace("\n", " ")
    assert (other / "checkpoints" / "40").is_dir()  # another run's folder is only read


def test_a_run_does_not_go_on_from_another_start(first, toy, capsys):
    assert toy("--steps", 5) == 0
    assert toy("--steps", 10, "--start-from", first) == 2
    assert "holds a run with start_from = None" in capsys.readouterr().err
