"""VGG16 and LPIPS: with random weights against PyTorch, and files that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.evaluation import learned_perceptual_error, vgg_features
from jaxgen.evaluation.weights import write_weights
from jaxgen.nets import VGG16

IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 3, 37, 32, 3)).astype(np.float32)
DEPTHS = (64, 128, 256, 512, 512)
LAST = (3, 8, 15, 22, 29)
"""The places of each block's last ReLU among torchvision's layers."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Random weights of VGG16 and of the fit, as safetensors."""
    shapes = jax.eval_shape(lambda: VGG16().init(jax.random.key(0), jnp.zeros((1, 16, 16, 3)), train=False))
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("weights")

    def he_normal(leaf):
        scale = np.float32((2 / max(9, np.prod(leaf.shape[:-1]))) ** 0.5)
        return scale * rng.standard_normal(leaf.shape, np.float32)

    write_weights(folder / "vgg.safetensors", jax.tree.map(he_normal, shapes))
    fitted = {f"block{block}": np.full(depth, 1 / depth, np.float32) for block, depth in enumerate(DEPTHS, start=1)}
    write_weights(folder / "lpips.safetensors", fitted)
    return folder / "vgg.safetensors", folder / "lpips.safetensors"


@pytest.fixture
def theirs(torch, tmp_path, monkeypatch):
    """torchvision's layers with random weights, a random fit, and their files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.manual_seed(0)
    layers, seen = [], 3
    for depth, convolutions in zip(DEPTHS, (2, 2, 3, 3, 3), strict=True):
        for _ in range(convolutions):
            layers += [torch.nn.Conv2d(seen, depth, 3, padding=1), torch.nn.ReLU()]
            seen = depth
        layers.append(torch.nn.MaxPool2d(2))
    network = torch.nn.Sequential(*layers)
    fit = [torch.rand(1, depth, 1, 1) for depth in DEPTHS]
    torch.save({f"features.{name}": tensor for name, tensor in network.state_dict().items()}, tmp_path / "vgg16.pth")
    torch.save({f"lin{level}.model.1.weight": weight for level, weight in enumerate(fit)}, tmp_path / "vgg.pth")

    def maps(images):
        scale = [torch.tensor(values).reshape(3, 1, 1) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
        features, seen = ((images.permute(0, 3, 1, 2) + 1) / 2 - scale[0]) / scale[1], []
        for at, layer in enumerate(network):
            features = layer(features)
            if at in LAST:
                seen.append(features)
        return seen

    return maps, fit, (tmp_path / "vgg16.pth", tmp_path / "vgg.pth")


@pytest.mark.agreement
def test_features_the_learned_distance_and_its_gradient_are_those_of_pytorch(torch, theirs):
    maps, fit, files = theirs
    one, other = (torch.tensor(images, requires_grad=True) for images in IMAGES)

    def normalized(level):
        return level / (level.square().sum(1, keepdim=True).sqrt() + 1e-10)

    seen = maps(one)
    levels = zip(seen, maps(other), fit, strict=True)
    expected = sum(((normalized(a) - normalized(b)).square() * w).sum(1).mean((1, 2)) for a, b, w in levels)
    expected.sum().backward()
    features, distance = vgg_features(files[0]), learned_perceptual_error(*files)

    @jax.jit
    def run(image, truth):
        apart, pull_back = jax.vjp(lambda image: distance(image, truth), image)
        return features(image), apart, *pull_back(jnp.ones_like(apart))

    levels, apart, gradient = run(*IMAGES)
    for actual, level in zip(levels, (level.detach().permute(0, 2, 3, 1) for level in seen), strict=True):
        np.testing.assert_allclose(actual, level, atol=2e-5 * float(level.max()))
    np.testing.assert_allclose(apart, expected.detach(), rtol=1e-4)
    np.testing.assert_allclose(gradient, one.grad, atol=1e-4 * float(one.grad.abs().max()))


def test_the_learned_distance_is_a_distance(files):
    distance, (one, other) = learned_perceptual_error(*files), IMAGES[:, :1, :16, :16]
    measure = jax.jit(jax.value_and_grad(lambda image, truth: distance(image, truth).sum()))
    apart, slope = measure(one, other)
    assert apart > 0
    assert jnp.isfinite(slope).all()
    assert slope.any()
    np.testing.assert_allclose(measure(other, one)[0], apart, rtol=1e-5)
    apart, slope = measure(one, one)
    assert apart == 0
    assert not slope.any()


def test_grey_is_a_colour(files):
    features, grey = vgg_features(files[0]), IMAGES[0, :1, :16, :16, :1]
    both = jax.jit(lambda grey, colour: [features(image) for image in (grey, colour)])
    for level, of in zip(*both(grey, np.repeat(grey, 3, axis=-1)), strict=True):
        np.testing.assert_array_equal(level, of)


def test_small_images_and_files_of_other_networks_are_refused(files, tmp_path):
    vgg, fitted = files
    with pytest.raises(InputError, match="16x16 or more; these are 12x16x3"):
        vgg_features(vgg)(jnp.zeros((1, 12, 16, 3)))
    with pytest.raises(InputError, match="holds another network"):
        learned_perceptual_error(fitted, fitted)
    with pytest.raises(InputError, match=r"absent\.pth cannot be read"):
        vgg_features(tmp_path / "absent.pth")


@pytest.mark.agreement
def test_another_network_of_pytorch_is_refused(torch, theirs):
    _, _, (vgg, fitted) = theirs
    with pytest.raises(InputError, match=r"vgg.pth holds another network: 'features.0.weight' is not there"):
        vgg_features(fitted)
    with pytest.raises(InputError, match=r"vgg16.pth holds another network: 'lin0.model.1.weight' is not there"):
        learned_perceptual_error(vgg, vgg)


@pytest.mark.agreement
def test_a_fit_of_another_network_is_refused_and_not_kept(torch, theirs, tmp_path):
    alex = {
        f"lin{level}.model.1.weight": torch.ones(1, depth, 1, 1) for level, depth in enumerate((64, 192, 384, 256, 256))
    }
    torch.save(alex, tmp_path / "alex.pth")
    for _ in range(2):
        with pytest.raises(
            InputError, match=r"alex.pth holds another network: block2 is float32\[192\]; expected .*128"
        ):
            learned_perceptual_error(theirs[2][0], tmp_path / "alex.pth")
    assert not list((tmp_path / "cache").rglob("lpips*"))


@pytest.mark.agreement
def test_weights_that_are_not_finite_are_refused_by_the_name_of_the_file(torch, theirs, tmp_path):
    vgg, fitted = theirs[2]
    broken = torch.load(fitted, weights_only=True)
    broken["lin3.model.1.weight"][:] = torch.nan
    torch.save(broken, tmp_path / "broken.pth")
    with pytest.raises(InputError, match=r"broken.pth holds values that are not finite"):
        learned_perceptual_error(vgg, tmp_path / "broken.pth")
    assert not list((tmp_path / "cache").rglob("lpips*"))
