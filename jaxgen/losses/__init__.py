"""Losses: arrays in, one value per example out; nothing is reduced here."""

from jaxgen.losses.adversarial import logistic_discriminator, non_saturating_generator
from jaxgen.losses.penalties import zero_centred_penalty

__all__ = ["logistic_discriminator", "non_saturating_generator", "zero_centred_penalty"]
