"""Alignment of images with the labels or captions that they were drawn for.

label accuracy        the share of images that a classifier assigns to their label
retrieval accuracy    the share of images whose own caption is the most similar to the image, by a matching network,
                      among a number of candidates; R-precision in Xu et al. (2018), https://arxiv.org/abs/1711.10485,
                      section 4
"""

import numpy as np

from jaxgen.core.condition import require_labels
from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.order import content_order
from jaxgen.evaluation.require import require_features, require_probabilities
from jaxgen.io.errors import InputError


def label_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> Estimate:
    """How often the most probable class of probabilities [N, K] is the label [N].

    Raises:
      InputError: no class probabilities, another number of labels, or a label that is none of the K classes.
    """
    require_probabilities(probabilities)
    if labels.shape != probabilities.shape[:1]:
        raise InputError(f"{list(labels.shape)} labels for {len(probabilities)} images; expected one each.")
    require_labels(labels, probabilities.shape[1], "the classes of the probabilities")
    return mean_of(probabilities.argmax(axis=1) == labels)


def retrieval_accuracy(
    images: np.ndarray, texts: np.ndarray, *, candidates: int = 10, own: np.ndarray | None = None, seed: int = 0
) -> Estimate:
    """How often an image's own text has the largest inner product with it among `candidates` texts.

    `images` [N, F] and `texts` [M, F] are features of a matching network, and the texts are all different.  Image i was
    drawn for text `own[i]`, by default text i; the other candidates are drawn at random without replacement.  (The
    paper uses 100 candidates.)

    Raises:
      InputError: the features cannot be compared, there are fewer texts than candidates, or `own` does not fit.
    """
    require_features(images, texts)
    if not 2 <= candidates <= len(texts):
        raise InputError(f"{candidates} candidates of {len(texts)} texts; expected 2 to {len(texts)}.")
    own = np.arange(len(images)) if own is None else own
    if own.shape != images.shape[:1] or own.min() < 0 or own.max() >= len(texts):
        raise InputError(f"{len(images)} images and {len(texts)} texts: expected the index of each image's own text.")
    order = content_order(texts)
    texts, own = texts[order], np.argsort(order)[own]
    order = content_order(images, texts[own])
    images, own = images[order], own[order]
    similarity, rng = images @ texts.T, np.random.default_rng(seed)
    right = np.empty(len(images))
    for row, text in enumerate(own):
        others = rng.choice(len(texts) - 1, candidates - 1, replace=False)
        others += others >= text
        right[row] = similarity[row, text] > similarity[row, others].max()
    return mean_of(right)
