"""A trained matching network of images and captions: a folder with `matcher.safetensors` and `tokenizer.json`."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.precision import at_precision
from jaxgen.core.types import Array, Variables
from jaxgen.data.tokenizer import Tokenizer
from jaxgen.evaluation.network import CHUNK
from jaxgen.evaluation.require import require_images
from jaxgen.evaluation.weights import read_weights, write_weights
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath, write_whole
from jaxgen.nets import Matching, forward

WEIGHTS, TOKENIZER = "matcher.safetensors", "tokenizer.json"
SPEC = ImageSpec(32, 32, 3)
"""The size of the images that it takes."""


class Matcher(NamedTuple):
    """Compares images and captions by a network's features [N, F] of unit length."""

    variables: Variables
    tokenizer: Tokenizer

    def extract(self, images: np.ndarray, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Features of images uint8 [N, 32, 32, 3] and of as many texts.

        Raises:
          InputError: images of another size, another number of texts, or a text that is too long.
        """
        require_images(images)
        if images.shape[1:] != SPEC or len(texts) != len(images):
            size = "x".join(map(str, images.shape[1:]))
            found = f"{len(images)} of {size} and {len(texts)} texts"
            raise InputError(f"The matching network takes images of 32x32x3 and a text for each; these are {found}.")
        module, tokens = Matching(self.tokenizer.size), self.tokenizer.encode(texts)

        def encode(image: Array, text: Array) -> tuple[Array, Array]:
            return forward(module, self.variables, to_float(image), text, train=False)[0]

        extract = jax.jit(at_precision("highest", encode))
        parts = [extract(images[at : at + CHUNK], tokens[at : at + CHUNK]) for at in range(0, len(images), CHUNK)]
        return tuple(np.concatenate([np.asarray(part[side]) for part in parts]) for side in (0, 1))  # pyright: ignore[reportReturnType]


def save_matcher(folder: AnyPath, matcher: Matcher) -> None:
    """Writes a matching network into a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / TOKENIZER, matcher.tokenizer.content)
    write_weights(folder / WEIGHTS, matcher.variables)


def load_matcher(folder: AnyPath) -> Matcher:
    """The matching network in a folder.

    Raises:
      InputError: the folder holds none, or it is damaged.
    """
    folder = Path(folder)
    try:
        tokenizer = Tokenizer((folder / TOKENIZER).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{folder} holds no matching network: {TOKENIZER} cannot be read.") from error
    inputs = jnp.zeros((1, *SPEC)), jnp.zeros((1, tokenizer.length), jnp.int32)
    module = Matching(tokenizer.size)
    template = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs, train=False))
    return Matcher(read_weights(folder / WEIGHTS, template), tokenizer)
