"""Functions with their weights as portable files: no model code is needed to call them."""

from jaxgen.export.controls import ExportedControls, load_controls, save_controls
from jaxgen.export.sampler import BATCH, ExportedSampler, load_sampler, save_sampler, seeded
from jaxgen.export.stored import FUNCTION_SUFFIX, SIGNATURE, Told

__all__ = [
    "BATCH",
    "FUNCTION_SUFFIX",
    "SIGNATURE",
    "ExportedControls",
    "ExportedSampler",
    "Told",
    "load_controls",
    "load_sampler",
    "save_controls",
    "save_sampler",
    "seeded",
]
