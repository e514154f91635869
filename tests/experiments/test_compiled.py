"""The compiler's view of a recipe is that of the program which trains it."""

import dataclasses
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.training import run
from tests.programs import ROOT, load_program, run_here, start

FOLDER = ROOT / "experiments" / "benchmarks"
TINY = "gan_mnist --width 2 --hidden 8 --batch-size 8"

HLO = """HloModule made_up, is_scheduled=true

%fused (p.0: u8[100,784], p.1: s32[8]) -> u8[8,784] {
  %p.0 = u8[100,784]{1,0} parameter(0)
  %p.1 = s32[8]{0} parameter(1)
  ROOT %gather.1 = u8[8,784]{1,0} gather(%p.0, %p.1), offset_dims={1}
}

%product (q.0: f32[8,8], q.1: f32[8,8]) -> f32[8,8] {
  %q.0 = f32[8,8]{1,0} parameter(0)
  %q.1 = f32[8,8]{1,0} parameter(1)
  ROOT %convolution.1 = f32[8,8]{1,0} convolution(%q.0, %q.1), dim_labels=bf_io->bf
}

%skipped (s: f32[8,8]) -> f32[8,8] {
  ROOT %s = f32[8,8]{1,0} parameter(0)
}

%taken (t: f32[8,8]) -> f32[8,8] {
  %t = f32[8,8]{1,0} parameter(0)
  ROOT %fusion.3 = f32[8,8]{1,0:S(1)} fusion(%t, %t), calls=%product, backend_config={"estimated_cycles":"400"}
}

%inner (i: (s32[], f32[8,8])) -> (s32[], f32[8,8]) {
  %i = (s32[], f32[8,8]{1,0:S(1)}) parameter(0)
  %moments = f32[8,8]{1,0:S(1)} get-tuple-element(%i), index=1
  %copy.9 = f32[8,8]{1,0:S(1)} copy(%moments), backend_config={"estimated_cycles":"10"}
  ROOT %tuple.9 = (s32[], f32[8,8]{1,0:S(1)}) tuple(%i, %copy.9)
}

%below (i: (s32[], f32[8,8])) -> pred[] {
  %length = s32[]{:T(128)} constant(7)
  %turn = s32[]{:T(128)} get-tuple-element(%i), index=0
  ROOT %lt = pred[]{:T(512)} compare(%turn, %length), direction=LT
}

%step (a: (s32[], u8[100,784], s32[8], f32[8,8])) -> (s32[], u8[100,784], s32[8], f32[8,8]) {
  %a = (s32[], u8[100,784]{1,0}, s32[8]{0}, /*index=3*/f32[8,8]{1,0}) parameter(0)
  %rows = u8[100,784]{1,0} get-tuple-element(%a), index=1
  %indices = s32[8]{0:S(1)} get-tuple-element(%a), index=2
  %f = f32[8,8]{1,0} get-tuple-element(%a), index=3
  %fusion.1 = u8[8,784]{1,0:S(1)} fusion(%rows, %indices), calls=%fused, backend_config={"estimated_cycles":"50"}
  %conditional.1 = f32[8,8]{1,0:S(1)} conditional(%p, %f, %f), branch_computations={%skipped, %taken}
  %while.2 = (s32[], f32[8,8]{1,0:S(1)}) while(%t), body=%inner, backend_config={"known_trip_count":{"n":"7"}}
  ROOT %tuple.1 = (s32[], u8[100,784]{1,0}, s32[8]{0}, f32[8,8]{1,0}) tuple(%a)
}

ENTRY %main (x: u8[100,28,28]) -> u8[100,784] {
  %x = u8[100,28,28]{2,1,0} parameter(0)
  %copy.1 = u8[100,784]{1,0} copy(%x), backend_config={"estimated_cycles":"9000"}
  ROOT %while.1 = (s32[], u8[100,784]{1,0}, s32[8]{0}, f32[8,8]{1,0}) while(%copy.1), condition=%d, body=%step
}
"""


KNOWN = 'body=%inner, backend_config={"known_trip_count":{"n":"7"}}'


@pytest.fixture
def tool(monkeypatch):
    """The module of the tool, and those beside it."""
    for name in ("JAX_PLATFORMS", "TPU_SKIP_MDS_QUERY", "TPU_ACCELERATOR_TYPE", "TPU_WORKER_HOSTNAMES"):
        monkeypatch.setenv(name, "cpu")  # what the tool sets is undone after the test
    monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    monkeypatch.syspath_prepend(FOLDER)
    return load_program(FOLDER / "compiled.py")


def test_a_matrix_product_counts_its_operations_and_bytes(tool):
    a, b = jax.ShapeDtypeStruct((64, 32), jnp.float32), jax.ShapeDtypeStruct((32, 16), jnp.float32)
    compiled = tool.compile_lowered(jax.jit(jnp.matmul).lower(a, b))
    cost = tool.hlo.cost(compiled.program)
    assert compiled.flops == 2 * 64 * 32 * 16
    assert cost.hbm_bytes == compiled.arguments + 4 * 64 * 16 == 4 * (64 * 32 + 32 * 16 + 64 * 16)
    assert cost.collectives == {}


SPLIT = """HloModule split

%part.1 (a: f32[8,4]) -> f32[32,4] {
  %a = f32[8,4]{1,0} parameter(0)
  ROOT %gather.1 = f32[32,4]{1,0} all-gather(%a), channel_id=7, dimensions={0}
}

%part.2 (b: f32[8,4]) -> f32[32,4] {
  %b = f32[8,4]{1,0} parameter(0)
  ROOT %gather.2 = f32[32,4]{1,0} all-gather(%b), channel_id=7, dimensions={0}
}

%all-reduce-scatter.3 (c: f32[32,4]) -> f32[8,4] {
  %c = f32[32,4]{1,0} parameter(0)
  %sum = f32[32,4]{1,0} all-reduce(%c), channel_id=8, to_apply=%add
  ROOT %kept = f32[8,4]{1,0} dynamic-slice(%sum), dynamic_slice_sizes={8,4}
}

ENTRY %main (x: f32[8,4]) -> f32[8,4] {
  %x = f32[8,4]{1,0} parameter(0)
  %begun = f32[32,4]{1,0} fusion(%x), kind=kCustom, calls=%part.1
  %ended = f32[32,4]{1,0} fusion(%x), kind=kCustom, calls=%part.2
  %own = f32[8,4]{1,0} fusion(%ended), kind=kCustom, calls=%all-reduce-scatter.3
  %more = f32[8,4]{1,0} fusion(%ended), kind=kCustom, calls=%all-reduce-scatter.3
  %mean.1 = f32[8,4]{1,0} all-reduce(%more), channel_id=1, to_apply=%add
  %mean.2 = f32[8,4]{1,0} all-reduce(%mean.1), channel_id=1, to_apply=%add
  %plain = f32[2,4]{1,0} reduce-scatter(%own), channel_id=9, dimensions={0}
  ROOT %other = f32[8,4]{1,0} all-gather(%plain), channel_id=10, dimensions={0}
}
"""


def test_a_collective_in_several_fusions_counts_once_and_others_of_its_channel_each(tool):
    found = tool.hlo.cost(tool.hlo.parse(SPLIT)).collectives
    whole, shard = 4 * 32 * 4, 4 * 8 * 4
    assert found == {
        "all-gather": (2, whole + shard),
        "reduce-scatter": (3, 2 * whole + shard),
        "all-reduce": (2, 2 * shard),
    }


def test_a_sum_over_eight_devices_is_one_all_reduce_of_its_bytes():
    program = """
import sys; sys.path.insert(0, "experiments/benchmarks")
import jax, jax.numpy as jnp
from compiler import compile_lowered, find_devices
from jax.sharding import NamedSharding, PartitionSpec
import hlo
from jaxgen import make_mesh
mesh = make_mesh(find_devices("cpu", None, 8))
x = jax.ShapeDtypeStruct((8, 1000), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec(*mesh.axis_names)))
total = jax.jit(lambda x: x.sum(0), out_shardings=NamedSharding(mesh, PartitionSpec()))
print(hlo.cost(compile_lowered(total.lower(x)).program).collectives)
"""
    process = start("-c", program)
    out, error = process.communicate()
    assert out == "{'all-reduce': (1.0, 4000.0)}\n", error


@pytest.mark.parametrize("loop", [KNOWN, "condition=%below, body=%inner"])
def test_a_step_costs_what_its_parts_cost_as_often_as_they_run(tool, loop):
    hlo = tool.hlo
    program = hlo.parse(HLO.replace(KNOWN, loop))
    step = hlo.step_loop(program)
    assert step == "step"
    assert hlo.has_inner_loops(program)
    cost = hlo.cost(program, 0.25, step)
    # The gather, a quarter of the product, seven copies.
    assert (cost.cycles, cost.matrix_cycles, cost.kernels) == (50 + 400 / 4 + 7 * 10, 400 / 4, 1 + 1 / 4 + 7)
    # Eight rows are gathered from the device's memory; the product reads both factors from there.
    assert cost.hbm_bytes == 8 * 784 + 2 * 4 * 8 * 8 / 4
    assert hlo.cost(program, 0.25).cycles == cost.cycles + 9000


def test_an_array_of_the_size_of_the_data_set_is_found(tool):
    found = tool.hlo.copies(tool.hlo.parse(HLO), 100 * 784)
    assert [instruction.name for instruction in found] == ["copy.1"]


def test_nothing_is_initialised_and_no_data_set_is_read(tool, monkeypatch):
    def load(*arguments, **options):
        raise AssertionError(arguments)

    monkeypatch.setattr("jaxgen.training.prepare.load", load)
    before = sum(array.nbytes for array in jax.live_arrays())
    subject = tool.lowering.read(TINY)
    tool.lowering.lower_training(subject, jax.devices())
    state = tool.lowering.abstract_state(subject)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.networks))
    assert sum(array.nbytes for array in jax.live_arrays()) - before < parameters
    assert set(subject.dataset.arrays["image"].strides) == {0}


class Lowered(Exception):  # noqa: N818
    """A dispatch was about to run."""


def test_the_program_is_the_one_that_training_runs(tool, monkeypatch, tmp_path):
    prepare = sys.modules["jaxgen.training.prepare"]
    by_jit, seen = prepare.by_jit, []

    def lowering_by_jit(mesh, **options):
        strategy = by_jit(mesh, **options)

        def compile_dispatch(dispatch):
            def lower(*arguments):
                seen.append(strategy.compile(dispatch).lower(*arguments).as_text())
                raise Lowered

            return lower

        return strategy._replace(compile=compile_dispatch)

    monkeypatch.setattr(prepare, "by_jit", lowering_by_jit)
    subject = tool.lowering.read(TINY)
    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), dtype=np.uint8)
    arrays = {"image": images, "label": np.arange(64, dtype=np.int32) % 10}
    dataset = tool.lowering.Dataset(arrays, "random", "train", digest="")
    config = dataclasses.replace(subject.config, out=tmp_path / "run")
    with pytest.raises(Lowered):
        run(config, lambda *_: subject.recipe, name="tiny", data=dataset)
    abstract = tool.lowering.lower_training(subject._replace(dataset=dataset), jax.devices())
    assert [abstract.as_text()] == seen


def test_the_share_of_the_steps_with_a_penalty_is_that_of_the_recipe(tool):
    assert tool.lowering.share_of_rare_steps(tool.lowering.read(TINY)) == 1 / 4


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["gan_mist", "--platform", "cpu"], "'gan_mist' is no experiment: expected one of"),
        (["text_to_emoji", "--platform", "cpu"], "--data emoji: its size is known once it is read"),
        (["gan_mnist", "--platform", "cpu", "--topology", "v5e:2x2"], "--topology v5e:2x2 is of TPUs"),
        (["gan_mnist", "--platform", "tpu"], "pip install 'jax[tpu]' into an environment of its own"),
        (["gan_mnist", "--sampler", "--devices", "2"], "leave out --devices"),
        ([], "No recipe is given"),
    ],
)
def test_what_cannot_be_compiled_is_refused_in_a_line(tool, monkeypatch, capsys, arguments, expected):
    monkeypatch.setattr(sys.modules["compiler"], "has_tpu_compiler", lambda: False)
    assert run_here(monkeypatch, tool.main, *arguments) == 2
    error = capsys.readouterr().err
    assert expected in " ".join(error.split())
    assert error.startswith("error: ")


def test_images_per_second_are_those_of_the_scarcer_and_a_dispatch_is_shared_by_its_steps(tool):
    chip = tool.Chip(operations=1e12, bandwidth=1e9, clock=1e6)
    cost = {"gigaflop": 2.0, "megabytes": 4.0, "cycles": 900.0, "cycles_per_dispatch": 5_000.0}
    assert tool.rates(cost, chip, batch=8, steps=50) == {
        "bound": "bandwidth",
        "images_per_second_by_roofline": 8 / (4e6 / 1e9),
        "images_per_second_by_cycles": 8 / (1_000 / 1e6),
    }
