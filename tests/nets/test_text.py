from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import ImageSpec
from jaxgen.nets import MLPDecoder, TextEncoder, WithText, dense_outputs
from tests.nets.variables import normal, variables_of

TOKENS = np.array([[2, 3, 4, 0, 0], [3, 2, 4, 0, 0], [0, 0, 0, 0, 0]])
ENCODER = TextEncoder(vocabulary=8, size=8, heads=2)
LATENT = normal(3, 4)
NETWORK = MLPDecoder(ImageSpec(2, 2, 1), hidden=(5,))


@pytest.fixture(scope="module")
def variables():
    return variables_of(ENCODER, TOKENS)


@jax.jit
def encode(variables, tokens):
    return ENCODER.apply(variables, tokens, train=False)


def test_an_encoder_hears_words_their_order_and_silence(variables):
    encoded = encode(variables, TOKENS)
    assert encoded.shape == (3, 8)
    assert jnp.abs(encoded[0] - encoded[1]).max() > 1e-5
    np.testing.assert_array_equal(encoded[2], 0)


def test_padding_says_nothing(variables):
    longer = np.pad(TOKENS, ((0, 0), (0, 3)))
    # The embeddings of places belong to a length: those of the first five are the same here.
    places = np.pad(variables["params"]["places"], ((0, 3), (0, 0)), constant_values=9.0)
    padded = {"params": {**variables["params"], "places": places}}
    np.testing.assert_allclose(encode(padded, longer), encode(variables, TOKENS), rtol=1e-5, atol=1e-6)


def test_a_network_with_text_is_the_network_told_the_encoded_words():
    both = WithText(NETWORK, ENCODER)

    @jax.jit
    def run(variables):
        encoder, network = ({"params": variables["params"][name]} for name in ("encoder", "network"))
        by_hand = NETWORK.apply(network, LATENT, ENCODER.apply(encoder, TOKENS, train=False), train=False)
        return both.apply(variables, LATENT, TOKENS, train=False), by_hand

    np.testing.assert_array_equal(*run(variables_of(both, LATENT, TOKENS)))


def test_without_text_it_is_the_network_without_a_condition():
    both = WithText(NETWORK, ENCODER)

    @jax.jit
    def run(variables):
        alone = {"params": variables["params"]["network"]}
        return both.apply(variables, LATENT, train=False), NETWORK.apply(alone, LATENT, train=False)

    np.testing.assert_array_equal(*run(variables_of(both, LATENT)))


def test_the_first_layer_of_a_network_with_text_is_that_of_the_network():
    both = WithText(NETWORK, ENCODER)
    variables = variables_of(both, LATENT, TOKENS)
    outputs = jax.eval_shape(partial(dense_outputs, both, train=False), variables, LATENT, TOKENS)
    assert [output.shape for output in outputs] == [(3, 5), (3, 4)]
