"""A loss under a condition, whose gradient is computed in the branch that computes the loss.

The derivative of `lax.cond` hands what the backward pass reads from one conditional to another, so that on a step that
skips the loss zeros are written for each of its activations.  Here the branch returns the gradient with the value:

    (1) value, g = cond(is_due, value and gradient of the loss, zeros)
    (2) d value  = sum_i <g_i, d x_i>     over what is differentiated: in training, parameters

(1) and (2) are differentiable again, forwards and backwards.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from jaxgen.core.types import Array, Aux, Networks

Result = tuple[Array, Aux]


def evaluate_if(is_due: Array, loss: Callable[[], Result], networks: Networks) -> Result:
    """`loss()` if it is due; else zero, metrics that count nothing, and no changes of the networks."""
    program, shapes = jax.make_jaxpr(loss, return_shape=True)()
    closed, structure = len(program.consts), jax.tree.structure(shapes)
    before = {n: {c: networks[n][c] for c in new} for n, new in shapes[1].changes.items()}
    states, of_states = jax.tree.flatten(before)

    def run(operands: list[Array]) -> Result:
        return jax.tree.unflatten(structure, jaxpr_as_fun(ClosedJaxpr(program.jaxpr, operands[:closed]))())

    def skip(operands: list[Array]) -> Result:
        value, metrics = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), (shapes[0], shapes[1].metrics))
        return value, Aux(metrics, jax.tree.unflatten(of_states, operands[closed:]))

    return _conditional(run, skip)(is_due, [*program.consts, *states])


def _conditional(
    run: Callable[[list[Array]], Result], skip: Callable[[list[Array]], Result]
) -> Callable[[Array, list[Array]], Result]:
    """`lax.cond` of a loss; its derivative is (2)."""

    def evaluate(is_due: Array, operands: list[Array]) -> Result:
        return jax.lax.cond(is_due, run, skip, operands)

    def derivative(primals, tangents):
        is_due, operands = primals
        moving = {i: tangent for i, tangent in enumerate(tangents[1]) if not isinstance(tangent, SymbolicZero)}
        directions = list(moving.values())

        def at(operands: list[Array], moved: list[Array]) -> list[Array]:
            return [dict(zip(moving, moved, strict=True)).get(i, operand) for i, operand in enumerate(operands)]

        def run_with_gradient(operands: list[Array]):
            moved = [operands[i] for i in moving]
            return jax.value_and_grad(lambda moved: run(at(operands, moved)), has_aux=True)(moved)

        def skip_with_zeros(operands: list[Array]):
            return skip(operands), [jnp.zeros_like(operands[i]) for i in moving]

        (value, aux), gradient = jax.lax.cond(is_due, run_with_gradient, skip_with_zeros, operands)
        products = [jnp.sum(g * direction).real for g, direction in zip(gradient, directions, strict=True)]
        slope = sum(products, jnp.zeros_like(value)).astype(value.dtype)
        # Where nothing reads the tangents of metrics and changes, the compiler drops this conditional.
        moved = [operands[i] for i in moving]
        _, slopes = jax.jvp(lambda moved: evaluate(is_due, at(operands, moved))[1], (moved,), (directions,))
        return (value, aux), (slope, slopes)

    conditional = jax.custom_jvp(evaluate)
    conditional.defjvp(derivative, symbolic_zeros=True)
    return conditional
