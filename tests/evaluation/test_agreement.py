"""The measures against other implementations, on random and on real features."""

import importlib

import numpy as np
import pytest

from jaxgen.data import load
from jaxgen.evaluation import (
    class_score,
    compare_manifolds,
    digit_network,
    frechet_distance,
    kernel_distance,
    multi_scale_similarity,
)

pytestmark = [
    pytest.mark.agreement,
    pytest.mark.filterwarnings("ignore"),  # of the other implementations
]


@pytest.fixture
def other(request, torch):
    """Imports another implementation, or skips the test where it is missing."""

    def find(name):
        if request.config.getoption("--require-torch"):
            return importlib.import_module(name)
        return pytest.importorskip(name, reason=f"{name} is not installed: pip install -e '.[bench]'")

    return find


@pytest.fixture(scope="module")
def real_features():
    digits = load("mnist", offline=True).arrays["image"]
    order = np.random.default_rng(0).permutation(len(digits))[:2_000]
    return np.split(digit_network().look(digits[order]).features, 2)


@pytest.fixture(params=["random", "real"])
def features(request):
    if request.param == "real":
        return request.getfixturevalue("real_features")
    random = np.random.default_rng(0)
    mix = random.normal(size=(16, 16))
    return [(scale * random.normal(size=(600, 16)) @ mix).astype(np.float32) for scale in (1.0, 1.2)]


@pytest.fixture
def by_features(torch):
    """A network that hands on the features that it is given as images."""

    class Identity(torch.nn.Module):
        num_features = 0

        def forward(self, image):
            return image.reshape(len(image), -1)

    return Identity()


def as_images(torch, features):
    return [torch.from_numpy(part).reshape(len(part), -1, 1, 1) for part in features]


def test_frechet_is_that_of_torchmetrics(torch, other, features, by_features):
    metric = other("torchmetrics.image.fid").FrechetInceptionDistance
    by_features.num_features = features[0].shape[1]
    theirs = metric(by_features, input_img_size=(by_features.num_features, 1, 1), normalize=True).set_dtype(
        torch.float64
    )
    for part, is_real in zip(as_images(torch, features), (True, False), strict=True):
        theirs.update(part.double(), real=is_real)
    assert frechet_distance(*features) == pytest.approx(float(theirs.compute()), rel=1e-3)


def test_kernel_distance_is_that_of_torchmetrics(torch, other, features, by_features):
    metric = other("torchmetrics.image.kid").KernelInceptionDistance
    theirs = metric(by_features, subsets=1, subset_size=len(features[0]), normalize=True)
    for part, is_real in zip(as_images(torch, features), (True, False), strict=True):
        theirs.update(part.double(), real=is_real)
    assert kernel_distance(*features).value == pytest.approx(float(theirs.compute()[0]), rel=1e-3)


@pytest.mark.parametrize("k", [3, 5])
def test_manifolds_are_those_of_prdc(other, features, k):
    theirs = other("prdc").compute_prdc(*features, nearest_k=k)
    ours = compare_manifolds(*features, k=k)
    for name, value in theirs.items():
        assert getattr(ours, name).value == pytest.approx(value, rel=1e-3)


def test_the_distances_and_the_score_are_those_of_torch_fidelity(torch, other, features):
    real, drawn = (torch.from_numpy(part) for part in features)
    fid = other("torch_fidelity.metric_fid")
    theirs = fid.fid_statistics_to_metric(*(fid.fid_features_to_statistic(part) for part in (drawn, real)), False)
    assert frechet_distance(*features) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-3)
    logits = drawn[:, :10]
    score = other("torch_fidelity.metric_isc").isc_features_to_metric(logits, splits=10, shuffle=False)
    ours = class_score(torch.softmax(logits.double(), dim=1).numpy())
    assert ours.value == pytest.approx(score["inception_score_mean"], rel=1e-3)


@pytest.mark.parametrize(("shape", "scales"), [((28, 28, 1), 2), ((64, 48, 3), 3), ((176, 180, 1), 5)])
def test_similarity_is_that_of_torchmetrics(torch, other, shape, scales):
    function = other("torchmetrics.functional.image")
    random = np.random.default_rng(0)
    first = random.integers(0, 256, (4, *shape), np.uint8)
    second = np.clip(first + random.normal(0, 40, first.shape), 0, 255).astype(np.uint8)
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:scales])
    theirs = function.multiscale_structural_similarity_index_measure(
        *(torch.from_numpy(image).permute(0, 3, 1, 2).double() for image in (first, second)),
        data_range=255.0,
        betas=tuple(weights / weights.sum()),
        kernel_size=11,
        reduction="none",
        normalize="relu",
    )
    np.testing.assert_allclose(multi_scale_similarity(first, second), theirs, rtol=1e-3)
