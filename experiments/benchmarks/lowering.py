"""The programs of an experiment, lowered from shapes alone: no network is initialised, and no data set is read.

An experiment is read as a user starts it: its `main` runs with a `run` that keeps what it is given, and each data set
that it reads is zeros that take no memory.
"""

import importlib.util
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgen import ImageSpec, InputError, make_mesh, make_step
from jaxgen.core.batch import AXIS
from jaxgen.core.parallel import Device, Strategy, by_jit, by_pmap, require_divisible, state_sharding
from jaxgen.core.rows import row_shape, stored_bytes
from jaxgen.core.types import PyTree, TrainState
from jaxgen.data import Dataset
from jaxgen.data.class_names import CLASS_NAMES
from jaxgen.export.sampler import seeded
from jaxgen.training import Recipe, RunConfig, first_state, require_bounds
from jaxgen.training.augmentation import augmented
from jaxgen.training.classes import with_classes
from jaxgen.training.dispatch import feed_from, train
from jaxgen.training.provenance import traced_step

FOLDER = Path(__file__).parents[1]
SIZES = {
    "mnist": (60_000, ImageSpec(28, 28, 1)),
    "fashion_mnist": (60_000, ImageSpec(28, 28, 1)),
    "cifar10": (50_000, ImageSpec(32, 32, 3)),
    "binarized_mnist": (50_000, ImageSpec(28, 28, 1)),
}
"""The number of training images, and their size, of the data sets that have names."""

PERIOD = 120
"""Steps after which all conditionals on the step's number repeat."""


class Subject(NamedTuple):
    """What an experiment trains, on data of the right shapes."""

    config: RunConfig
    recipe: Recipe
    dataset: Dataset


def read(words: str, **changes: Any) -> Subject:
    """The subject of an experiment and its options, as in `gan_cifar10 --preset r3gan`; `changes` replace options.

    Raises:
      InputError: there is no such experiment, its options cannot be used, or the size of its data is not known.
    """
    name, *options = shlex.split(words) or [""]
    path = FOLDER / f"{name}.py"
    if not name or not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.py")))
        raise InputError(f"{name!r} is no experiment: expected one of {known}.")
    config, build, prepare = _given_to_run(path, options)
    config = replace(config, **changes)
    require_bounds(config)
    dataset = zeros(config)
    dataset = dataset if prepare is None else prepare(dataset)
    config = with_classes(config, dataset.classes, dataset.source)
    recipe = augmented(build(config, dataset.spec), config.augment, dataset.spec)
    return Subject(config, recipe, dataset)


def zeros(config: RunConfig, *_: Any) -> Dataset:
    """A data set of the size of the one that `--data` names: black images that take no memory, and labels.

    Raises:
      InputError: the size is not known.
    """
    if config.data not in SIZES:
        raise InputError(f"--data {config.data}: its size is known once it is read; expected {', '.join(SIZES)}.")
    size, spec = SIZES[config.data]
    height, width = config.size or spec[:2]
    shape = size, height, width, 1 if config.grey else spec.channels
    arrays: dict[str, np.ndarray] = {"image": np.broadcast_to(np.zeros((), np.uint8), shape)}
    names = CLASS_NAMES.get(config.data, ())
    if names:
        arrays["label"] = np.arange(size, dtype=np.int32) % len(names)
    return Dataset(arrays, config.data, "train", digest="", class_names=names)


def lower_training(subject: Subject, devices: Sequence[Device]) -> Any:
    """The program that `jaxgen.training` runs for each dispatch, lowered for these devices.

    Raises:
      InputError: the batch does not divide over the devices.
    """
    config, recipe, dataset = subject
    require_divisible(config.batch_size, len(devices))
    lowered = []
    strategy = _by_shapes(config.parallel, devices, lowered)
    training = train(
        make_step(recipe.update),
        strategy.put_state(abstract_state(subject)),
        feed_from(dataset, seed=config.seed, batch_size=config.batch_size),
        strategy,
        steps=2 * config.log_every,  # the first dispatch is not the last, whose metrics would be fetched
        dispatch=config.log_every,
    )
    with closing(training):
        next(training)
    return lowered[0]


def lower_sampler(subject: Subject, devices: Sequence[Device]) -> Any:
    """The program that draws `batch_size` images, as it is exported, lowered for the first device."""
    config, recipe, _ = subject
    placed = NamedSharding(make_mesh(devices[:1]), PartitionSpec())
    fields = {
        name: jax.ShapeDtypeStruct((config.batch_size, *condition.shape), condition.dtype)
        for name, condition in recipe.sampler.conditions.items()
    }
    seed = jax.ShapeDtypeStruct((), jnp.uint32)
    index = jax.ShapeDtypeStruct((config.batch_size,), jnp.int32)
    arguments = abstract_state(subject).networks, seed, index, fields

    def draw(networks: PyTree, seed: PyTree, index: PyTree, fields: PyTree) -> PyTree:
        return seeded(recipe.sampler, networks)(seed, index, fields)

    return jax.jit(draw).lower(*_shaped(arguments, jax.tree.map(lambda _: placed, arguments)))


def abstract_state(subject: Subject) -> TrainState:
    """The shapes and dtypes of the state before the first step."""
    return jax.eval_shape(lambda: first_state(subject.config, subject.recipe))


def share_of_rare_steps(subject: Subject) -> float:
    """The share of the steps in which the conditionals on the step's number take another branch than their first.

    Where they differ, the largest; 1 where there are none.
    """
    program = traced_step(*subject, abstract_state(subject)).jaxpr
    rest = [None] * (len(program.invars) - 1)
    # The step is the state's first leaf.
    taken = jax.jit(jax.vmap(lambda step: _branches(program, [step, *rest])[0]))(jnp.arange(PERIOD, dtype=jnp.int32))
    shares = [float((np.asarray(branch) > 0).mean()) for branch in taken]
    # The branch of a platform is the same in all steps, and compiled alone.
    return max((share for share in shares if 0 < share < 1), default=1.0)


def _branches(program: Jaxpr, inputs: list[Any]) -> tuple[list[Any], list[Any]]:
    """The branches that conditionals take, and the outputs, as far as they follow from the inputs that are not None."""
    known, taken = dict(zip(program.invars, inputs, strict=True)), []
    for eqn in program.eqns:
        values = [var.val if isinstance(var, Literal) else known.get(var) for var in eqn.invars]
        inner = eqn.params.get("jaxpr") or eqn.params.get("call_jaxpr")
        outputs: list[Any] = [None] * len(eqn.outvars)
        if eqn.primitive.name == "cond":
            taken += [values[0]] if values[0] is not None else []
        elif isinstance(inner, ClosedJaxpr) and len(inner.jaxpr.invars) == len(values):
            found, outputs = _branches(inner.jaxpr, values)
            taken += found
        elif inner is None and all(value is not None and jnp.ndim(value) == 0 for value in values):
            result = eqn.primitive.bind(*values, **eqn.params)
            outputs = list(result) if eqn.primitive.multiple_results else [result]
        known.update(zip(eqn.outvars, outputs, strict=True))
    return taken, [var.val if isinstance(var, Literal) else known.get(var) for var in program.outvars]


def _given_to_run(path: Path, options: list[str]) -> tuple[Any, Any, Any]:
    """The config, `build` and `prepare` that the `main` of an experiment gives to `run`."""
    name = f"compiled_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    given = []

    def run(config: Any, build: Any, *, prepare: Any = None, **_: Any) -> None:
        given.extend((config, build, prepare))

    module.run, module.load_split = run, zeros
    with patch.object(sys, "argv", [str(path), *options]):
        module.main()
    config, build, prepare = given
    return config, build, prepare


def _by_shapes(parallel: str, devices: Sequence[Device], lowered: list[Any]) -> Strategy:
    """The strategy of that name, which lowers each dispatch in place of running it; all its arrays are shapes."""
    mesh = make_mesh(devices)
    is_pmap, fsdp = parallel == "pmap", parallel == "fsdp"
    real = by_pmap(devices) if is_pmap else by_jit(mesh, fsdp=fsdp)
    split = NamedSharding(mesh, PartitionSpec(None, AXIS))

    def put(tree: PyTree, *, fsdp: bool = False) -> PyTree:
        if is_pmap:
            each = NamedSharding(mesh, PartitionSpec(AXIS))
            copies = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((len(devices), *leaf.shape), leaf.dtype), tree)
            return _shaped(copies, jax.tree.map(lambda _: each, copies))
        return _shaped(tree, state_sharding(tree, mesh, fsdp=fsdp))

    def put_rows(arrays: Mapping[str, np.ndarray]) -> PyTree:
        return {name: _rows_by_shape(array, real, mesh, is_pmap=is_pmap) for name, array in arrays.items()}

    def put_sharded(tree: PyTree) -> PyTree:
        return real.put_sharded(tree) if is_pmap else _shaped(tree, jax.tree.map(lambda _: split, tree))

    def compile_dispatch(dispatch: Any) -> Any:
        program: Any = real.compile(dispatch)

        def lower(*arguments: Any) -> tuple[Any, None]:
            lowered.append(program.lower(*arguments))
            return arguments[0], None

        return lower

    return real._replace(
        compile=compile_dispatch,
        put_state=lambda state: put(state, fsdp=fsdp),
        put_rows=put_rows,
        fetch=lambda _: np.int32(0),  # the loop reads the step
        put_sharded=put_sharded,
    )


def _shaped(tree: PyTree, shardings: PyTree) -> PyTree:
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree, shardings
    )


def _rows_by_shape(array: np.ndarray, strategy: Strategy, mesh: Mesh, *, is_pmap: bool) -> jax.ShapeDtypeStruct:
    """The shape of an array of examples as a strategy places it."""
    dtype = jax.dtypes.canonicalize_dtype(array.dtype)
    parts = mesh.size // strategy.copies(stored_bytes(array))
    shape = parts * -(-len(array) // parts), *row_shape(array.shape[1:], array.dtype)
    if is_pmap:
        shape = mesh.size, *shape
    spec = PartitionSpec(AXIS) if is_pmap or parts > 1 else PartitionSpec()
    return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, spec))
