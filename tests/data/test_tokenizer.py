import json

import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.data.tokenizer import Tokenizer, train_tokenizer

CAPTIONS = ["A red héart!", "a blue heart", "man: medium-light skin, a hat"]
TOKENIZER = train_tokenizer(CAPTIONS, length=6, size=32)


def test_tokens_are_the_words_and_back():
    tokens = TOKENIZER.encode(CAPTIONS)
    assert tokens.dtype == np.int32
    assert TOKENIZER.decode(tokens) == ["a red heart", "a blue heart", "man medium-light skin a hat"]
    np.testing.assert_array_equal(TOKENIZER.encode(TOKENIZER.decode(tokens)), tokens)


def test_no_word_is_0_and_the_most_frequent_word_is_2():
    tokens = TOKENIZER.encode(["A heart", ""])
    assert tokens[0, 0] == 2
    assert (tokens[0, 2:] == 0).all()
    assert (tokens[1] == 0).all()
    assert TOKENIZER.encode(CAPTIONS).max() < TOKENIZER.size


def test_what_was_never_seen_is_named_and_left_out():
    assert TOKENIZER.unknown_words("A Göld heart, a dog, a Göld [PAD]") == ["Göld", "dog"]
    np.testing.assert_array_equal(*(TOKENIZER.encode([text]) for text in ("a göld heart", "a heart")))


def test_all_of_a_tokenizer_is_its_json_and_the_same_captions_give_the_same():
    assert train_tokenizer(CAPTIONS, length=6, size=32) == TOKENIZER
    np.testing.assert_array_equal(Tokenizer(TOKENIZER.content).encode(CAPTIONS), TOKENIZER.encode(CAPTIONS))


def test_a_vocabulary_has_at_most_the_given_size():
    few = train_tokenizer(CAPTIONS, length=6, size=4)
    assert few.size == 4
    assert few.decode(few.encode(["a red heart"])) == ["a heart"]


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda: TOKENIZER.encode(["a a a a a a a"]), "has 7 words; at most 6"),
        (lambda: train_tokenizer(["!"], length=6, size=32), "no words"),
        (lambda: Tokenizer("{").size, "No tokenizer can be read"),
        (
            lambda: Tokenizer(json.dumps(json.loads(TOKENIZER.content) | {"padding": None})).length,
            "how many tokens",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(do, message):
    with pytest.raises(InputError, match=message):
        do()
