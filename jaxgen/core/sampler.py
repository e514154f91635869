"""Samplers: from networks and random keys to images."""

from collections.abc import Callable
from dataclasses import dataclass, field

import jax

from jaxgen.core.condition import Conditions, Fields
from jaxgen.core.types import Array, Networks


@dataclass(frozen=True, eq=False)
class Sampler:
    """Draws images of networks, and names the conditions that it draws them for.

    `draw` takes networks, typed keys [B], one for each image, and the fields of the conditions [B, ...] by name, and
    gives images float32 [B, H, W, C] in [-1, 1], or slightly beyond if no last layer bounds them.
    """

    draw: Callable[[Networks, Array, Fields], Array]
    conditions: Conditions = field(default_factory=dict)

    def __call__(self, networks: Networks, keys: Array, **fields: Array) -> Array:
        """Images float32 [B, H, W, C] for keys [B] and the fields of the conditions.

        Raises:
          TypeError: a field of the conditions is missing, or a field belongs to none.
        """
        if fields.keys() != self.conditions.keys():
            given, expected = (", ".join(map(repr, sorted(names))) or "none" for names in (fields, self.conditions))
            raise TypeError(f"A sampler was given the fields {given}; its conditions are: {expected}.")
        return self.draw(networks, keys, fields)


def image_keys(seed: Array, index: Array) -> Array:
    """The typed keys [N] of the images with these numbers int32 [N] in the stream of a seed uint32 []."""
    return jax.vmap(lambda number: jax.random.fold_in(jax.random.key(seed), number))(index)
