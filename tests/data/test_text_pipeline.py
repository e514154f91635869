"""Text as a condition: from captions in the data to the command line."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import Context, ImageSpec, InputError, Sampler
from jaxgen.cli import main as jaxgen
from jaxgen.core.condition import conditioning, example_fields, text
from jaxgen.export import ExportInfo, export_sampler, load_controls, load_sampler
from jaxgen.losses import logistic_discriminator
from jaxgen.models import GAN, mismatched_loss
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator, TextEncoder, WithText
from tests.prepared import write_mnist
from tests.programs import ROOT, TINY, load_program, loaded, run_here

SPEC = ImageSpec(28, 28, 1)
TOKENS = jnp.array([[2, 3, 0], [4, 0, 0], [2, 3, 0]])


def test_a_condition_on_text_is_its_tokens():
    np.testing.assert_array_equal(conditioning(text(3), {"text": TOKENS})[0], TOKENS)
    assert (fields := example_fields(text(3), 2))["text"].shape == (2, 3)
    assert fields["text"].dtype == jnp.int32
    with pytest.raises(ValueError, match="expected at least 1"):
        text(0)


@pytest.fixture(scope="module")
def gan():
    encoder = TextEncoder(vocabulary=8, size=4, heads=1)
    discriminator = WithText(DCGANDiscriminator(2, normalize=False), encoder)
    return GAN(WithText(DCGANGenerator(SPEC, 2), encoder), discriminator, latent_size=3, conditions=text(3))


def test_the_mismatched_loss_is_the_objective_of_own_and_next_captions_where_they_differ(gan):
    networks = jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0))
    images = jax.random.randint(jax.random.key(1), (3, *SPEC), 0, 256).astype(jnp.uint8)
    context = Context({"image": images, "text": TOKENS}, jax.random.key(2), jnp.int32(0))
    loss = jax.jit(mismatched_loss(gan, logistic_discriminator))

    @jax.jit
    def logits(tokens):
        return gan.discriminate(networks, context, images / 127.5 - 1, (tokens,), train=False)[0]

    own, other = logits(TOKENS), logits(TOKENS[jnp.array([1, 2, 0])])
    value, _ = loss(networks, context)
    # The last example has the same caption as the first, which is its next.
    np.testing.assert_allclose(value, logistic_discriminator(own, other)[:2].mean(), rtol=1e-5)
    labelled = context._replace(batch={**context.batch, "label": jnp.array([0, 1, 1])})
    value, _ = loss(networks, labelled)
    np.testing.assert_allclose(value, logistic_discriminator(own, other)[jnp.array([0, 2])].mean(), rtol=1e-5)


def test_the_same_latent_with_other_words_is_another_image(gan):
    networks = jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0))
    keys = jnp.repeat(jax.random.key(1)[None], 3)
    images = jax.jit(gan.sampler())(networks, keys, text=TOKENS)
    assert jnp.abs(images[0] - images[1]).max() > 1e-5
    np.testing.assert_allclose(images[0], images[2], atol=1e-6)


text_to_mnist = load_program(ROOT / "experiments" / "text_to_mnist.py")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A tiny run on random images with the captions of digits."""
    folder = tmp_path_factory.mktemp("text")
    image = np.random.default_rng(0).integers(0, 256, (64, 28, 28), dtype=np.uint8)
    write_mnist(folder, train=image)
    with pytest.MonkeyPatch.context() as monkeypatch:
        arguments = (*TINY, "--data-dir", folder, "--out", folder / "run", "--steps", 2, "--evaluated", 10)
        assert run_here(monkeypatch, text_to_mnist.main, *arguments) == 0
    return folder / "run"


def test_a_run_keeps_its_tokenizer_with_all_that_it_exports(run):
    sampler, controls = load_sampler(run / "sampler"), load_controls(run / "controls")
    assert sampler.tokenizer == controls.tokenizer
    assert "seven" in sampler.tokenizer.decode(sampler.tokenizer.encode(["a handwritten seven"]))[0]
    assert json.loads((run / "sampler" / "signature.json").read_text())["inputs"]["text"] == "int32 [B, 10]"


def test_words_are_drawn_in_turn_and_unseen_ones_are_named(run, tmp_path, monkeypatch, capsys):
    out = ("--num", 4, "--out", tmp_path / "out.npz")
    texts = ("--text", "A seven, pretty please!", "a one")
    assert run_here(monkeypatch, jaxgen, "sample", run, *out, *texts) == 0
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "not in the vocabulary are left out: pretty, please" in printed
    drawn = loaded(tmp_path / "out.npz")["arr_0"]
    captions = ["a seven", "a one"] * 2
    np.testing.assert_array_equal(drawn, load_sampler(run / "sampler").draw(0, 4, text=captions))
    assert run_here(monkeypatch, jaxgen, "sample", run, "--num", 4, "--out", tmp_path / "grid.png", *texts) == 0
    options = ("--rows", 1, "--columns", 2, "--text", "a one", "--out", tmp_path / "rows.png")
    assert run_here(monkeypatch, jaxgen, "interpolate", run, *options) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--text is missing"),
        (("--text", ""), "--text '' is empty"),
        (("--text", "a one", " "), "--text ' ' is empty"),
        (("--text", "purple cow"), "none of its words is in the vocabulary"),
        (("--text", " ".join(["one"] * 11)), "has 11 words; at most 10"),
        (("--label", "7"), "--label 7: "),
        (("--features", "f.npz"), "is not conditioned on features"),
    ],
)
def test_what_does_not_fit_the_condition_is_one_line(run, monkeypatch, capsys, options, message):
    assert run_here(monkeypatch, jaxgen, "sample", run, *options) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


def test_a_damaged_tokenizer_is_not_used(run, tmp_path):
    tokenizer = run / "sampler" / "tokenizer.json"
    whole = tokenizer.read_text()
    try:
        tokenizer.write_text(whole.replace("seven", "eleven"))
        with pytest.raises(InputError, match=r"tokenizer.json is damaged"):
            load_sampler(run / "sampler")
    finally:
        tokenizer.write_text(whole)


def test_words_for_a_run_without_a_condition_are_one_line(tmp_path, monkeypatch, capsys):
    sampler = Sampler(lambda networks, keys, fields: jnp.zeros((keys.shape[0], *SPEC)))
    export_sampler(sampler)(tmp_path / "sampler", {}, ExportInfo(SPEC))
    assert run_here(monkeypatch, jaxgen, "sample", tmp_path, "--text", "a one") == 2
    assert "is not conditioned on text" in capsys.readouterr().err
    with pytest.raises(InputError, match="no tokenizer"):
        load_sampler(tmp_path / "sampler").draw(0, 1, text=["a one"])


def test_captions_that_are_too_long_for_a_run_are_refused_before_anything_is_written(tmp_path, monkeypatch, capsys):
    options = ("--offline", "--out", tmp_path / "run", "--words", 2)
    assert run_here(monkeypatch, text_to_mnist.main, *TINY, *options) == 2
    assert "words; at most 2 are read" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
