"""Functions with their weights as portable files: no model code is needed to call them."""

from jaxgen.export.controls import ExportedControls, load_controls, save_controls
from jaxgen.export.restorer import ExportedRestorer, Restorer, load_restorer, save_restorer
from jaxgen.export.sampler import BATCH, ExportedSampler, load_sampler, save_sampler, seeded
from jaxgen.export.stored import FUNCTION_SUFFIX, SIGNATURE, ConditionSpec, exportable
from jaxgen.export.stylizer import ExportedStylizer, Stylizer, load_stylizer, save_stylizer
from jaxgen.io.archive import save_archive
from jaxgen.io.pictures import picture, save_animation, save_grid, save_image

__all__ = [
    "BATCH",
    "FUNCTION_SUFFIX",
    "SIGNATURE",
    "ConditionSpec",
    "ExportedControls",
    "ExportedRestorer",
    "ExportedSampler",
    "ExportedStylizer",
    "Restorer",
    "Stylizer",
    "exportable",
    "load_controls",
    "load_restorer",
    "load_sampler",
    "load_stylizer",
    "picture",
    "save_animation",
    "save_archive",
    "save_controls",
    "save_grid",
    "save_image",
    "save_restorer",
    "save_sampler",
    "save_stylizer",
    "seeded",
]
