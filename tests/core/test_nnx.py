"""The kernel knows nothing of Linen: an NNX model, split into pure functions, trains through `minimize`."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from jaxgen import Aux, init_state, make_step, minimize


def test_an_nnx_model_trains():
    graph, params, rest = nnx.split(nnx.Linear(3, 1, rngs=nnx.Rngs(0)), nnx.Param, ...)
    inputs = jax.random.normal(jax.random.key(1), (32, 3))
    targets = inputs @ jnp.array([1.0, -2.0, 3.0])

    def loss(networks, context):
        model = nnx.merge(graph, networks["model"]["params"], networks["model"]["rest"])
        return jnp.square(model(context.batch["image"])[:, 0] - targets).mean(), Aux()

    update = minimize(loss, optax.adam(0.1), wrt="model")
    batch = {"image": inputs}
    state = init_state(update, {"model": {"params": params, "rest": rest}}, jax.random.key(0), batch)
    step = jax.jit(make_step(update))
    for _ in range(300):
        state, metrics = step(state, batch)
    assert metrics["loss"].total < 1e-4
