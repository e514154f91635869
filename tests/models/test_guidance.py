"""Classifier-free guidance: the condition as it was learnt, without it, and beyond it."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import Aux, Context, ImageSpec
from jaxgen.core.condition import features, images, labels, text
from jaxgen.losses import bernoulli
from jaxgen.models import CodePrior, PixelCNN, draw_naively, drop_condition, guided, pixelcnn_loss
from jaxgen.models.autoregressive.incremental import draw_incrementally
from jaxgen.nets import GatedPixelCNN, TextEncoder, WithText
from tests.models.programs import networks_like

LABELS, SPEC = labels(3), ImageSpec(3, 4, 1)
KEYS = jax.random.split(jax.random.key(5), 3)


def model(spec=SPEC, **options):
    return PixelCNN(GatedPixelCNN(1, 3, (1,)), bernoulli(), spec, LABELS, **options)


def test_at_scale_one_it_is_the_conditional_model_and_at_zero_the_unconditional_one():
    plain, field, none = model(), jnp.array([0, 1, 2]), jnp.full(3, LABELS["label"].null)
    networks = networks_like(lambda: plain.init(jax.random.key(0), SPEC), seed=3, scale=1.0)
    sample = jax.jit(plain.sampler())
    conditional, null = (sample(networks, KEYS, label=label) for label in (field, none))
    assert (conditional != null).any()
    for draw in (draw_incrementally, draw_naively):
        one, zero = (jax.jit(model(draw=guided(s, draw)).sampler())(networks, KEYS, label=field) for s in (1.0, 0.0))
        chex.assert_trees_all_equal(one, conditional)
        chex.assert_trees_all_equal(zero, null)


def test_logits_go_beyond_the_condition():
    spec, scale = ImageSpec(1, 1, 1), 2.5
    plain, image = model(spec), {"image": jnp.full((2, 1, 1, 1), 255, jnp.uint8)}
    networks = networks_like(lambda: plain.init(jax.random.key(0), spec), seed=11, scale=1.0)
    white = np.exp(jax.jit(plain.log_prob)(networks, {**image, "label": np.array([1, LABELS["label"].null], np.int32)}))
    conditional, null = np.log(white / (1 - white))
    expected = 1 / (1 + np.exp(-(null + scale * (conditional - null))))
    keys = jax.random.split(jax.random.key(1), 4_000)
    drawn = jax.jit(model(spec, draw=guided(scale)).sampler())(networks, keys, label=jnp.ones(4_000, jnp.int32))
    assert abs((np.asarray(drawn) > 0).mean() - expected) < 4 * 0.5 / np.sqrt(4_000)
    assert abs(expected - white[0]) > 0.1


def test_the_condition_of_a_share_of_the_batch_is_dropped():
    plain = model()
    image = jax.random.bernoulli(jax.random.key(3), shape=(400, 3, 4, 1)) * jnp.uint8(255)
    batch = {"image": image, "label": jnp.arange(400) % 3}
    networks = networks_like(lambda: plain.init(jax.random.key(0), SPEC))

    def value(loss, **fields):
        return float(loss(networks, Context({**batch, **fields}, jax.random.key(4), jnp.int32(0)))[0])

    loss = pixelcnn_loss(plain)
    compiled = jax.jit(loss)
    conditional, null = value(compiled), value(compiled, label=jnp.full(400, LABELS["label"].null))
    never, always, some = (value(jax.jit(drop_condition(loss, LABELS, share))) for share in (0.0, 1.0, 0.3))
    assert never == conditional
    assert always == null
    share = (some - conditional) / (null - conditional)
    assert abs(share - 0.3) < 0.15


def test_each_condition_is_dropped_by_itself():
    batch = {"label": jnp.zeros(4_000, jnp.int32), "features": jnp.ones((4_000, 1))}
    seen = {}

    def loss(networks, context):
        seen.update(context.batch)
        return jnp.zeros(()), Aux()

    context = Context(batch, jax.random.key(4), jnp.int32(0))
    for independently, both in ((False, 0.3), (True, 0.09)):
        drop_condition(loss, {**LABELS, **features(1)}, 0.3, independently=independently)({}, context)
        label, feature = seen["label"] == LABELS["label"].null, seen["features"][:, 0] == 0
        for dropped, share in ((label, 0.3), (feature, 0.3), (label & feature, both)):
            assert abs(dropped.mean() - share) < 4 * (share * (1 - share) / 4_000) ** 0.5


def test_codes_are_drawn_for_captions_incrementally_as_naively():
    words, tokens = WithText(GatedPixelCNN(4, 3, (1,)), TextEncoder(7, 8, heads=2)), jnp.array([[2, 0], [5, 3], [0, 0]])
    prior = CodePrior(words, 4, (2, 3), text(2))
    networks = networks_like(lambda: prior.init(jax.random.key(0)), scale=1.0)
    sample, naively = (
        jax.jit(prior._replace(draw=guided(2.0, draw)).code_sampler()) for draw in (draw_incrementally, draw_naively)
    )
    one, other = (draw(networks, KEYS, {"text": tokens}) for draw in (sample, naively))
    chex.assert_trees_all_equal(one, other)
    again = sample(networks, KEYS, {"text": tokens[::-1]})
    assert (one != again).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: guided(-1.0), "scale of -1.0"),
        (lambda: guided(float("inf")), "scale of inf"),
        (lambda: drop_condition(lambda *_: None, LABELS, 1.5), "probability of 1.5"),
        (lambda: drop_condition(lambda *_: None, images(SPEC)), "expected labels, features or text"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
