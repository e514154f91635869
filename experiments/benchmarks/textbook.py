"""The textbook DCGAN, in jaxgen and in PyTorch: the same networks, the same step.

Radford et al. (2016), https://arxiv.org/abs/1511.06434: BatchNorm in both networks, N(0, 0.02) initialisation, Adam
with 2e-4 and beta1 0.5.  A step trains the discriminator, then the generator against it on the same generated images,
as PyTorch's own tutorial does.  Needs the extra `bench`.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import torch
from torch import nn

from jaxgen import ImageSpec, Update, chain, minimize
from jaxgen.losses import logistic_discriminator, non_saturating_generator
from jaxgen.models import GAN, discriminator_loss, generator_loss, share_images
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator, halvings

WIDTH, LATENT, LEARNING_RATE, BETA1 = 64, 100, 2e-4, 0.5

TorchWeights = tuple[list[np.ndarray], list[np.ndarray]]
"""The parameters of generator and discriminator, in PyTorch's order and layout."""


def jaxgen_gan(spec: ImageSpec, dtype: Any = np.float32) -> GAN:
    """The GAN in jaxgen."""
    generator = DCGANGenerator(spec, WIDTH, dtype=dtype)
    return GAN(generator, DCGANDiscriminator(WIDTH, dtype=dtype), latent_size=LATENT)


def jaxgen_update(gan: GAN, tx: optax.GradientTransformation) -> Update:
    """The training step in jaxgen."""
    return share_images(
        gan,
        chain(
            discriminator=minimize(discriminator_loss(gan, logistic_discriminator), tx, wrt="discriminator"),
            generator=minimize(generator_loss(gan, non_saturating_generator), tx, wrt="generator"),
        ),
    )


class TorchGAN(NamedTuple):
    """The networks in PyTorch; images are [B, C, H, W]."""

    generator: nn.Module
    discriminator: nn.Module


def torch_device() -> str:
    """PyTorch's name of the kind of device that JAX uses."""
    return "cuda" if jax.default_backend() == "gpu" else "cpu"


def torch_gan(spec: ImageSpec, device: str = "cpu") -> TorchGAN:
    """The networks in PyTorch, in the memory format that is fastest there, with the paper's initialisation."""
    count = halvings(spec)
    features = [spec.channels, *(WIDTH << level for level in range(count))]
    least = spec.height >> count, spec.width >> count
    generator: list[nn.Module] = [nn.ConvTranspose2d(LATENT, features[-1], least, bias=False)]
    for below, above in pairwise(reversed(features)):
        generator += [nn.BatchNorm2d(below), nn.ReLU(), nn.ConvTranspose2d(below, above, 4, 2, 1, bias=False)]
    discriminator: list[nn.Module] = []
    for level, (above, below) in enumerate(pairwise(features)):
        norm = [nn.BatchNorm2d(below)] if level else []
        discriminator += [nn.Conv2d(above, below, 4, 2, 1, bias=False), *norm, nn.LeakyReLU(0.2)]
    head = nn.Conv2d(features[-1], 1, least, bias=False), nn.Flatten(0)
    networks = TorchGAN(nn.Sequential(*generator, nn.Tanh()), nn.Sequential(*discriminator, *head))
    for network in networks:
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0.0, 0.02)
        network.to(device=device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return networks


def torch_step(gan: TorchGAN, make_optimizer: Callable[..., torch.optim.Optimizer], dtype: torch.dtype = torch.float32):
    """The step in PyTorch: (real [B, C, H, W], latent [B, Z, 1, 1]) to the two losses."""
    for_generator, for_discriminator = (make_optimizer(network.parameters()) for network in gan)
    entropy = nn.BCEWithLogitsLoss()

    def step(real: torch.Tensor, latent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        one, zero = torch.ones(len(real), device=real.device), torch.zeros(len(real), device=real.device)
        with torch.autocast(real.device.type, dtype, enabled=dtype != torch.float32):
            fake = gan.generator(latent)
            real_logits, fake_logits = gan.discriminator(real), gan.discriminator(fake.detach())
            discriminator_loss = entropy(real_logits, one) + entropy(fake_logits, zero)
        for_discriminator.zero_grad()
        discriminator_loss.backward()
        for_discriminator.step()
        with torch.autocast(real.device.type, dtype, enabled=dtype != torch.float32):
            generator_loss = entropy(gan.discriminator(fake), one)
        for_generator.zero_grad()
        generator_loss.backward()
        for_generator.step()
        return discriminator_loss.detach(), generator_loss.detach()

    return step


def torch_adam(parameters: Any) -> torch.optim.Optimizer:
    """The recipe's optimiser."""
    return torch.optim.Adam(parameters, LEARNING_RATE, (BETA1, 0.999))


def to_torch_layout(networks: Mapping[str, Any]) -> TorchWeights:
    """The parameters of jaxgen in the order and the layout of PyTorch's."""
    generator, discriminator = networks["generator"]["params"], networks["discriminator"]["params"]
    count = sum(name.startswith("Conv_") for name in discriminator)
    top = np.asarray(generator["BatchNorm_0"]["scale"]).size
    dense = np.asarray(generator["Dense_0"]["kernel"])
    height = width = round((dense.shape[1] / top) ** 0.5)
    generating = [dense.reshape(-1, height, width, top).transpose(0, 3, 1, 2)]
    for level in range(count):
        norm = generator[f"BatchNorm_{level}"]
        kernel = np.asarray(generator[f"ConvTranspose_{level}"]["kernel"])
        generating += [np.asarray(norm["scale"]), np.asarray(norm["bias"]), kernel[::-1, ::-1].transpose(2, 3, 0, 1)]
    discriminating = []
    for level in range(count):
        discriminating.append(np.asarray(discriminator[f"Conv_{level}"]["kernel"]).transpose(3, 2, 0, 1))
        norm = discriminator[f"BatchNorm_{level - 1}"] if level else {}
        discriminating += [np.asarray(norm[name]) for name in ("scale", "bias") if level]
    head = np.asarray(discriminator["Dense_0"]["kernel"])
    discriminating.append(head.reshape(1, height, width, top).transpose(0, 3, 1, 2))
    return generating, discriminating
