"""Functions with their weights as portable files: no model code is needed to call them."""

from jaxgen.export.controls import ExportedControls, load_controls, save_controls
from jaxgen.export.restorer import ExportedRestorer, Restorer, load_restorer, save_restorer
from jaxgen.export.sampler import BATCH, ExportedSampler, load_sampler, save_sampler, seeded
from jaxgen.export.stored import FUNCTION_SUFFIX, SIGNATURE, Told, exportable
from jaxgen.export.stylizer import ExportedStylizer, Stylizer, load_stylizer, save_stylizer

__all__ = [
    "BATCH",
    "FUNCTION_SUFFIX",
    "SIGNATURE",
    "ExportedControls",
    "ExportedRestorer",
    "ExportedSampler",
    "ExportedStylizer",
    "Restorer",
    "Stylizer",
    "Told",
    "exportable",
    "load_controls",
    "load_restorer",
    "load_sampler",
    "load_stylizer",
    "save_controls",
    "save_restorer",
    "save_sampler",
    "save_stylizer",
    "seeded",
]
