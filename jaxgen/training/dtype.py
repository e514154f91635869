"""The option --dtype: the type in which networks compute."""

from typing import Annotated

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr
from tyro.constructors import PrimitiveConstructorSpec

from jaxgen.io.errors import InputError
from jaxgen.io.program import RefusedError

DTYPES = ("float32", "bfloat16")
FLOAT32 = jnp.dtype("float32")


def _dtype(words: list[str]) -> jnp.dtype:
    if words[0] not in DTYPES:
        expected = " or ".join(DTYPES)
        raise RefusedError(
            InputError(f"--dtype {words[0]}: expected {expected}; float16 would need its losses scaled.")
        )
    return jnp.dtype(words[0])


DType = Annotated[
    jnp.dtype,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="{" + ",".join(DTYPES) + "}",
        instance_from_str=_dtype,
        is_instance=lambda value: isinstance(value, jnp.dtype),
        str_from_instance=lambda dtype: [dtype.name],
    ),
]


def require_dtype(dtype: jnp.dtype, program: ClosedJaxpr) -> None:
    """Refuses a type that the traced step does not compute in: its networks were made without it.

    Raises:
      InputError: naming the type.
    """
    if dtype == jnp.bfloat16 and "bf16[" not in str(program):
        raise InputError(f"--dtype {dtype}: this experiment's networks do not compute in it; give them config.dtype.")
