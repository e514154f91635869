import subprocess
import sys
import types

import numpy as np
import pytest

import jaxgen
import jaxgen.data
import jaxgen.evaluation
import jaxgen.export
import jaxgen.losses
import jaxgen.models
import jaxgen.models.diffusion
import jaxgen.nets
import jaxgen.training
from jaxgen.export import load_controls, load_restorer, load_sampler, load_stylizer
from jaxgen.io.archive import save_archive
from jaxgen.training.best import Best
from jaxgen.training.checkpoint import Checkpoints, find_damage

PACKAGES = [
    jaxgen,
    jaxgen.data,
    jaxgen.evaluation,
    jaxgen.export,
    jaxgen.losses,
    jaxgen.models,
    jaxgen.models.diffusion,
    jaxgen.nets,
    jaxgen.training,
]


def is_public(name, value):
    return not name.startswith("_") and not isinstance(value, types.ModuleType)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_public_name_is_listed_exists_and_is_described(package):
    assert len(set(package.__all__)) == len(package.__all__)  # their order is the linter's
    assert set(package.__all__) == {name for name, value in vars(package).items() if is_public(name, value)}
    for name in package.__all__:
        value = getattr(package, name)
        if isinstance(value, (type, types.FunctionType)):
            assert value.__doc__, f"{package.__name__}.{name} has no docstring"


def test_importing_jaxgen_loads_nothing_heavy():
    heavy = (
        "orbax",
        "safetensors",
        "tensorflow",
        "tensorflow_datasets",
        "matplotlib",
        "mlxtend",
        "pooch",
        "tyro",
        "grain",
        "tokenizers",
    )
    assert imported("jaxgen", heavy) == "[]"


def test_reading_an_export_needs_no_model_code():
    assert imported("jaxgen.export", ("flax", "jaxgen.nets", "jaxgen.models", "jaxgen.losses")) == "[]"


def imported(package, names):
    """Which of the names are loaded once a package is imported."""
    program = f"import sys, {package}; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_path_may_be_a_string(tmp_path):
    images, archive = np.zeros((2, 4, 4, 1), np.uint8), f"{tmp_path}/images.npz"
    save_archive(archive, images)
    np.testing.assert_array_equal(jaxgen.data.load(archive).arrays["image"], images)
    jaxgen.export.save_grid(f"{tmp_path}/new/images.png", images)
    assert (tmp_path / "new" / "images.png").is_file()
    np.savez(f"{tmp_path}/features.npz", features=np.ones((2, 3)))
    np.testing.assert_array_equal(jaxgen.data.read_features(f"{tmp_path}/features.npz"), np.ones((2, 3)))
    assert jaxgen.training.RunDirectory(str(tmp_path)).path == tmp_path
    assert Checkpoints(str(tmp_path)).steps() == []
    assert find_damage(str(tmp_path)) == "manifest.json is missing"
    assert Best(str(tmp_path)).scores() == {}
    for read in (load_sampler, load_controls, load_restorer, load_stylizer, jaxgen.evaluation.load_matcher):
        with pytest.raises(jaxgen.InputError, match=f"{tmp_path} holds no"):
            read(str(tmp_path))
    with pytest.raises(jaxgen.InputError, match=f"{tmp_path} holds neither mnist"):
        jaxgen.data.load("mnist", data_dir=str(tmp_path))
