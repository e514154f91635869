"""A folder of exported functions, `<name>.stablehlo`, with a `signature.json` that holds the SHA-256 of each.

What is told words has a `tokenizer.json` too.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import export

from jaxgen.core.condition import Condition
from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Array, Networks
from jaxgen.data.tokenizer import Tokenizer
from jaxgen.io.errors import InputError, first_line
from jaxgen.io.files import AnyPath, write_whole

PLATFORMS = ("cpu", "cuda", "tpu")
FUNCTION_SUFFIX, SIGNATURE, TOKENIZER = ".stablehlo", "signature.json", "tokenizer.json"


class ConditionSpec(NamedTuple):
    """What conditional functions are told of an image: a field, its shape and type, how many classes it has, if any.

    `tokenizer` makes tokens of words, if it is told them.
    """

    field: str
    shape: tuple[int, ...]
    dtype: str
    classes: int
    tokenizer: Tokenizer | None = None


class Stored(NamedTuple):
    """What a folder holds."""

    functions: dict[str, Callable[..., Array]]
    spec: ImageSpec
    told: ConditionSpec | None


def exportable(networks: Networks) -> Networks:
    """The networks as functions of them can be exported: each array whole on one device, and JAX's as in training."""

    def on_one_device(array: Array) -> Array:
        is_whole = isinstance(array, jax.Array) and len(array.devices()) == 1
        return array if is_whole else jnp.asarray(jax.device_get(array))

    return jax.tree.map(on_one_device, networks)


def condition_spec(condition: Condition | None) -> ConditionSpec | None:
    """What a condition tells, without the function that encodes it."""
    return condition and ConditionSpec(
        condition.field, condition.shape, condition.dtype, condition.classes, condition.tokenizer
    )


def told_argument(told: ConditionSpec | None, batch: Any) -> tuple[jax.ShapeDtypeStruct, ...]:
    """The field's argument [B, ...], if there is one."""
    return () if told is None else (jax.ShapeDtypeStruct((batch, *told.shape), told.dtype),)


def save_functions(
    folder: AnyPath,
    functions: Mapping[str, tuple[Callable[..., Array], Sequence[Any]]],
    spec: ImageSpec,
    told: ConditionSpec | None,
    *,
    gradients: Collection[str] = (),
    **signature: Any,
) -> None:
    """Writes functions with the shapes of their arguments, and what the signature says besides.

    Those that `gradients` names can be differentiated once when they are read.
    """
    digests, folder = {}, Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, (function, arguments) in functions.items():
        exported = export.export(jax.jit(function), platforms=PLATFORMS)(*arguments)
        content = bytes(exported.serialize(vjp_order=int(name in gradients)))
        digests[name] = sha256(content).hexdigest()
        write_whole(folder / f"{name}{FUNCTION_SUFFIX}", content)
    if told is not None and told.tokenizer is not None:
        write_whole(folder / TOKENIZER, told.tokenizer.content)
        signature[TOKENIZER] = sha256(told.tokenizer.content.encode()).hexdigest()
    record = {
        **signature,
        "told": told and {name: value for name, value in told._asdict().items() if name != "tokenizer"},
        "image": spec._asdict(),
        "platforms": PLATFORMS,
        "jax": jax.__version__,
        "sha256": digests,
    }
    write_whole(folder / SIGNATURE, json.dumps(record, indent=2) + "\n")


def load_functions(folder: AnyPath, what: str) -> Stored:
    """The functions in a folder, each compiled when it is called.

    Raises:
      InputError: there are none, one is damaged, or this JAX cannot read it; the message says of what they are.
    """
    folder = Path(folder)
    try:
        signature = json.loads((folder / SIGNATURE).read_text())
        spec, digests = ImageSpec(**signature["image"]), dict(signature["sha256"])
        told = ConditionSpec(**signature["told"]) if signature.get("told") else None
        contents = {name: (folder / f"{name}{FUNCTION_SUFFIX}").read_bytes() for name in digests}
    except FileNotFoundError as error:
        raise InputError(f"{folder} holds no {what}: {error.filename} is missing.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / SIGNATURE} cannot be read: {error}") from error
    words = _read_tokenizer(folder / TOKENIZER, signature.get(TOKENIZER))
    functions = {}
    for name, content in contents.items():
        path = folder / f"{name}{FUNCTION_SUFFIX}"
        if sha256(content).hexdigest() != digests[name]:
            raise InputError(f"{path} is damaged: its SHA-256 is not the one in {SIGNATURE}.")
        try:
            functions[name] = jax.jit(export.deserialize(bytearray(content)).call)
        except Exception as error:
            made = f"made by jax {signature.get('jax')}, this is {jax.__version__}"
            raise InputError(f"{path} cannot be read ({made}): {first_line(error)}") from error
    return Stored(functions, spec, told and told._replace(shape=tuple(told.shape), tokenizer=words))


def _read_tokenizer(path: Path, digest: str | None) -> Tokenizer | None:
    if digest is None:
        return None
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    if sha256(content).hexdigest() != digest:
        raise InputError(f"{path} is damaged: its SHA-256 is not the one in {SIGNATURE}.")
    return Tokenizer(content.decode())
