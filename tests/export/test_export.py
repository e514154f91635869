import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgen
from jaxgen import ImageSpec, InputError, Sampler
from jaxgen.data import train_tokenizer
from jaxgen.export import (
    BATCH,
    SIGNATURE,
    ExportInfo,
    export_sampler,
    exportable,
    load_controls,
    load_restorer,
    load_sampler,
    load_stylizer,
    seeded,
)
from jaxgen.models import labels, text

SPEC = ImageSpec(5, 4, 3)
FUNCTION = "sampler.stablehlo"


def draw(networks, keys, fields):
    """Smooth noise through a matrix."""
    latent = jax.vmap(lambda key: jax.random.normal(key, (8,)))(keys)
    return jnp.tanh(latent @ networks["generator"]["params"]).reshape(-1, *SPEC)


SAMPLER = Sampler(draw)
NETWORKS = {"generator": {"params": jax.random.normal(jax.random.key(0), (8, 60))}}


@pytest.fixture
def folder(tmp_path):
    export_sampler(SAMPLER)(tmp_path / "sampler", NETWORKS, ExportInfo(SPEC))
    return tmp_path / "sampler"


def test_the_exported_sampler_is_the_live_one(folder):
    live = jax.jit(seeded(SAMPLER, NETWORKS))(jnp.uint32(7), jnp.arange(BATCH, dtype=jnp.int32))
    np.testing.assert_array_equal(load_sampler(folder).draw(7, BATCH), live)


@pytest.mark.parametrize("of", [np.asarray, jnp.asarray])
def test_a_sampler_may_index_what_it_reads(tmp_path, of):
    def look_up(networks, keys, fields):
        return networks["book"][jax.vmap(lambda key: jax.random.randint(key, (5, 4), 0, 7))(keys)]

    networks = {"book": of(jax.random.normal(jax.random.key(0), (7, 3)))}
    export_sampler(Sampler(look_up))(tmp_path / "sampler", networks, ExportInfo(SPEC))
    live = jax.jit(seeded(Sampler(look_up), exportable(networks)))
    expected = live(jnp.uint32(7), jnp.arange(BATCH, dtype=jnp.int32))
    np.testing.assert_array_equal(load_sampler(tmp_path / "sampler").draw(7, BATCH), expected)


def test_an_image_depends_on_seed_and_index_alone(folder):
    sampler = load_sampler(folder)
    images = sampler.draw(7, 2 * BATCH + 3)
    np.testing.assert_array_equal(sampler.draw(7, 5), images[:5])
    np.testing.assert_array_equal(sampler.draw(7, 40, start=BATCH - 20), images[BATCH - 20 : BATCH + 20])
    assert (sampler.draw(8, 5) != images[:5]).any(axis=(1, 2, 3)).all()


def test_a_run_is_loaded_and_draws_labels_and_captions_in_turn(tmp_path):
    tokenizer = train_tokenizer(["cat", "emu", "emu"], length=1, size=9)
    conditions = {**labels(3), **text(1)}

    def shade(networks, keys, fields):
        level = fields["label"] + 10.0 * fields["text"][:, 0]
        return level[:, None, None, None] / 127.5 - 1 + jnp.zeros((1, *SPEC))

    info = ExportInfo(SPEC, tokenizer=tokenizer, class_names=("red", "green", "blue"))
    export_sampler(Sampler(shade, conditions))(tmp_path / "run" / "sampler", {}, info)
    of = {word: 10 * int(tokenizer.encode([word])[0, 0]) for word in ("cat", "emu")}
    for folder in (tmp_path / "run", tmp_path / "run" / "sampler"):
        model = jaxgen.load(folder)
        shades = model.sample(4, label=["blue", 1], text=["cat", "emu", "cat"])[:, 0, 0, 0]
        np.testing.assert_array_equal(shades, np.add([2, 1, 2, 1], [of["cat"], of["emu"], of["cat"], of["cat"]]))
        np.testing.assert_array_equal(model.sample(4, text="emu")[:, 0, 0, 0], np.add([0, 1, 2, 0], of["emu"]))
        assert model.sample(1, label=np.arange(3)[1], text="emu")[0, 0, 0, 0] == 1 + of["emu"]
    with pytest.raises(InputError, match="red, green, blue"):
        model.sample(1, label="grey", text="emu")
    for empty in ({"label": [], "text": "emu"}, {"text": []}):
        with pytest.raises(InputError, match="is an empty list"):
            model.sample(1, **empty)
    with pytest.raises(InputError, match="sampler"):
        jaxgen.load(tmp_path)


def test_images_of_different_indices_differ(folder):
    images = load_sampler(folder).draw(0, 100)
    assert len(np.unique(images, axis=0)) == 100


def test_the_file_holds_any_batch_and_three_platforms(folder):
    exported = jax.export.deserialize(bytearray((folder / FUNCTION).read_bytes()))
    assert set(exported.platforms) == {"cpu", "cuda", "tpu"}
    for size in (1, 3):
        assert exported.call(jnp.uint32(0), jnp.arange(size, dtype=jnp.int32)).shape == (size, *SPEC)


def test_the_signature_says_what_goes_in_and_out(folder):
    signature = json.loads((folder / SIGNATURE).read_text())
    assert signature["inputs"] == {"seed": "uint32 []", "index": "int32 [B]"}
    assert signature["output"] == "uint8 [B, 5, 4, 3]"


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-1], lambda content: content[:50] + b"x" + content[51:], lambda _: b""]
)
def test_a_damaged_file_is_refused(folder, damage):
    path = folder / FUNCTION
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"stablehlo is damaged"):
        load_sampler(folder)


def test_a_missing_or_unreadable_sampler_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="holds no sampler"):
        load_sampler(tmp_path)
    (folder / SIGNATURE).write_text("{")
    with pytest.raises(InputError, match=r"signature\.json cannot be read"):
        load_sampler(folder)


@pytest.mark.parametrize(
    ("load", "kind"), [(load_controls, "controls"), (load_restorer, "restorer"), (load_stylizer, "style transfer")]
)
def test_a_folder_of_another_kind_is_refused(folder, load, kind):
    with pytest.raises(InputError, match=f"holds no {kind}: it holds sampler"):
        load(folder)
