"""A Flax module as a pure function of its variables."""

from typing import Any

import jax
import jax.numpy as jnp
from flax.linen import Dense, Module, intercept_methods

from jaxgen.core.types import Array, Variables
from jaxgen.nets.layers.text import TextEncoder


def forward(
    module: Module, variables: Variables, *inputs: Any, train: bool, key: Array | None = None, **options: Any
) -> tuple[Any, Variables]:
    """The module's output, and its mutated collections.

    In training every collection but `params` is mutable; otherwise none is, and the changes are empty.  Changes carry
    no gradient.  `key` is for dropout; `options` go to `module.apply` (`method`) and on to the module.
    """
    if key is not None:
        options["rngs"] = {"dropout": key}
    mutable = [collection for collection in variables if collection != "params"] if train else []
    output, changes = module.apply(variables, *inputs, train=train, mutable=mutable, **options)
    return output, jax.lax.stop_gradient(changes)


def dense_outputs(module: Module, variables: Variables, *inputs: Any, **options: Any) -> list[Array]:
    """The float32 output of each dense layer of a module, in the order of execution.

    The layers of a text encoder are left out: they do not depend on the other inputs.

    Raises:
      ValueError: there are no dense layers.
    """
    outputs = []

    def keep(call, inputs, options, context):
        count, output = len(outputs), call(*inputs, **options)
        if isinstance(context.module, TextEncoder):
            del outputs[count:]
        elif isinstance(context.module, Dense) and context.method_name == "__call__":
            outputs.append(output.astype(jnp.float32))
        return output

    with intercept_methods(keep):
        module.apply(variables, *inputs, **options)
    if not outputs:
        raise ValueError(f"A {type(module).__name__} has no dense layers, which the controls of its codes need.")
    return outputs
