"""Whether images are of what was asked for.

label accuracy        the share of images that a classifier takes for the class that was asked for
retrieval accuracy    the share of images whose own caption, among as many candidates, is the one that a matching
                      network finds most like the image; Xu et al. (2018), https://arxiv.org/abs/1711.10485,
                      section 4, call it R-precision
"""

import numpy as np

from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.require import require_features, require_probabilities
from jaxgen.io.errors import InputError


def label_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> Estimate:
    """How often the most probable class, of probabilities [N, K], is the label [N].

    Raises:
      InputError: no class probabilities, or not as many labels.
    """
    require_probabilities(probabilities)
    if labels.shape != probabilities.shape[:1]:
        raise InputError(f"{list(labels.shape)} labels for {len(probabilities)} images; expected one each.")
    return mean_of(probabilities.argmax(axis=1) == labels)


def retrieval_accuracy(
    images: np.ndarray, texts: np.ndarray, *, candidates: int = 10, asked: np.ndarray | None = None, seed: int = 0
) -> Estimate:
    """How often an image's own text is the most like it, by inner product, among that many.

    `images` [N, F] and `texts` [M, F] are features of a matching network, the texts all different; image i was drawn
    for text `asked[i]`, by default text i.  The others are drawn at random from the texts, each once.  (In the paper
    there are 100 candidates.)

    Raises:
      InputError: features that cannot be compared, fewer texts than candidates, or images that were drawn for none.
    """
    require_features(images, texts)
    if not 2 <= candidates <= len(texts):
        raise InputError(f"{candidates} candidates of {len(texts)} texts; expected from 2 to as many as texts.")
    asked = np.arange(len(images)) if asked is None else asked
    if asked.shape != images.shape[:1] or asked.min() < 0 or asked.max() >= len(texts):
        raise InputError(f"{len(images)} images of {len(texts)} texts: expected the number of its text for each.")
    likeness, rng = images @ texts.T, np.random.default_rng(seed)
    right = np.empty(len(images))
    for row, own in enumerate(asked):
        others = rng.choice(len(texts) - 1, candidates - 1, replace=False)
        others += others >= own
        right[row] = likeness[row, own] > likeness[row, others].max()
    return mean_of(right)
