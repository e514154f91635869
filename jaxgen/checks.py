"""What the algebra refuses, before anything is compiled: what was given, what was expected, what to do."""

from collections import Counter
from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp

from jaxgen.types import Array, Networks, TrainState, Update


def require_networks(names: Iterable[str], networks: Networks) -> None:
    """Refuses a name that is no network."""
    for name in names:
        if name not in networks:
            raise ValueError(f"{name!r} is no network; the networks are {', '.join(map(repr, sorted(networks)))}.")


def require_scalar(value: Array, owner: str) -> Array:
    """Refuses a loss that is not one floating-point number."""
    if jnp.shape(value) != () or not jnp.issubdtype(jnp.result_type(value), jnp.floating):
        given = f"{jnp.result_type(value)}{list(jnp.shape(value))}"
        raise ValueError(f"{owner} is {given}; expected float32[]: reduce it to one number, for example with .mean().")
    return value


def require_period(k: int) -> None:
    """Refuses a period that is not a positive whole number."""
    if not isinstance(k, int) or k < 1:
        raise ValueError(f"A period of {k!r} steps was given; expected a whole number of at least 1.")


def require_one_optimiser(links: Mapping[str, Update]) -> None:
    """Refuses a chain in which two links change the parameters of the same network."""
    counts = Counter(network for link in links.values() for network in link.wrt)
    for network, count in counts.items():
        if count > 1:
            owners = " and ".join(repr(name) for name, link in links.items() if network in link.wrt)
            raise ValueError(
                f"{network!r} is trained by more than one link of this chain: {owners}. "
                "A network has one optimiser: put the second loss into the first with add(...)."
            )


def require_same_type(before: TrainState, after: TrainState) -> None:
    """Refuses a step that changes the structure, shape or dtype of the state."""
    old, new = _types(before), _types(after)
    for path in sorted(old.keys() | new.keys()):
        was, now = old.get(path, "absent"), new.get(path, "absent")
        if was != now:
            raise TypeError(f"The step changes the type of {path} from {was} to {now}; a state keeps its types.")


def _types(state: TrainState) -> dict[str, str]:
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(p, simple=True, separator="."): jax.typeof(leaf).str_short() for p, leaf in leaves}
