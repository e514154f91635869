"""The names of restoration tasks on the command line."""

import re
from typing import NamedTuple

from jaxgen.io.errors import InputError
from jaxgen.models.image_to_image.tasks import Task, colourise, inpaint, random_block, super_resolve
from jaxgen.models.image_to_image.tasks import denoise as noisy

EXPECTED = "inpaint, colourise, super_resolve_x2 (or another factor), or denoise_0.5 (or another deviation)"


class Degradation(NamedTuple):
    """A task, the factor by which its images are smaller, and the deviation of the noise in them."""

    task: Task
    factor: int = 1
    deviation: float = 0.0


def read_task(name: str, channels: int) -> Degradation:
    """The task of a name, for a run of images of so many channels.

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
    if (found := re.fullmatch(r"denoise_(\d+(?:\.\d+)?)", name)) and float(found[1]) > 0:
        return Degradation(noisy(deviation := float(found[1])), deviation=deviation)
    raise InputError(f"--task {name}: expected {EXPECTED}.")
