"""Training without a run directory, for small networks that need no checkpoints."""

from collections.abc import Callable

import jax

from jaxgen.core.parallel import by_jit, make_mesh
from jaxgen.core.step import init_state, make_step
from jaxgen.core.types import Array, Networks, Update
from jaxgen.data.dataset import Dataset
from jaxgen.training.dispatch import Measured, feed_from, train


def fit(
    update: Update,
    networks: Networks,
    dataset: Dataset,
    *,
    key: Array,
    batch_size: int,
    steps: int,
    report: Callable[[Measured], None],
) -> Networks:
    """Trains networks on one device, on `steps` random batches of a data set in memory, and returns them.

    `key` is a typed key []; a batch has the fields of the data set, such as `image` uint8 [B, H, W, C]; `report` is
    called with the metrics of each 50 steps.

    Raises:
      ValueError: a name is not a network, two links of a chain own one network, or a loss is not a scalar.
      TypeError: a step would change the type of the state.
    """
    strategy = by_jit(make_mesh(jax.devices()[:1]))
    state = strategy.put_state(init_state(update, networks, key))
    feed = feed_from(dataset, seed=0, batch_size=batch_size)
    for progress in train(make_step(update), state, feed, strategy, steps=steps):
        state = progress.state
        for measured in progress.measured:
            report(measured)
    return state.networks
