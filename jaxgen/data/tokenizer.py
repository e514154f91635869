"""Words as numbers, by the library `tokenizers`.

A word is what lies between blanks and punctuation, in lower case and without accents; hyphens are part of it.  Words
have numbers from 2 on in the order of how often they were met; 0 stands for no word, at the end of a short text.  Words
that were never met have no number, and are left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from jaxgen.io.errors import InputError, first_line

PADDING, UNKNOWN = 0, 1
SPECIAL = ("[PAD]", "[UNK]")
SEPARATORS = r"[^\w-]+"


@dataclass(frozen=True)
class Tokenizer:
    """Texts to tokens int32 [N, T] and back; `content` is all of it, as the JSON of the library."""

    content: str

    @cached_property
    def _library(self) -> Any:
        from tokenizers import Tokenizer as Library

        try:
            tokenizer = Library.from_str(self.content)
        except Exception as error:  # the library raises no narrower type
            raise InputError(f"No tokenizer can be read from its JSON: {first_line(error)}") from error
        if not tokenizer.padding:
            raise InputError("This tokenizer's JSON does not say how many tokens a text has.")
        return tokenizer

    @property
    def length(self) -> int:
        """How many tokens a text has, T."""
        return self._library.padding["length"]

    @property
    def size(self) -> int:
        """Tokens are below this."""
        return self._library.get_vocab_size()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The tokens int32 [N, T] of the known words.

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
        """The words of tokens [N, T], a blank between two."""
        return [
            " ".join(self._library.id_to_token(token) for token in row if token > UNKNOWN) for row in tokens.tolist()
        ]

    def unknown_words(self, text: str) -> list[str]:
        """The words of a text that have no number, each once."""
        encoding = self._library.encode(text)
        places = [place for token, place in zip(encoding.ids, encoding.offsets, strict=True) if token == UNKNOWN]
        return list(dict.fromkeys(text[first:last] for first, last in places))


def train_tokenizer(texts: Iterable[str], *, length: int, size: int) -> Tokenizer:
    """A tokenizer of the most frequent words of texts, with tokens below `size`; a text has `length` of them.

    Raises:
      InputError: there are no words.
    """
    from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers
    from tokenizers import Tokenizer as Library

    tokenizer: Any = Library(models.WordLevel(unk_token=SPECIAL[UNKNOWN]))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(SEPARATORS), "removed")
    trainer = trainers.WordLevelTrainer(special_tokens=list(SPECIAL), vocab_size=size, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() <= len(SPECIAL):
        raise InputError("The captions hold no words to learn a vocabulary from.")
    tokenizer.enable_padding(length=length, pad_id=PADDING, pad_token=SPECIAL[PADDING])
    return Tokenizer(tokenizer.to_str())
