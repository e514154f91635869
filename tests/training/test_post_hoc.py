"""Averages of any length from the checkpoints of a run."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import InputError, chain, ema, init_state, make_step, minimize
from jaxgen.models import EMAProfile, post_hoc_average, post_hoc_weights, power_decay
from jaxgen.training import Checkpoints, Retention, RunDirectory, post_hoc_network
from tests import toys

AVERAGES = {"short": 0.05, "long": 0.1}
NETWORK = {"params": {"w": jax.ShapeDtypeStruct((toys.SIZE,), jnp.float32)}}
KEPT = (4, 8, 12)


@pytest.fixture
def run(tmp_path):
    """A run directory with checkpoints, and the states in them."""
    links = {name: ema("generator", name, power_decay(length)) for name, length in AVERAGES.items()}
    update = chain(g=minimize(toys.generate, optax.sgd(0.1), wrt="generator"), **links)
    directory, step, states = RunDirectory(tmp_path), jax.jit(make_step(update)), []
    state = init_state(update, toys.networks(), jax.random.key(0))
    checkpoints = Checkpoints(directory.checkpoints, Retention(last=9))
    checkpoints.save(state)  # no step has been averaged yet
    for number in range(1, KEPT[-1] + 1):
        state, _ = step(state, toys.batch(number))
        if number in KEPT:
            checkpoints.save(state)
            states.append(state)
    return directory, states


def test_the_averages_of_all_checkpoints_make_one_of_another_length(run, capsys):
    directory, states = run
    stored = [EMAProfile(step, length) for step in KEPT for length in AVERAGES.values()]
    weights, error = post_hoc_weights(stored, EMAProfile(12, 0.08))
    expected = post_hoc_average(weights, [state.networks[name] for state in states for name in AVERAGES])
    chex.assert_trees_all_equal(post_hoc_network(directory, NETWORK, AVERAGES, 0.08), expected)
    assert f"from 6 averages of 3 checkpoints: its profile is {error:.2%} from the exact one" in capsys.readouterr().out


def test_what_the_checkpoints_do_not_hold_is_refused(run, tmp_path):
    directory, _ = run
    with pytest.raises(InputError, match="4 holds no average 'other'; its networks are discriminator, generator"):
        post_hoc_network(directory, NETWORK, {"other": 0.05}, 0.08)
    with pytest.raises(InputError, match=r"short.params.w is float32\[3\] there and float32\[4\] here"):
        post_hoc_network(directory, {"params": {"w": np.zeros(4, np.float32)}}, AVERAGES, 0.08)
    with pytest.raises(InputError, match="holds no checkpoint of a trained network"):
        post_hoc_network(RunDirectory(tmp_path / "other"), NETWORK, AVERAGES, 0.08)
    (directory.checkpoints / "8" / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match=r"8 is damaged: manifest.json is changed or truncated. Delete it"):
        post_hoc_network(directory, NETWORK, AVERAGES, 0.08)
