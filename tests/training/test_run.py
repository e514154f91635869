"""Runs from Python: data of one's own, and what a run watches."""

import json
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import Aux, mean, minimize
from jaxgen.core.sampler import Sampler
from jaxgen.export import load_sampler
from jaxgen.io.errors import OutsideError
from jaxgen.training import Recipe, RunConfig, RunDirectory, run
from tests.training import toy_experiment

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 4, 4, 1), dtype=np.uint8)
EXAMPLES = [{"image": image, "label": number % 3} for number, image in enumerate(IMAGES)]
SHORT = RunConfig(batch_size=4, log_every=10, sample_every=2_000, checkpoint_every=2_000, steps=20)


def with_metrics(**metrics):
    """A recipe whose loss is 1, with these metrics beside it, and noise for its images."""

    def build(config, spec):
        def loss(networks, context):
            measured = {name: mean(metric(context.step)) for name, metric in metrics.items()}
            return 1.0 + 0 * networks["generator"]["params"].sum(), Aux(measured)

        def draw(networks, keys, _):
            return jax.vmap(lambda key: jax.random.uniform(key, tuple(spec), minval=-1.0))(keys)

        return Recipe(
            networks=lambda key: {"generator": {"params": jnp.ones(2)}},
            update=minimize(loss, optax.sgd(0.1), wrt="generator"),
            sampler=Sampler(draw),
            discriminators=tuple(name for name in metrics if name.startswith("discriminator")),
        )

    return build


def test_a_list_of_examples_is_a_data_set(tmp_path):
    config = toy_experiment.Config(**{**vars(SHORT), "out": tmp_path / "run"})
    directory = run(config, toy_experiment.build, name="toy", data=EXAMPLES)
    assert [row["step"] for row in directory.rows()] == [10, 20]
    record = json.loads(directory.config.read_text())
    assert (record["data"]["source"], record["data"]["images"]) == ("24 examples of a list", 24)
    assert record["config"]["data"] is None
    assert load_sampler(directory.sampler).draw(0, 3).shape == (3, 4, 4, 1)
    run(replace(config, steps=30), toy_experiment.build, name="toy", data=EXAMPLES)
    assert [row["step"] for row in directory.rows()] == [10, 20, 30]


def test_each_session_records_and_prints_the_seconds_to_compile(tmp_path, capsys):
    config = toy_experiment.Config(**{**vars(SHORT), "out": tmp_path / "run"})
    began = time.monotonic()
    for steps in (20, 30):
        directory = run(replace(config, steps=steps), toy_experiment.build, name="toy", data=EXAMPLES)
    record, seconds = json.loads(directory.config.read_text()), time.monotonic() - began
    took = [session["compile_seconds"] for session in record["sessions"]]
    assert len(took) == 2
    assert min(took) > 0
    assert sum(took) < seconds
    printed = capsys.readouterr().out
    for one in took:
        assert f"Compiled the training step in {one} s" in printed
    assert [session["step"] for session in record["sessions"]] == [0, 20]


def test_a_second_discriminator_that_has_won_is_noticed(tmp_path):
    build = with_metrics(discriminator=lambda step: 1.0, discriminator_of_patches=lambda step: 0.0)
    config = replace(SHORT, out=tmp_path / "run", log_every=50, steps=1_200)
    message = "The discriminator's loss discriminator_of_patches has been below 0.001 for 1,000 steps at step 1,000"
    with pytest.raises(OutsideError, match=message):
        run(config, build, name="two", data=EXAMPLES)


def test_a_metric_that_is_called_a_loss_and_is_not_minimised_stops_no_run_and_is_not_shown(tmp_path, capsys):
    build = with_metrics(validation_loss=lambda step: jnp.inf)
    run(replace(SHORT, out=tmp_path / "run", steps=50), build, name="metric", data=EXAMPLES)
    printed = capsys.readouterr().out
    assert "left  loss 1.000\n" in printed
    assert "validation_loss" not in printed
    assert [row["validation_loss"] for row in RunDirectory(tmp_path / "run").rows()] == [None] * 5
