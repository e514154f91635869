"""Drawn images beside their nearest training images: what is copied shows in a picture, and in distances."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxgen.evaluation.memorization import nearest_of, pixel_differences
from jaxgen.evaluation.metric import Evaluated
from jaxgen.evaluation.neighbours import centred, nearest_neighbours
from jaxgen.evaluation.order import content_order
from jaxgen.io.pictures import EMPTY

ROWS, NEIGHBOURS = 8, 3
"""Drawn images of each kind, and training images beside each."""


class TrainingNeighbours(NamedTuple):
    """Indices [R] of drawn images and [R, K] of their nearest training images, and how far these are.

    `distances` [R, K] are Euclidean, between features; `grey_levels` [R, K] are root mean square differences of pixels,
    of 255.
    """

    drawn: np.ndarray
    training: np.ndarray
    distances: np.ndarray
    grey_levels: np.ndarray

    def rows(self) -> list[dict[str, Any]]:
        """The same by drawn image, as JSON holds it."""
        columns = {
            "drawn": self.drawn.tolist(),
            "training": self.training.tolist(),
            "distances": np.round(self.distances, 4).tolist(),
            "grey_levels": np.round(self.grey_levels.astype(np.float64), 2).tolist(),
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def training_neighbours(evaluated: Evaluated) -> dict[str, TrainingNeighbours]:
    """The drawn images `nearest` to the training set, the nearest first, and some `random` ones, with their neighbours.

    Raises:
      InputError: the features cannot be compared.
    """
    (features, nearest), train = nearest_of(evaluated), evaluated.reference.train
    assert train is not None
    by_distance = np.argsort(nearest.drawn_distance, kind="stable")
    order = np.random.default_rng(evaluated.seed).permutation(len(by_distance))
    chosen = {"nearest": by_distance[:ROWS], "random": content_order(evaluated.images)[order[:ROWS]]}
    of_train, of_drawn = centred(features.train, features.drawn)

    def neighbours(drawn: np.ndarray) -> TrainingNeighbours:
        _, training = nearest_neighbours(of_drawn[drawn], of_train, k=min(NEIGHBOURS, len(train)))
        apart = features.drawn[drawn][:, None].astype(np.float64) - features.train[training]
        levels = [pixel_differences(evaluated.images, train, drawn, column) for column in training.T]
        return TrainingNeighbours(drawn, training, np.linalg.norm(apart, axis=-1), np.stack(levels, axis=1))

    return {kind: neighbours(drawn) for kind, drawn in chosen.items()}


def neighbour_grid(evaluated: Evaluated, neighbours: Mapping[str, TrainingNeighbours]) -> tuple[np.ndarray, int]:
    """Images uint8 [N, H, W, C] for a grid, and the number of its columns.

    Each kind is a block, with blank space between blocks: a row has a drawn image, then its nearest training images.
    """
    train = evaluated.reference.train
    assert train is not None
    blank = np.full((ROWS, 1, *evaluated.images.shape[1:]), EMPTY, np.uint8)
    columns: list[np.ndarray] = []
    for kind in neighbours.values():
        rows = np.concatenate([evaluated.images[kind.drawn][:, None], train[kind.training]], axis=1)
        columns += [blank[: len(rows)], rows]
    grid = np.concatenate(columns[1:], axis=1)
    return grid.reshape(-1, *grid.shape[2:]), grid.shape[1]
