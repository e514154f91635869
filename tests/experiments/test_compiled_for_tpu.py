"""What must hold of the programs that train small versions of the recipes, compiled for TPUs that need not be there.

A TPU compiles each in a quarter of a minute, so that every kind of network is here once: the other recipes differ from
these in their losses or in numbers.
"""

import math
from importlib.util import find_spec

import jax
import pytest

from jaxgen import InputError
from tests.programs import ROOT, load_program

FOLDER = ROOT / "experiments" / "benchmarks"
RECIPES = {
    "gan_mnist": "--width 2 --hidden 8 --batch-size 8",
    "stylegan_mnist": "--width 2 --hidden 8 --batch-size 8",
    "vae_mnist": "--width 2 --batch-size 8",
    "pixelcnn_binarized_mnist": "--width 2 --batch-size 4",
    "gan_cifar10": "--width 4 --batch-size 8",
    "vae_cifar10": "--width 2 --batch-size 8",
    "vqvae_cifar10": "--width 4 --codes 8 --batch-size 8",
    "flow_mnist": "--width 8 --blocks 1 --batch-size 8",
    "meanflow_mnist": "--width 8 --blocks 1 --batch-size 8",
    "flow_latents_cifar10": "--width 8 --blocks 1 --autoencoder-width 4 --batch-size 8",
}

pytestmark = [
    pytest.mark.tpu,
    pytest.mark.skipif(find_spec("libtpu") is None, reason="libtpu is not installed: pip install 'jax[tpu]'"),
]


@pytest.fixture(scope="module")
def tool():
    """The module of the tool."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield load_program(FOLDER / "compiled.py")


@pytest.fixture(scope="module")
def optimizing():
    """Programs are compiled as for users."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module", params=RECIPES)
def trained(request, tool, optimizing):
    """The subject of a recipe, and the program that trains it on one device."""
    subject = tool.lowering.read(f"{request.param} {RECIPES[request.param]}")
    devices = tool.find_devices("tpu", None, 1)
    return subject, tool.compile_lowered(tool.lowering.lower_training(subject, devices))


def test_temporaries_take_less_than_twice_the_data_set(trained):
    subject, compiled = trained
    assert compiled.temporaries < 2 * subject.dataset.arrays["image"].size


def test_no_instruction_makes_a_copy_of_the_data_set(tool, trained):
    subject, compiled = trained
    assert tool.hlo.copies(compiled.program, subject.dataset.arrays["image"].size) == []


def test_nothing_is_in_float64_and_nothing_calls_the_host(tool, trained):
    _, compiled = trained
    inside = [one for part in compiled.program.computations.values() for one in part]
    assert not [one.text for one in inside if "f64[" in one.shape]
    assert not {"infeed", "outfeed", "send", "recv"} & {one.opcode for one in inside}
    assert not [one.text for one in inside if one.opcode == "custom-call" and "callback" in one.text]


def test_a_step_on_four_devices_reduces_gradients_and_nothing_else(tool, optimizing):
    devices = tool.find_devices("tpu", None, 4)
    subject = tool.lowering.read("vae_mnist --width 2 --batch-size 8")
    program = tool.compile_lowered(tool.lowering.lower_training(subject, devices)).program
    reduced = tool.hlo.cost(program, 1.0, tool.hlo.step_loop(program)).collectives
    networks = tool.lowering.abstract_state(subject).networks
    trained = sum(
        4 * math.prod(leaf.shape)
        for name in ("encoder", "decoder")
        for leaf in jax.tree.leaves(networks[name]["params"])
    )
    assert reduced.keys() == {"all-reduce"}
    # Besides the gradients, sums of metrics: some numbers.
    assert trained <= reduced["all-reduce"][1] < trained + 1024


@pytest.mark.parametrize(("topology", "count"), [("v5e:2x2", 4), ("v5e:2x4", 8)])
def test_more_devices_than_a_topology_has_are_refused(tool, topology, count):
    assert len(tool.find_devices("tpu", topology, count)) == count
    with pytest.raises(InputError, match=f"--devices {count + 1}: there are {count} in {topology}."):
        tool.find_devices("tpu", topology, count + 1)
