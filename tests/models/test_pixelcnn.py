"""Autoregressive models: order, exactness, and that remembering changes nothing."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special

from jaxgen import Context, ImageSpec, InputError, chain, minimize
from jaxgen.core.condition import features, labels, text
from jaxgen.core.image import to_float
from jaxgen.losses import bernoulli, categorical, discretized_logistic_mixture, gaussian, tempered
from jaxgen.models import (
    VQVAE,
    CodePrior,
    PixelCNN,
    code_prior_loss,
    completions,
    draw_naively,
    pixelcnn_loss,
    vector_quantized_loss,
    vqvae_sampler,
)
from jaxgen.nets import GatedPixelCNN, MapDecoder, MapEncoder, PixelCNNPlusPlus, TextEncoder, WithText
from tests.models.programs import networks_like, trained

GATED = ImageSpec(5, 4, 1)
PLUS = ImageSpec(4, 8, 3)
MIXTURE = discretized_logistic_mixture(2)
KEYS = jax.random.split(jax.random.key(5), 3)


def gated(likelihood=None, spec=GATED, **options):
    likelihood = likelihood or bernoulli()
    return PixelCNN(GatedPixelCNN(likelihood.num_params(spec.channels), 3, (1, 2)), likelihood, spec, **options)


def plus(**options):
    return PixelCNN(PixelCNNPlusPlus(MIXTURE.num_params(3), 3, levels=3, blocks=1), MIXTURE, PLUS, **options)


def labelled_and_worded():
    model = gated(conditions=labels(3) | text(2))
    return model._replace(network=WithText(model.network, TextEncoder(8, 4, heads=1)))


def lively(model, seed=0):
    """Random variables, biases too, so that nothing is zero by chance."""
    return networks_like(lambda: model.init(jax.random.key(0), model.spec), seed)


@pytest.mark.parametrize("model", [gated(), plus()], ids=["gated", "plus"])
def test_a_pixel_depends_on_all_pixels_before_it_in_its_reach_and_on_no_other(model):
    networks, spec = lively(model), model.spec
    image = jax.random.uniform(jax.random.key(1), (1, *spec), minval=-1)

    def dist_params(image):
        return model.network.apply(networks["pixelcnn"], image, train=False)[0].sum(-1).ravel()

    slopes = jax.jit(jax.jacfwd(dist_params))(image)[:, 0].reshape(spec.height * spec.width, -1, spec.channels)
    places = np.arange(spec.height * spec.width)
    is_before = places[None, :] < places[:, None]
    assert (np.asarray(slopes)[~is_before] == 0).all()
    direct = (np.asarray(slopes)[places[1:], places[:-1]] != 0).all(-1)  # the pixel just before, also across rows
    assert direct[(places[1:] % spec.width) > 0].all()
    assert (np.asarray(slopes)[places[spec.width :], places[: -spec.width]] != 0).all()  # and the one above


def test_a_channel_of_the_mixture_depends_on_those_before_it_alone():
    dist_params = jax.random.normal(jax.random.key(0), (1, 1, MIXTURE.num_params(3)))
    levels = np.arange(256, dtype=np.uint8)
    red = np.uint8(100)
    probability = jax.jit(lambda dist_params, pixels: jnp.exp(MIXTURE.log_prob(dist_params, pixels)))

    def every_blue(green):
        pixels = np.stack(np.broadcast_arrays(red, np.uint8(green), levels), axis=-1)
        return np.asarray(probability(dist_params, pixels.reshape(-1, 1, 1, 3)))

    every_green = np.array([every_blue(green).sum() for green in levels])
    assert every_green[200] != pytest.approx(every_green[9], rel=1e-2)
    # Whatever blue is, red and green are as likely as without it.
    channel = discretized_logistic_mixture(2)
    weights, means, scales = dist_params[..., :2], dist_params[..., 2:4], dist_params[..., 8:10]
    alone = jax.jit(channel.log_prob)(np.concatenate([weights, means, scales], axis=-1), red.reshape(1, 1, 1))
    assert every_green.sum() == pytest.approx(np.exp(float(alone.item())), rel=1e-4)


@pytest.mark.parametrize(
    ("likelihood", "spec", "levels"),
    [
        (bernoulli(), ImageSpec(2, 3, 1), 2),
        (bernoulli(), ImageSpec(1, 2, 3), 2),
        (categorical(3), ImageSpec(2, 2, 1), 3),
        (discretized_logistic_mixture(2), ImageSpec(1, 2, 1), 256),
    ],
    ids=["black_and_white", "three_channels", "three_levels", "mixture"],
)
def test_the_probabilities_of_all_images_sum_to_one(likelihood, spec, levels):
    model = gated(likelihood, spec)
    size = spec.height * spec.width * spec.channels
    values = np.linspace(0, 255, levels).round().astype(np.uint8)
    images = np.array(list(itertools.product(values, repeat=size))).reshape(-1, *spec)
    log_prob = jax.jit(model.log_prob)(lively(model), {"image": images})
    assert np.exp(special.logsumexp(log_prob)) == pytest.approx(1, rel=1e-4)  # float32, 65,536 terms at most


@pytest.mark.parametrize(
    "model",
    [gated(), gated(categorical(5), ImageSpec(3, 4, 3)), plus(), labelled_and_worded()],
    ids=["bernoulli", "categorical", "plus", "label-and-text"],
)
def test_incremental_sampling_changes_no_pixel(model):
    networks = lively(model)
    fields = {"label": jnp.array([0, 2, 1]), "text": jnp.array([[1, 0], [2, 3], [4, 5]])}
    fields = {name: fields[name] for name in model.conditions}
    one, other = (
        jax.jit(sampler)(networks, KEYS, **fields)
        for sampler in (model.sampler(), model._replace(draw=draw_naively).sampler())
    )
    chex.assert_trees_all_equal(one, other)
    assert one.shape == (3, *model.spec)
    assert len(np.unique(one)) > 1


def test_the_sampler_draws_as_often_as_the_likelihood_says():
    model = gated(spec=ImageSpec(1, 2, 1))
    networks, images = (
        lively(model),
        np.array(list(itertools.product((0, 255), repeat=2)), np.uint8).reshape(4, 1, 2, 1),
    )
    expected = np.exp(jax.jit(model.log_prob)(networks, {"image": images}))
    drawn = jax.jit(model.sampler())(networks, jax.random.split(jax.random.key(0), 4_000))
    shares = [(np.asarray(drawn) == np.asarray(to_float(image))).all((1, 2, 3)).mean() for image in images]
    np.testing.assert_allclose(shares, expected, atol=0.03)  # four standard errors of a share of a half


def test_a_condition_changes_images_and_their_likelihood():
    for name, conditions, fields in [
        ("label", labels(3), np.array([[0] * 64, [2] * 64], np.int32)),
        ("features", features(2), np.stack([np.zeros((64, 2), np.float32), np.ones((64, 2), np.float32)])),
    ]:
        model = gated(conditions=conditions)
        networks, images = lively(model, seed=2), np.full((64, *GATED), 255, np.uint8)
        keys = jax.random.split(jax.random.key(5), 64)

        @jax.jit
        def use(field, model=model, networks=networks, keys=keys, images=images, name=name):
            return model.log_prob(networks, {"image": images, name: field}), model.sampler()(
                networks, keys, **{name: field}
            )

        (one, first), (_, again), (other, second) = (use(field) for field in (fields[0], fields[0], fields[1]))
        assert (np.asarray(one) != np.asarray(other)).all()
        chex.assert_trees_all_equal(first, again)
        assert (np.asarray(first) != np.asarray(second)).any()


def test_a_completion_keeps_the_known_pixels_and_draws_the_rest():
    model = gated()
    networks, images = lively(model), np.random.default_rng(2).choice(np.array([0, 255], np.uint8), (3, *GATED))
    known = np.zeros(GATED[:2], bool)
    known[:2], known[3, 1] = True, True
    made = np.asarray(jax.jit(model.completion(jnp.asarray(known)))(networks, KEYS, images, {}))
    np.testing.assert_array_equal(made[:, known], images[:, known])
    assert (made[:, ~known] != images[:, ~known]).any()
    table = jax.jit(lambda batch: completions(model, networks, batch, columns=3))({"image": images[:2]})
    table = np.asarray(table)
    assert table.shape == (2, 5, *GATED)
    np.testing.assert_array_equal(table[:, -1], images[:2])
    np.testing.assert_array_equal(table[:, :-1, :2], np.repeat(images[:2, None, :2], 4, axis=1))


def test_a_temperature_raises_probabilities_to_its_inverse_power():
    dist_params = jax.random.normal(jax.random.key(0), (1, 1, 5))
    images = np.linspace(0, 255, 5).round().astype(np.uint8).reshape(-1, 1, 1, 1)
    plain, cold = (
        np.exp(jax.jit(likelihood.log_prob)(dist_params, images))
        for likelihood in (categorical(5), tempered(categorical(5), 0.5))
    )
    np.testing.assert_allclose(cold, plain**2 / (plain**2).sum(), rtol=1e-5)


def test_a_cold_mixture_is_narrower_and_its_mean_is_where_its_likeliest_component_is():
    dist_params = np.array([1.0, 0.0, -0.5, 0.5, -2.0, -2.0], np.float32)[None, None]
    keys = jax.random.split(jax.random.key(0), 500)
    draws = [
        np.asarray(
            jax.jit(jax.vmap(lambda key, likelihood=likelihood: likelihood.sample(key, dist_params)[0, 0, 0]))(keys)
        )
        for likelihood in (MIXTURE, tempered(MIXTURE, 0.05))
    ]
    assert float(draws[1].std()) < 0.1 < float(draws[0].std())
    assert float(draws[1].mean()) == pytest.approx(-0.5, abs=0.01)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_none_is_refused(temperature):
    prior = CodePrior(GatedPixelCNN(3, 2, ()), 3, (2, 2))
    for sampler in (gated().sampler, prior.code_sampler):
        with pytest.raises(ValueError, match=f"temperature of {temperature} .* expected a finite number above 0"):
            sampler(temperature)


def test_a_density_and_a_mask_of_another_size_are_refused():
    with pytest.raises(ValueError, match="A density was given; expected bernoulli, categorical or"):
        gated(gaussian()).sampler()
    with pytest.raises(ValueError, match=r"A mask bool\[4, 5\] was given; expected bool\[5, 4\]"):
        gated().completion(jnp.zeros((4, 5), bool))


def test_sides_that_cannot_be_halved_are_refused():
    model = plus()._replace(spec=ImageSpec(4, 6, 3))
    with pytest.raises(InputError, match="sides are multiples of 4; got 6"):
        jax.eval_shape(lambda: lively(model))


def test_the_loss_is_the_negative_log_likelihood_and_dropout_is_drawn_anew():
    batch = {"image": jnp.arange(2 * 96, dtype=jnp.uint8).reshape(2, *PLUS)}
    model = plus()
    networks = lively(model)
    contexts = [Context(batch, jax.random.key(seed), jnp.int32(0)) for seed in (0, 1)]
    (value, aux), log_prob = jax.jit(
        lambda networks, context: (pixelcnn_loss(model)(networks, context), model.log_prob(networks, batch))
    )(networks, contexts[0])
    expected = -np.asarray(log_prob).mean()
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    bits = aux.metrics["bits_per_dim"]
    np.testing.assert_allclose(bits.total / bits.count, expected / (96 * np.log(2)), rtol=1e-5)
    dropping = model._replace(network=model.network.clone(dropout=0.5))
    loss = jax.jit(pixelcnn_loss(dropping))
    one, again, other = (loss(networks, context)[0] for context in (contexts[0], contexts[0], contexts[1]))
    assert one == again != other


def test_a_vqvae_draws_by_the_prior_of_its_codes():
    spec, codes = ImageSpec(8, 12, 3), 5
    model = VQVAE(MapEncoder(2, 4, 1), MapDecoder(spec, 4, 1), gaussian(), codes)
    prior = CodePrior(GatedPixelCNN(codes, 3, (1,)), codes, (2, 3))
    batch = {"image": jax.random.randint(jax.random.key(9), (4, *spec), 0, 256).astype(jnp.uint8)}
    update = chain(
        vqvae=minimize(vector_quantized_loss(model), optax.adam(1e-3), wrt=("encoder", "decoder")),
        prior=minimize(code_prior_loss(model, prior), optax.adam(1e-2), wrt="prior"),
    )
    first, key = jax.random.split(jax.random.key(0))
    state, metrics = trained(update, lambda: {**model.init(first, spec), **prior.init(first)}, key, batch, steps=20)
    bits = np.asarray(metrics["prior/bits_per_code"].total / metrics["prior/bits_per_code"].count)
    assert bits[-1] < bits[0]
    drawn, images = jax.jit(
        lambda networks, keys: (prior.code_sampler()(networks, keys, {}), vqvae_sampler(model, prior)(networks, keys))
    )(state.networks, KEYS)
    assert (drawn.shape, drawn.dtype) == ((3, 2, 3), jnp.int32)
    assert set(np.unique(drawn)) <= set(range(codes))
    expected = jax.jit(lambda codes: model.likelihood.mean(model.decode(state.networks, codes)))(drawn)
    chex.assert_trees_all_close(images, expected, atol=1e-5)


def test_a_prior_of_other_codes_or_maps_is_refused():
    model = VQVAE(MapEncoder(2, 4, 1), MapDecoder(ImageSpec(8, 12, 3), 4, 1), gaussian(), 5)
    with pytest.raises(ValueError, match="A prior of 4 codes was given for a model of 5"):
        code_prior_loss(model, CodePrior(GatedPixelCNN(4, 3, (1,)), 4, (2, 3)))
    with pytest.raises(ValueError, match=r"gives \[1, 2, 3, 1\]; expected \[1, 2, 3, 5\]"):
        jax.eval_shape(CodePrior(GatedPixelCNN(1, 3, (1,)), 5, (2, 3)).init, jax.random.key(0))
    prior, batch = CodePrior(GatedPixelCNN(5, 3, (1,)), 5, (2, 2)), {"image": jnp.zeros((1, 8, 12, 3), jnp.uint8)}
    networks = jax.eval_shape(
        lambda key: {**model.init(key, ImageSpec(8, 12, 3)), **prior.init(key)}, jax.random.key(0)
    )
    with pytest.raises(ValueError, match=r"maps \[2, 2\] was given for codes \[2, 3\]"):
        jax.eval_shape(code_prior_loss(model, prior), networks, Context(batch, jax.random.key(0), jnp.int32(0)))


def test_the_probabilities_of_all_maps_of_codes_sum_to_one():
    prior = CodePrior(GatedPixelCNN(3, 2, (1,)), 3, (2, 2))
    networks = networks_like(lambda: prior.init(jax.random.key(0)))
    maps = np.array(list(itertools.product(range(3), repeat=4)), np.int32).reshape(-1, 2, 2)
    log_prob = jax.jit(prior.log_prob)(networks, maps)
    assert np.exp(log_prob).sum() == pytest.approx(1, rel=1e-5)
