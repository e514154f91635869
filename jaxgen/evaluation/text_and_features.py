"""Images drawn for a caption and, independently of it, for the features of another picture, such as its palette.

<run>/text_and_features.png   captions down, pictures whose features are taken across: the first column has the real
                              images of the captions, the first row the pictures
<run>/text_and_features.json  how well both conditions are met: retrieval accuracy of the captions, and relative
                              distance of the features
"""

from pathlib import Path

import numpy as np

from jaxgen.data.dataset import Dataset, shrink_images
from jaxgen.evaluation.alignment import retrieval_accuracy
from jaxgen.evaluation.estimate import Estimate
from jaxgen.evaluation.image_features import Kind, describe_shrunk, relative_distance
from jaxgen.evaluation.matcher import load_matcher
from jaxgen.evaluation.results import write_results
from jaxgen.evaluation.text_to_image import ACCURACY, CANDIDATES, EVALUATED, SIDE, choose_captions
from jaxgen.export.sampler import ExportedSampler, load_sampler
from jaxgen.io.pictures import EMPTY, save_grid
from jaxgen.io.terminal import say

ROWS, COLUMNS = 8, 8
"""The most captions and pictures in the grid."""

NAME, DISTANCE = "text_and_features", "relative distance"


def evaluate_text_and_features(directory: Path, part: Dataset, kind: Kind, *, matcher: Path | None, seed: int) -> None:
    """Draws images for the captions of a part with features of other pictures, and measures both conditions.

    `part` has `features` of a kind.  Each caption is drawn with the features of its own image and with those of the
    image of another caption.  Without a matching network only the features are measured; with fewer than two captions
    nothing is done.

    Raises:
      InputError: the sampler or the matching network cannot be read or does not fit, or all features are equal.
      OSError: a file cannot be written.
    """
    captions, rows = choose_captions(part, EVALUATED, seed)
    if len(captions) < 2:
        return
    sampler = load_sampler(directory / "sampler")
    _save_crossed(directory / f"{NAME}.png", sampler, part, (captions, rows), seed)
    own = part.arrays["features"][rows]
    other = np.roll(own, 1, axis=0)
    drawn = {
        "own": (sampler.draw(seed, len(rows), fields={"features": own}, text=captions), own),
        "another's": (sampler.draw(seed, len(rows), fields={"features": other}, text=captions), other),
        "real, another's": (part.arrays["image"][rows], other),
    }
    results: dict[str, dict[str, Estimate | float]] = {
        name: {DISTANCE: relative_distance(wanted, describe_shrunk(images, kind), kind=kind, seed=seed)}
        for name, (images, wanted) in drawn.items()
    }
    if matcher is not None:
        network = load_matcher(matcher)
        for name, (images, _) in drawn.items():
            features = network.extract(shrink_images(images, SIDE, name), captions)
            results[name][ACCURACY] = retrieval_accuracy(*features, candidates=CANDIDATES, seed=seed)
    write_results(
        directory / f"{NAME}.json",
        results,
        title=f"Images for {len(captions)} captions and the {kind} of their own picture or of another's",
        meanings={
            DISTANCE: f"to the {kind}; 1: as far as other pictures",
            ACCURACY: f"of {CANDIDATES} captions; {1 / CANDIDATES:g} by chance",
        },
        details={"kind": kind, "captions": len(captions), "split": part.split, "candidates": CANDIDATES},
    )


def _save_crossed(
    path: Path, sampler: ExportedSampler, part: Dataset, chosen: tuple[list[str], np.ndarray], seed: int
) -> None:
    """Draws the first captions, each with the features of the same pictures: those of the last captions."""
    captions, rows, pictures = chosen[0][:ROWS], chosen[1][:ROWS], chosen[1][::-1][:COLUMNS]
    fields = {"features": np.tile(part.arrays["features"][pictures], (len(rows), 1))}
    drawn = sampler.draw(
        seed, len(rows) * len(pictures), fields=fields, text=[caption for caption in captions for _ in pictures]
    )
    image = part.arrays["image"]
    body = np.concatenate([image[rows][:, None], drawn.reshape(len(rows), len(pictures), *drawn.shape[1:])], axis=1)
    head = np.concatenate([np.full_like(image[:1], EMPTY), image[pictures]])
    save_grid(path, np.concatenate([head[None], body]).reshape(-1, *image.shape[1:]), columns=len(head))
    say(f"The captions with the features of the pictures in the first row, in {path}: {'; '.join(captions)}")
