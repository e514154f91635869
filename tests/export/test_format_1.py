"""Folders written in format 1, in which a function has at most one condition, still load."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import ImageSpec, InputError, Sampler
from jaxgen.core.condition import conditioning, features, labels, text
from jaxgen.core.controls import Controls
from jaxgen.data import train_tokenizer
from jaxgen.export import SIGNATURE, ExportInfo, export_controls, export_sampler, load_controls, load_sampler
from jaxgen.export.format_1 import with_conditions

SPEC = ImageSpec(2, 2, 1)
LABEL, FEATURES, TEXT = (
    {"field": "label", "shape": [], "dtype": "int32", "classes": 3},
    {"field": "features", "shape": [2], "dtype": "float32", "classes": 0},
    {"field": "text", "shape": [2], "dtype": "int32", "classes": 0},
)
CONDITIONS = [({}, None), (labels(3), LABEL), (features(2), FEATURES), (text(2), TEXT)]
TOKENIZER = train_tokenizer(["a red heart"], length=2, size=5)
ENTRIES = {"told", "image", "platforms", "jax", "sha256"}
"""Of each signature of format 1; that of a sampler has two more, and that of a model of text a tokenizer."""


def fields_of(condition, num):
    """Fields of a condition, each example another."""
    if condition is None:
        return {}
    values = {"label": [2, 0, 1], "features": [[0.0, 1.0], [2.0, 0.0], [0.5, 0.2]], "text": [[0, 2], [3, 0], [2, 0]]}
    return {condition["field"]: np.array(values[condition["field"]], condition["dtype"])[:num]}


def as_format_1(folder, condition, entries):
    """Rewrites a folder's signature, of these entries, and the names of its functions as format 1 has them."""
    signature = json.loads((folder / SIGNATURE).read_text())
    assert signature.pop("format") == 2
    assert signature.pop("conditions") == ([condition] if condition else [])
    if "logits" in signature["sha256"]:
        signature["sha256"]["judge"] = signature["sha256"].pop("logits")
        (folder / "logits.stablehlo").rename(folder / "judge.stablehlo")
    signature["told"] = condition
    assert signature.keys() == entries | ({"tokenizer.json"} if condition is TEXT else set())
    (folder / SIGNATURE).write_text(json.dumps(signature))


def brightness(conditions, fields, num):
    """A grey value in [-1, 1] for each image: that of its condition if there is one."""
    inputs = conditioning(conditions, fields)
    return jnp.argmax(inputs[0], axis=-1) - 1.0 if inputs else jnp.zeros(num)


@pytest.mark.parametrize(("conditions", "condition"), CONDITIONS)
def test_a_sampler_draws_the_same_images(tmp_path, conditions, condition):
    def draw(networks, keys, fields):
        noise = jax.vmap(lambda key: jax.random.normal(key, SPEC))(keys)
        return jnp.tanh(networks["scale"] * noise + brightness(conditions, fields, keys.shape[0])[:, None, None, None])

    sampler = Sampler(draw, conditions)
    info = ExportInfo(SPEC, conditions, TOKENIZER if condition is TEXT else None)
    export_sampler(sampler)(tmp_path, {"scale": jnp.float32(0.5)}, info)
    fields, present = fields_of(condition, 3), load_sampler(tmp_path)
    as_format_1(tmp_path, condition, ENTRIES | {"inputs", "output"})
    earlier = load_sampler(tmp_path)
    np.testing.assert_array_equal(earlier.draw(7, 3, fields=fields), present.draw(7, 3, fields=fields))
    assert (earlier.spec, earlier.conditions, earlier.tokenizer) == (SPEC, present.conditions, info.tokenizer)


@pytest.mark.parametrize(("conditions", "condition"), CONDITIONS)
def test_controls_are_the_same_functions(tmp_path, conditions, condition):
    def controls(networks):
        return Controls(
            draw=lambda seed, index: index[:, None] + jnp.float32(seed) + jnp.arange(2.0),
            codes=lambda latents, fields: (
                latents[:, None] + brightness(conditions, fields, latents.shape[0])[:, None, None]
            ),
            generate=lambda codes, latents, fields: jnp.tile(codes[:, 0, :1, None, None], (1, 2, 2, 1)),
            first_layer=lambda codes: codes[:, 0] * 2,
            logits=lambda images, fields: images.mean((1, 2, 3)) + brightness(conditions, fields, images.shape[0]),
        )

    export_controls(controls)(tmp_path, {}, ExportInfo(SPEC, conditions, TOKENIZER))
    as_format_1(tmp_path, condition, ENTRIES)
    live, loaded = controls({}), load_controls(tmp_path)
    assert list(loaded.conditions) == list(conditions)
    fields, images = fields_of(condition, 2), jnp.ones((2, *SPEC))
    latents = live.draw(jnp.uint32(1), jnp.arange(2))
    codes = live.codes(latents, fields)
    for name, arguments in {
        "draw": (jnp.uint32(1), jnp.arange(2)),
        "codes": (latents, fields),
        "generate": (codes, latents, fields),
        "first_layer": (codes,),
        "logits": (images, fields),
    }.items():
        expected = getattr(live, name)(*arguments)
        np.testing.assert_allclose(getattr(loaded.controls, name)(*arguments), expected, rtol=1e-6)
    assert loaded.controls.encode is None


def test_a_condition_becomes_a_list_of_one():
    assert with_conditions({"told": None, "jax": "0.7"})["conditions"] == []
    assert with_conditions({"jax": "0.7"})["conditions"] == []
    assert with_conditions({"told": LABEL})["conditions"] == [LABEL]


@pytest.mark.parametrize("change", [{"format": 3}, {"format": "2"}])
def test_a_format_that_is_not_known_is_refused(tmp_path, change):
    export_sampler(Sampler(lambda networks, keys, fields: jnp.zeros((keys.shape[0], *SPEC))))(
        tmp_path, {}, ExportInfo(SPEC)
    )
    signature = json.loads((tmp_path / SIGNATURE).read_text())
    (tmp_path / SIGNATURE).write_text(json.dumps(signature | change))
    with pytest.raises(InputError, match=r"its format is .*; expected 2: update jaxgen"):
        load_sampler(tmp_path)


def test_a_signature_of_neither_format_is_refused(tmp_path):
    (tmp_path / SIGNATURE).write_text("{}")
    with pytest.raises(InputError, match=r"signature\.json cannot be read"):
        load_sampler(tmp_path)
