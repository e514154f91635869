"""Functions with their weights as portable files: no model code is needed to call them.

An `Export` writes one kind of function; `Recipe.exports` says which a run exports.

    sampler     export_sampler  load_sampler  ExportedSampler  seeded  BATCH
    frames      load_frame_sampler  draw_films  clip_length  FRAME_SAMPLER; export_sampler writes it too
    controls    export_controls  load_controls  ExportedControls
    denoiser    export_denoiser  load_denoiser  load_drawing_denoiser  ExportedDenoiser
                draw_by_solver, in `export.solving`, draw_restorations, in `export.restorations`, and draw_panorama, in
                `export.panoramas`, need models
    restorer    export_restorer  load_restorer  ExportedRestorer  Restorer
    stylizer    export_stylizer  load_stylizer  ExportedStylizer  Stylizer
    torus       export_torus  load_torus  draw_torus  ExportedTorus
    all         Export  ExportInfo  ConditionSpec  exportable  FUNCTION_SUFFIX  SIGNATURE
    images      save_grid  save_image  save_animation  picture  save_archive
"""

from jaxgen.export.controls import ExportedControls, export_controls, load_controls
from jaxgen.export.denoiser import ExportedDenoiser, export_denoiser, load_denoiser, load_drawing_denoiser
from jaxgen.export.films import FRAME_SAMPLER, clip_length, draw_films, load_frame_sampler
from jaxgen.export.restorer import ExportedRestorer, Restorer, export_restorer, load_restorer
from jaxgen.export.sampler import BATCH, ExportedSampler, export_sampler, load_sampler, seeded
from jaxgen.export.stored import FUNCTION_SUFFIX, SIGNATURE, ConditionSpec, Export, ExportInfo, exportable
from jaxgen.export.stylizer import ExportedStylizer, Stylizer, export_stylizer, load_stylizer
from jaxgen.export.torus import TORUS, ExportedTorus, draw_torus, export_torus, load_torus
from jaxgen.io.archive import save_archive
from jaxgen.io.pictures import picture, save_animation, save_grid, save_image

__all__ = [
    "BATCH",
    "FRAME_SAMPLER",
    "FUNCTION_SUFFIX",
    "SIGNATURE",
    "TORUS",
    "ConditionSpec",
    "Export",
    "ExportInfo",
    "ExportedControls",
    "ExportedDenoiser",
    "ExportedRestorer",
    "ExportedSampler",
    "ExportedStylizer",
    "ExportedTorus",
    "Restorer",
    "Stylizer",
    "clip_length",
    "draw_films",
    "draw_torus",
    "export_controls",
    "export_denoiser",
    "export_restorer",
    "export_sampler",
    "export_stylizer",
    "export_torus",
    "exportable",
    "load_controls",
    "load_denoiser",
    "load_drawing_denoiser",
    "load_frame_sampler",
    "load_restorer",
    "load_sampler",
    "load_stylizer",
    "load_torus",
    "picture",
    "save_animation",
    "save_archive",
    "save_grid",
    "save_image",
    "seeded",
]
