"""What every experiment's recipe must keep."""

from types import SimpleNamespace

import chex
import jax
import jax.numpy as jnp
import pytest

from jaxgen import ImageSpec, InputError, make_step
from jaxgen.export import SIGNATURE, ExportInfo
from jaxgen.training import first_state
from tests.programs import ANY_DATA, ROOT, load_program

CIFAR10_GAN, INPAINT, COLORIZE, FLOW, CIFAR10_DIFFUSION = (
    ROOT / "experiments" / f"{name}.py"
    for name in ("gan_cifar10", "cnn_inpaint_mnist", "cnn_colorize_cifar10", "flow_mnist", "diffusion_cifar10")
)
QUICK = [
    *((path, {}) for path in ANY_DATA if path != CIFAR10_GAN),
    (CIFAR10_GAN, {"classes": 3}),
    (CIFAR10_GAN, {"preset": "r3gan", "classes": 3}),
    (FLOW, {"classes": 3, "guidance": 2.0}),
    (CIFAR10_DIFFUSION, {"network": "unet", "classes": 3}),
    *((INPAINT, {"task": task}) for task in ("complete", "denoise", "super_resolve_x2")),
]
# What has fewer parts than one of the quick ones, or differs from it in a number, takes its time.
LONG = [(CIFAR10_GAN, {}), (CIFAR10_GAN, {"preset": "r3gan"}), (INPAINT, {"task": "super_resolve_x4"})]
GREY = {
    "gan_mnist",
    "vae_mnist",
    "cnn_inpaint_mnist",
    "flow_mnist",
}  # quickly one of each family, whose others have the same layers

CASES = [(*quick, 3) for quick in [*QUICK, (COLORIZE, {})]]
CASES += [(path, {}, 1) for path in ANY_DATA if path.stem in GREY]
CASES += [pytest.param(*preset, 3, marks=pytest.mark.long) for preset in LONG]
CASES += [
    pytest.param(path, options, 1, marks=pytest.mark.long)
    for path, options in [*QUICK, *LONG]
    if options or path.stem not in GREY
]


@pytest.mark.parametrize(
    ("path", "options"),
    [
        (FLOW, {"guidance": 2.0}),
        (FLOW, {"dropped": 0.0, "classes": 10, "guidance": 2.0}),
        (CIFAR10_DIFFUSION, {"guidance": 2.0}),
        (CIFAR10_DIFFUSION, {"dropout": 0.1}),
    ],
    ids=lambda value: getattr(value, "stem", None),
)
def test_an_option_that_would_be_ignored_is_refused(path, options):
    program = load_program(path)
    with pytest.raises(InputError, match=f"--{next(iter(options))}"):
        program.build(program.Config(**options), ImageSpec(32, 32, 3))


@pytest.mark.parametrize(("path", "options", "channels"), CASES, ids=lambda value: getattr(value, "stem", None))
def test_a_step_keeps_the_types_of_the_state_and_the_exports_can_be_traced(
    path, options, channels, tmp_path, monkeypatch
):
    program = load_program(path)
    # In bfloat16 where there are colours: then too the state and the images stay float32.
    dtype = jnp.dtype("float32" if channels == 1 else "bfloat16")
    config = program.Config(width=2, batch_size=4, dtype=dtype, **options)
    spec = ImageSpec(32, 32, channels)
    recipe = program.build(config, spec)
    state = jax.eval_shape(lambda: first_state(config, recipe))
    batch = {"image": jax.ShapeDtypeStruct((4, *spec), jnp.uint8), "label": jax.ShapeDtypeStruct((4,), jnp.int32)}
    conditions = recipe.sampler.conditions
    for name, condition in conditions.items():
        batch[name] = jax.ShapeDtypeStruct((4, *condition.shape), condition.dtype)
    after, metrics = jax.eval_shape(make_step(recipe.update), state, batch)
    assert recipe.update.losses
    assert all(metric.dtype == jnp.float32 for metric in jax.tree.leaves(metrics))
    assert {*recipe.update.losses, *recipe.discriminators} <= metrics.keys()
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    # Of any number of images, as it is exported.
    (number,) = jax.export.symbolic_shape("B")
    keys = jax.ShapeDtypeStruct((number,), jax.random.key(0).dtype)
    fields = {name: jax.ShapeDtypeStruct((number, *c.shape), c.dtype) for name, c in conditions.items()}
    images = jax.eval_shape(recipe.sampler, state.networks, keys, **fields)
    assert (images.shape, images.dtype) == ((number, *spec), jnp.float32)
    monkeypatch.setattr(jax.export, "export", traced)
    networks = jax.tree.map(lambda one: jnp.zeros(one.shape, one.dtype), state.networks)
    for name, export in recipe.exports.items():
        export(tmp_path / name, networks, ExportInfo(spec, conditions))
        assert (tmp_path / name / SIGNATURE).is_file()


def traced(function, **_):
    """In place of `jax.export.export`: traces the function, which finds what cannot be exported, and lowers nothing."""

    def trace(*arguments):
        jax.eval_shape(function, *arguments)
        return SimpleNamespace(serialize=lambda **_: b"")

    return trace
