"""Signatures of format 1, from before a function could have several conditions; the present format is 2."""

from collections.abc import Mapping
from typing import Any

FUNCTIONS = {"judge": "logits"}
"""The present names of functions that were renamed; their files have the earlier ones."""


def with_conditions(signature: Mapping[str, Any]) -> dict[str, Any]:
    """A signature of format 1 with its condition, if it has one, in a list as format 2 has it."""
    condition = signature.get("told")
    return {**signature, "conditions": [] if condition is None else [condition]}
