"""The names of restoration tasks on the command line."""

import re
from typing import NamedTuple

from jaxgen.io.errors import InputError
from jaxgen.models.image_to_image.tasks import Task, colourise, deblur, inpaint, random_block, super_resolve
from jaxgen.models.image_to_image.tasks import denoise as noisy

EXPECTED = "inpaint, colourise, super_resolve_x2 (or another factor), deblur_1.5 or denoise_0.5 (or another deviation)"

LEAST_BLUR, MOST_BLUR = 0.3, 100.0
"""A Gaussian of fewer pixels hardly blurs; one of more leaves a single colour."""
LEAST_NOISE, MOST_NOISE = 0.001, 80.0
"""Noise of less does not change an image of 8 bits; that of more is beyond what denoisers are trained to remove."""


class Degradation(NamedTuple):
    """A task, the factor by which its images are smaller, and the standard deviations of noise and blur in them."""

    task: Task
    factor: int = 1
    deviation: float = 0.0
    blur: float = 0.0


def read_task(name: str, channels: int) -> Degradation:
    """The task that a name stands for, for a run whose images have so many channels.

    Raises:
      InputError: there is no such task, or it is colourisation and the images are grey.
    """
    if name == "inpaint":
        return Degradation(inpaint(random_block()))
    if name == "colourise" and channels == 1:
        raise InputError("--task colourise: this run has images of one channel; expected three.")
    if name == "colourise":
        return Degradation(colourise())
    if found := re.fullmatch(r"super_resolve_x([2-9]|[1-9]\d)", name):
        return Degradation(super_resolve(factor := int(found[1])), factor)
    if found := re.fullmatch(r"denoise_(\d+(?:\.\d+)?)", name):
        if not LEAST_NOISE <= (deviation := float(found[1])) <= MOST_NOISE:
            raise InputError(f"--task {name}: expected a standard deviation from {LEAST_NOISE} to {MOST_NOISE:g}.")
        return Degradation(noisy(deviation), deviation=deviation)
    if found := re.fullmatch(r"deblur_(\d+(?:\.\d+)?)", name):
        if not LEAST_BLUR <= (blur := float(found[1])) <= MOST_BLUR:
            raise InputError(f"--task {name}: expected a standard deviation from {LEAST_BLUR} to {MOST_BLUR:g} pixels.")
        return Degradation(deblur(blur), blur=blur)
    raise InputError(f"--task {name}: expected {EXPECTED}.")
