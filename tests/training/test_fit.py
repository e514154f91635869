import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen import Aux, mean, minimize
from jaxgen.core.image import to_float
from jaxgen.data import make_dataset
from jaxgen.training import fit


def test_the_trained_networks_are_returned_and_every_dispatch_is_reported():
    images = np.full((8, 2, 2, 1), 255, np.uint8)
    reports = []

    def loss(networks, context):
        error = jnp.square(networks["bias"]["params"] - to_float(context.batch["image"])).mean()
        return error, Aux({"error": mean(error)})

    networks = fit(
        minimize(loss, optax.sgd(0.05), wrt="bias"),
        {"bias": {"params": jnp.zeros(())}},
        make_dataset(images, None, source="white", split="train"),
        key=jax.random.key(0),
        batch_size=4,
        steps=120,
        report=reports.append,
    )
    # Each step takes a tenth of the way to 1; float32 keeps 1 - 0.9^120 to a few roundings.
    np.testing.assert_allclose(networks["bias"]["params"], 1 - 0.9**120, rtol=1e-5)
    assert [measured.step for measured in reports] == [50, 100, 120]
    assert reports[0].means["error"] > reports[1].means["error"] > reports[2].means["error"]
