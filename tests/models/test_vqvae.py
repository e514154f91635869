"""Discrete latents: the codebook by hand, and codes that come back to life."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen import Context, ImageSpec, init_state, make_step, minimize
from jaxgen.losses import gaussian
from jaxgen.models import VQVAE, vector_quantized_loss
from jaxgen.models.autoregressive.vqvae import embeddings_of, followed, nearest
from jaxgen.nets import MapDecoder, MapEncoder

SPEC = ImageSpec(8, 12, 3)
BATCH = {"image": jax.random.randint(jax.random.key(9), (4, *SPEC), 0, 256).astype(jnp.uint8)}


def made(codes=6):
    model = VQVAE(MapEncoder(2, 4, 1), MapDecoder(SPEC, 4, 1), gaussian(), codes)
    return model, jax.jit(lambda key: model.init(key, SPEC))(jax.random.key(0))


def test_codes_are_the_nearest():
    vectors, embeddings = jax.random.normal(jax.random.key(0), (2, 5, 3, 2))
    embeddings = embeddings.reshape(-1, 2)
    distances = np.linalg.norm(np.asarray(vectors)[..., None, :] - np.asarray(embeddings), axis=-1)
    np.testing.assert_array_equal(nearest(vectors, embeddings), distances.argmin(-1))


def test_the_codebook_follows_by_hand():
    averages = {"share": jnp.array([0.5, 0.3, 0.2]), "sum": jnp.array([[1.0], [0.6], [0.2]])}
    codes, vectors = jnp.array([0, 0, 1, 0]), jnp.array([[1.0], [2.0], [5.0], [3.0]])
    after, perplexity = followed(averages, codes, vectors, 0.9, jax.random.key(0))
    np.testing.assert_allclose(after["share"], [0.45 + 0.1 * 0.75, 0.27 + 0.1 * 0.25, 0.18], rtol=1e-6)
    np.testing.assert_allclose(after["sum"][:, 0], [0.9 + 0.1 * 6 / 4, 0.54 + 0.1 * 5 / 4, 0.18], rtol=1e-6)
    expected = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    np.testing.assert_allclose(perplexity.total / perplexity.count, expected, rtol=1e-6)


def test_a_code_that_nothing_uses_is_moved_onto_a_vector():
    averages = {"share": jnp.array([0.999, 0.001]), "sum": jnp.array([[1.0], [0.1]])}
    vectors = jnp.array([[1.0], [2.0]])
    after, _ = followed(averages, jnp.array([0, 0]), vectors, 0.99, jax.random.key(0))
    np.testing.assert_allclose(after["share"][1], 0.5)
    assert float(after["sum"][1, 0] / after["share"][1]) in (1.0, 2.0)


def test_the_gradient_passes_straight_through():
    model, networks = made()
    context = Context(BATCH, jax.random.key(1), jnp.int32(0))
    loss = vector_quantized_loss(model, commitment=0.0)

    def by_hand(encoder):
        """The decoder's slope at the codes, times the encoder's."""
        vectors = model.encoder.apply(encoder, BATCH["image"] / 127.5 - 1, train=False)
        chosen = embeddings_of(networks["codebook"])[nearest(vectors, embeddings_of(networks["codebook"]))]

        def distortion(given):
            made = model.decoder.apply(networks["decoder"], given, train=False)
            return -model.likelihood.log_prob(made, BATCH["image"]).mean()

        slope = jax.lax.stop_gradient(jax.grad(distortion)(chosen))
        return (slope * vectors).sum()

    ours = jax.jit(jax.grad(lambda encoder: loss({**networks, "encoder": encoder}, context)[0]))(networks["encoder"])
    expected = jax.jit(jax.grad(by_hand))(networks["encoder"])
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_it_trains_and_keeps_types():
    model, networks = made()
    update = minimize(vector_quantized_loss(model), optax.adam(1e-2), wrt=("encoder", "decoder"))
    state, step = init_state(update, networks, jax.random.key(1), BATCH), jax.jit(make_step(update))
    losses = []
    for _ in range(30):
        state, metrics = step(state, BATCH)
        losses.append(float(metrics["distortion"].total / metrics["distortion"].count))
    assert losses[-1] < losses[0]
    codes, vectors, _ = model.encode(state.networks, BATCH["image"])
    assert (codes.shape, codes.dtype, vectors.shape) == ((4, 2, 3), jnp.int32, (4, 2, 3, 2))
    assert model.reconstruct(state.networks, BATCH).shape == BATCH["image"].shape
