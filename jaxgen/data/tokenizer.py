"""Tokens of words, by the library `tokenizers`.

A text is converted to lower case without accents, and split into words: runs of letters, digits, underscores and
hyphens.  The words of the vocabulary have tokens from 2 on, by decreasing frequency in the training texts; 0 pads short
texts.  Words that are not in the vocabulary are dropped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from jaxgen.io.errors import InputError, first_line, package

PADDING, UNKNOWN = 0, 1
SPECIAL = ("[PAD]", "[UNK]")
SEPARATORS = r"[^\w-]+"
PURPOSE = "reads captions"


@dataclass(frozen=True)
class Tokenizer:
    """Encodes texts as tokens int32 [N, T] and decodes them; `content` is the tokenizer as the library's JSON."""

    content: str

    @cached_property
    def _library(self) -> Any:
        library = package("tokenizers", PURPOSE)
        try:
            tokenizer = library.Tokenizer.from_str(self.content)
        except Exception as error:  # the library raises no narrower type
            raise InputError(f"No tokenizer can be read from its JSON: {first_line(error)}") from error
        if not tokenizer.padding:
            raise InputError("This tokenizer's JSON does not say how many tokens a text has.")
        return tokenizer

    @property
    def length(self) -> int:
        """The number of tokens of a text, T."""
        return self._library.padding["length"]

    @property
    def size(self) -> int:
        """The size of the vocabulary; tokens are below it."""
        return self._library.get_vocab_size()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The tokens int32 [N, T] of the known words of each text.

        Raises:
          InputError: a text of more than T known words.
        """
        tokens = np.full((len(texts), self.length), PADDING, np.int32)
        for row, encoding in enumerate(self._library.encode_batch(list(texts))):
            known = [token for token in encoding.ids if token > UNKNOWN]
            if len(known) > self.length:
                raise InputError(f"{texts[row]!r} has {len(known)} words; at most {self.length} are read.")
            tokens[row, : len(known)] = known
        return tokens

    def decode(self, tokens: np.ndarray) -> list[str]:
        """The words of tokens [N, T], joined by blanks."""
        return [
            " ".join(self._library.id_to_token(token) for token in row if token > UNKNOWN) for row in tokens.tolist()
        ]

    def unknown_words(self, text: str) -> list[str]:
        """The unknown words of a text, each once."""
        encoding = self._library.encode(text)
        places = [place for token, place in zip(encoding.ids, encoding.offsets, strict=True) if token == UNKNOWN]
        return list(dict.fromkeys(text[first:last] for first, last in places))


def train_tokenizer(texts: Iterable[str], *, length: int, size: int) -> Tokenizer:
    """Trains a tokenizer on texts: `length` tokens per text, a vocabulary of the most frequent words.

    The vocabulary has at most `size` tokens, of which two are special: padding and unknown words.

    Raises:
      InputError: there are no words.
    """
    library = package("tokenizers", PURPOSE)
    tokenizer = library.Tokenizer(library.models.WordLevel(unk_token=SPECIAL[UNKNOWN]))
    tokenizer.normalizer, tokenizer.pre_tokenizer = _splitting(library)
    trainer = library.trainers.WordLevelTrainer(special_tokens=list(SPECIAL), vocab_size=size, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() <= len(SPECIAL):
        raise InputError("There are no captions, or no words in them; a folder's captions are in its metadata.jsonl.")
    tokenizer.enable_padding(length=length, pad_id=PADDING, pad_token=SPECIAL[PADDING])
    return Tokenizer(tokenizer.to_str())


def words_of(texts: Iterable[str]) -> list[list[str]]:
    """The words of each text, as a tokenizer splits it."""
    normalizer, splitter = _splitting(package("tokenizers", PURPOSE))
    split = (splitter.pre_tokenize_str(normalizer.normalize_str(text)) for text in texts)
    return [[word for word, _ in words] for words in split]


def _splitting(library: Any) -> tuple[Any, Any]:
    """What makes a text lower case without accents, and what splits it into words."""
    parts = library.normalizers.NFD(), library.normalizers.StripAccents(), library.normalizers.Lowercase()
    splitter = library.pre_tokenizers.Split(library.Regex(SEPARATORS), "removed")
    return library.normalizers.Sequence(list(parts)), splitter
