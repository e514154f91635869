"""Folders with checkpoints."""

import shutil

import pytest

from jaxgen.training.checkpoint import Checkpoints
from tests.training.checkpoint.states import state


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Checkpoints of steps 1 and 2, of different states; to be copied."""
    folder = tmp_path_factory.mktemp("two")
    Checkpoints(folder).save(state(seed=1, step=1))
    Checkpoints(folder).save(state(seed=2, step=2))
    return folder


@pytest.fixture
def folder(two, tmp_path):
    return shutil.copytree(two, tmp_path / "checkpoints")
