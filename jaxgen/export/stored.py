"""A folder of exported functions, `<name>.stablehlo`, with a `signature.json` that describes them.

The signature holds the size of the images, the conditions in the order of the functions' last arguments, and the
SHA-256 of each file.  A folder of a model that is conditioned on text holds its `tokenizer.json` too.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import export

from jaxgen.core.condition import Conditions
from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Array, Networks
from jaxgen.data.tokenizer import Tokenizer
from jaxgen.export import format_1
from jaxgen.io.errors import InputError, first_line
from jaxgen.io.files import AnyPath, write_whole

FORMAT = 2
PLATFORMS = ("cpu", "cuda", "tpu")
FUNCTION_SUFFIX, SIGNATURE, TOKENIZER = ".stablehlo", "signature.json", "tokenizer.json"


class ExportInfo(NamedTuple):
    """The size of a model's images, its conditions, the tokenizer of its captions, and the names of its classes."""

    spec: ImageSpec
    conditions: Conditions = {}
    tokenizer: Tokenizer | None = None
    class_names: tuple[str, ...] = ()


Export = Callable[[Path, Networks, ExportInfo], None]
"""Writes functions of the networks, with their weights, into a folder."""


class ConditionSpec(NamedTuple):
    """A condition without its encoding: shape and dtype of one example of its field, and the number of labels.

    `class_names` are the names of the labels, or empty; `kind` is that of the features of images, or empty.
    """

    shape: tuple[int, ...]
    dtype: str
    classes: int
    class_names: tuple[str, ...] = ()
    kind: str = ""

    @property
    def null(self) -> int | None:
        """`Condition.null`: what a field is filled with for the null condition of guidance; None for images.

        Labels and known frames, which 0 means something to, have -1.
        """
        return None if self.dtype == "uint8" else -1 if self.classes or self.dtype == "int16" else 0


class Stored(NamedTuple):
    """The contents of a folder.  The functions take the fields of the conditions as their last arguments.

    `signature` is the content of `signature.json`.
    """

    functions: dict[str, Callable[..., Array]]
    spec: ImageSpec
    conditions: dict[str, ConditionSpec]
    tokenizer: Tokenizer | None
    signature: Mapping[str, Any]


def exportable(networks: Networks) -> Networks:
    """The networks with each array a `jax.Array` on a single device, as `jax.export` requires."""

    def on_one_device(array: Array) -> Array:
        is_whole = isinstance(array, jax.Array) and len(array.devices()) == 1
        return array if is_whole else jnp.asarray(jax.device_get(array))

    return jax.tree.map(on_one_device, networks)


def positional(function: Callable[..., Array], conditions: Conditions) -> Callable[..., Array]:
    """The function `(*inputs, fields)` with an argument for each field: exported functions take arrays only."""

    def with_arrays(*arguments: Array) -> Array:
        inputs = len(arguments) - len(conditions)
        return function(*arguments[:inputs], dict(zip(conditions, arguments[inputs:], strict=True)))

    return with_arrays


def by_field(function: Callable[..., Array], conditions: Collection[str]) -> Callable[..., Array]:
    """The function `(*inputs, *arrays)` with all fields in one mapping; the inverse of `positional`."""

    def with_fields(*arguments: Any) -> Array:
        *inputs, fields = arguments
        return function(*inputs, *(fields[name] for name in conditions))

    return with_fields


def field_arguments(conditions: Conditions, batch: Any) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Shape and dtype of each field [B, ...], in the order of the conditions."""
    return tuple(jax.ShapeDtypeStruct((batch, *c.shape), jnp.dtype(c.dtype)) for c in conditions.values())


def described(conditions: Conditions) -> dict[str, str]:
    """Dtype and shape of the field of each condition, for `signature.json`."""
    return {name: f"{c.dtype} [{', '.join(map(str, ('B', *c.shape)))}]" for name, c in conditions.items()}


def save_functions(
    folder: AnyPath,
    functions: Mapping[str, tuple[Callable[..., Array], Sequence[Any]]],
    info: ExportInfo,
    *,
    gradients: Collection[str] = (),
    **signature: Any,
) -> None:
    """Writes each function for arguments of these shapes and dtypes; `signature` adds entries to `signature.json`.

    The functions that `gradients` names can be differentiated once after loading.
    """
    digests, folder = {}, Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, (function, arguments) in functions.items():
        exported = export.export(jax.jit(function), platforms=PLATFORMS)(*arguments)
        content = bytes(exported.serialize(vjp_order=int(name in gradients)))
        digests[name] = sha256(content).hexdigest()
        write_whole(folder / f"{name}{FUNCTION_SUFFIX}", content)
    if info.tokenizer is not None and "text" in info.conditions:
        write_whole(folder / TOKENIZER, info.tokenizer.content)
        signature[TOKENIZER] = sha256(info.tokenizer.content.encode()).hexdigest()
    record = {
        "format": FORMAT,
        **signature,
        "conditions": [
            {"field": name, "shape": condition.shape, "dtype": condition.dtype, "classes": condition.classes}
            | ({"class_names": info.class_names} if info.class_names and condition.classes else {})
            | ({"kind": condition.kind} if condition.kind else {})
            for name, condition in info.conditions.items()
        ],
        "image": info.spec._asdict(),
        "platforms": PLATFORMS,
        "jax": jax.__version__,
        "sha256": digests,
    }
    write_whole(folder / SIGNATURE, json.dumps(record, indent=2) + "\n")


def load_functions(folder: AnyPath, kind: str, *required: str) -> Stored:
    """The functions in a folder, each compiled when it is called; `kind` describes them in messages.

    Raises:
      InputError: a function of `required` is missing, one is damaged, or this JAX cannot read it.
    """
    folder = Path(folder)
    try:
        signature = _read_signature(folder / SIGNATURE)
        spec, digests = ImageSpec(**signature["image"]), dict(signature["sha256"])
        conditions = {condition["field"]: _condition(condition) for condition in signature["conditions"]}
        contents = {name: (folder / f"{name}{FUNCTION_SUFFIX}").read_bytes() for name in digests}
    except FileNotFoundError as error:
        raise InputError(f"{folder} holds no {kind}: {error.filename} is missing.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / SIGNATURE} cannot be read: {error}") from error
    tokenizer = _read_tokenizer(folder / TOKENIZER, signature.get(TOKENIZER))
    functions = {}
    for name, content in contents.items():
        path = folder / f"{name}{FUNCTION_SUFFIX}"
        if sha256(content).hexdigest() != digests[name]:
            raise InputError(f"{path} is damaged: its SHA-256 is not the one in {SIGNATURE}.")
        try:
            functions[format_1.FUNCTIONS.get(name, name)] = jax.jit(export.deserialize(bytearray(content)).call)
        except Exception as error:
            made = f"made by jax {signature.get('jax')}, this is {jax.__version__}"
            raise InputError(f"{path} cannot be read ({made}): {first_line(error)}") from error
    if not functions.keys() >= {*required}:
        raise InputError(f"{folder} holds no {kind}: it holds {', '.join(functions) or 'nothing'}.")
    return Stored(functions, spec, conditions, tokenizer, signature)


def _condition(entry: Mapping[str, Any]) -> ConditionSpec:
    class_names = tuple(map(str, entry.get("class_names", ())))  # signatures did not always have them
    if class_names and len(class_names) != entry["classes"]:
        raise ValueError(f"{len(class_names)} names of {entry['classes']} classes.")
    return ConditionSpec(
        tuple(entry["shape"]), entry["dtype"], entry["classes"], class_names, str(entry.get("kind", ""))
    )


def _read_signature(path: Path) -> dict[str, Any]:
    signature = json.loads(path.read_text())
    if "format" not in signature:
        return format_1.with_conditions(signature)
    if signature["format"] != FORMAT:
        raise ValueError(f"its format is {signature['format']}; expected {FORMAT}: update jaxgen.")
    return signature


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
