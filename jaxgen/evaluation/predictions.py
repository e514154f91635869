"""The test of a run of clips: the second half of test clips, predicted from the first."""

from pathlib import Path

import numpy as np

from jaxgen.data.dataset import Dataset
from jaxgen.evaluation.clip_features import FRAMES, FRECHET_OF_CLIPS, clip_features
from jaxgen.evaluation.frechet import estimated_distance
from jaxgen.evaluation.moving_digits import compare_motion
from jaxgen.evaluation.results import write_results
from jaxgen.evaluation.video import compare_clips, extrapolate, repeat_last
from jaxgen.export import clip_length, draw_films, load_frame_sampler, save_animation
from jaxgen.export.films import FRAME_SAMPLER
from jaxgen.nets.features.classifier import FEATURES

SHOWN = 8
"""Clips in the picture."""


def evaluate_predictions(folder: Path, test: Dataset, *, seed: int) -> None:
    """Predicts the second half of test clips, and measures it beside predictions that need no network.

    The sampler of frames in the run directory `folder` is given the last T - 1 frames of the first half, and the labels
    of the clips if it takes any.  Clips of one digit, which have labels, are measured by `compare_motion`
    too.  Writes the results, `test.json`, and true and predicted clips, `predicted.gif`.

    Raises:
      InputError: the sampler cannot be read, or does not fit the clips.
    """
    half = test.pixels.shape[1] // 2
    known, truth, labels = test.pixels[:, :half], test.pixels[:, half:], test.arrays.get("label")
    sampler = load_frame_sampler(folder / FRAME_SAMPLER)
    seen = known[:, 1 - clip_length(sampler) :]
    fields = {"label": labels} if labels is not None and "label" in sampler.conditions else {}
    length = seen.shape[1] + truth.shape[1]
    drawn = draw_films(sampler, seed, len(known), length, seen, fields=fields)[:, seen.shape[1] :]
    ways = {"diffusion": drawn, "extrapolated": extrapolate(known, half), "repeated": repeat_last(known, half)}
    results = {name: compare_clips(way, truth)[0]._asdict() for name, way in ways.items()}
    if labels is not None:
        side = min(28, min(test.spec[:2]) // 2)
        for name, way in ways.items():
            motion = compare_motion(known, way, truth, labels, digit_size=side)
            results[name] |= {measure: value for measure, value in motion._asdict().items() if value is not None}
        if half == FRAMES and len(known) > FEATURES:
            real, _ = clip_features(truth)
            for name, way in ways.items():
                results[name][FRECHET_OF_CLIPS] = estimated_distance(clip_features(way)[0], real, seed=seed)
    details = {"clips": len(known), "data": test.source}
    write_results(folder / "test.json", results, title=f"{len(known):,} test clips", details=details)
    rows = [np.concatenate([known, way], axis=1)[:SHOWN] for way in (truth, drawn)]
    save_animation(folder / "predicted.gif", np.moveaxis(np.concatenate(rows), 0, 1), columns=SHOWN, is_loop=True)
