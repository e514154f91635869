"""What must hold on many devices.  Run by test_parallel.py in a process that simulates eight."""

import re
from dataclasses import replace
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import Context, ImageSpec, Update, init_state, make_step, minimize, simultaneous
from jaxgen.core import parallel, rows
from jaxgen.core.batch import AXIS, draw_batch, use_mesh
from jaxgen.core.metrics import compute
from jaxgen.core.parallel import SMALL, by_jit, by_pmap, data_parallel, make_mesh, pmapped
from jaxgen.core.rows import take_rows
from jaxgen.losses import bernoulli, logistic_discriminator, non_saturating_generator
from jaxgen.models import (
    GAN,
    VAE,
    adversarial_game,
    augment,
    crop,
    importance_weighted_loss,
    jitter_colour,
    mirror,
    shift,
    total_correlation_loss,
    turn,
)
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator, MLPDecoder, MLPEncoder
from jaxgen.training.dispatch import many_steps
from jaxgen.training.run import first_state
from tests.programs import ANY_DATA, ROOT, load_program, raw

STEPS, BATCH, SPEC = 3, 32, ImageSpec(28, 28, 1)
IMAGES = np.random.default_rng(0).integers(0, 256, (50, *SPEC), dtype=np.uint8)
TEXT = np.random.default_rng(2).integers(0, 64, (50, 10), dtype=np.int32)
DATA = {"image": IMAGES, "label": np.arange(50, dtype=np.int32) % 10, "text": TEXT}
DATA["clip"] = np.random.default_rng(4).integers(0, 256, (50, 4, *SPEC), dtype=np.uint8)
DATA["features"] = np.random.default_rng(3).random((50, 14 * 14), dtype=np.float32)
PALETTES = np.random.default_rng(5).random((50, 24), dtype=np.float32)
INDICES = np.random.default_rng(1).integers(0, 50, (STEPS, BATCH), dtype=np.int32)


@pytest.fixture(autouse=True)
def _plain_descent(monkeypatch):
    """Adam divides rounding errors by rounding errors where a gradient is nearly zero.

    The rate is low since likelihoods summed over pixels have gradients of hundreds.
    """
    monkeypatch.setattr(optax, "adam", lambda *_, **__: optax.sgd(0.01))


pytestmark = pytest.mark.usefixtures("forgotten_programs")

STRATEGIES = {
    "jit": by_jit(make_mesh()),
    "fsdp": by_jit(make_mesh(), fsdp=True),
    "pmap": by_pmap(jax.devices()),
}


def select(rows, index, data=DATA):
    return {name: take_rows(array, index, data[name].shape[1:]) for name, array in rows.items()}


def run(update, state, strategy, data=DATA):
    dispatch = strategy.compile(many_steps(make_step(update), partial(select, data=data)))
    state, measured = dispatch(
        strategy.put_state(state), strategy.put_rows(data), strategy.put_sharded(INDICES), np.int32(STEPS)
    )
    metrics, finite = measured
    assert compute({"finite": finite}) == {"finite": 1.0}
    return raw(strategy.fetch(state)), compute(metrics)


def experiment(path):
    program = load_program(path)
    config = program.Config(width=4, batch_size=BATCH)
    # A likelihood as narrow as in training would throw plain descent off; deep networks compile for minutes.
    smaller = {"words": TEXT.shape[1], "variance": 5.0, "levels": 2, "blocks": 1, "autoencoder_steps": 1, "frames": 4}
    if path.stem == "pictures":
        del smaller["autoencoder_steps"]  # its GAN has no autoencoder
    config = replace(config, **{name: value for name, value in smaller.items() if hasattr(config, name)})
    recipe = program.build(config, SPEC)
    return recipe.update, first_state(config, recipe)


def normalised():
    """A game with BatchNorm in both networks, from one forward pass."""
    gan = GAN(DCGANGenerator(SPEC, width=4), DCGANDiscriminator(width=4), latent_size=8)
    descent = optax.sgd(0.1)
    update = simultaneous(
        adversarial_game(gan, logistic_discriminator, non_saturating_generator),
        {"discriminator": descent, "generator": descent},
    )
    return update, init_state(update, gan.init(jax.random.key(0), SPEC), jax.random.key(1))


def bound(loss):
    """Several latents an image, or latents that meet those of the other images."""
    vae = VAE(MLPEncoder(4, hidden=(16,)), MLPDecoder(SPEC, hidden=(16,)), bernoulli(), 4)
    update = minimize(loss(vae), optax.sgd(0.01), wrt=("encoder", "decoder"))
    networks = vae.init(jax.random.key(0), SPEC)
    return update, init_state(update, networks, jax.random.key(1))


BOUNDS = {
    "importance_weighted": partial(importance_weighted_loss, samples=3),
    "resampled": partial(importance_weighted_loss, samples=4, backward=2),
    "total_correlation": partial(total_correlation_loss, beta=3.0, dataset_size=1_000),
}
RECIPES = {"normalised": normalised} | {name: partial(bound, loss) for name, loss in BOUNDS.items()}
# The crops of a texture have other sides; its network is that of diffusion_cifar10.
EXPERIMENTS = [*(path for path in ANY_DATA if path.stem != "texture"), ROOT / "experiments" / "video.py"]
RECIPES |= {path.stem: lambda path=path: experiment(path) for path in EXPERIMENTS}
# Under jit the compiler splits a program that is written for the whole batch: some recipes show that it does.  Under
# pmap each device computes the loss of its own rows, and every recipe must average over devices itself.
PARTITIONED = {"normalised", *BOUNDS, "gan_mnist", "vae_mnist", "flow_mnist"}


@pytest.mark.parametrize("recipe", RECIPES)
def test_many_devices_equal_one(recipe):
    update, state = RECIPES[recipe]()
    data = DATA | ({"features": PALETTES} if recipe == "text_and_features_to_image" else {})
    expected, metrics = run(update, state, by_jit(make_mesh(jax.devices()[:1])), data)
    for strategy in STRATEGIES if recipe in PARTITIONED else ["pmap"]:
        after, measured = run(update, state, STRATEGIES[strategy], data)
        chex.assert_trees_all_close(measured, metrics, rtol=1e-5, atol=1e-5)
        chex.assert_trees_all_close(after, expected, rtol=1e-5, atol=1e-5)  # sums of float32 in another order


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_fetched_is_what_was_put(strategy):
    _, state = normalised()
    strategy = STRATEGIES[strategy]
    chex.assert_trees_all_equal(raw(strategy.fetch(strategy.put_state(state))), raw(state))


@pytest.mark.parametrize("large", [1, 2**30])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_gathers_the_same_batch(strategy, large, monkeypatch):
    monkeypatch.setattr(parallel, "LARGE", large)
    monkeypatch.setattr(rows, "CHUNK", 3_000)  # bytes: three images, where a device holds seven or fifty
    strategy = STRATEGIES[strategy]
    dispatch = strategy.compile(lambda _, rows, index, count: (select(rows, index[0]), {}))
    batch, _ = dispatch({}, strategy.put_rows(DATA), strategy.put_sharded(INDICES), np.int32(1))
    for name, array in DATA.items():
        np.testing.assert_array_equal(np.asarray(batch[name]).reshape(BATCH, *array.shape[1:]), array[INDICES[0]])


def test_devices_share_the_rows_of_a_large_array_and_exchange_only_a_batch(monkeypatch):
    monkeypatch.setattr(parallel, "LARGE", IMAGES.nbytes)
    update, state = normalised()
    strategy = STRATEGIES["jit"]
    put = strategy.put_rows(DATA)
    assert put["image"].addressable_shards[0].data.shape == (7, 896)  # an eighth of 50 images, rounded up
    assert put["label"].addressable_shards[0].data.shape == (50,)
    _, program = compiled(strategy, update, state, BATCH)
    exchanged = re.findall(r"u8\[([\d,]*)\]\S* (?:all-\w+|reduce-scatter|collective-permute)\(", program)
    assert set(exchanged) <= {f"{BATCH},896", f"{BATCH // 8},896"}
    assert exchanged


@pytest.mark.parametrize(
    "draw", [jax.random.normal, lambda key, shape: jax.random.key_data(jax.random.split(key, shape[0]))]
)
def test_the_number_of_devices_changes_no_draw(draw):
    def shard(key):
        return draw_batch(draw, key, (4, 2))

    key = jax.random.key(0)
    shards = jax.pmap(shard, AXIS)(jnp.broadcast_to(key, 8))
    np.testing.assert_array_equal(shards.reshape(32, 2), draw(key, (32, 2)))


def test_the_number_of_devices_changes_no_augmented_image():
    images = np.random.default_rng(4).integers(0, 256, (BATCH, 28, 28, 3), dtype=np.uint8)
    keeping = Update(
        lambda networks: (networks, ()), lambda networks, _, context: (networks, context.batch["image"], {})
    )
    update = augment(keeping, mirror, crop, shift, turn, jitter_colour)

    def seen(key, images):
        return update.update({}, (), Context({"image": images}, key, jnp.int32(0)))[1]

    def seen_on(mesh, key, images):
        with use_mesh(mesh):
            return seen(key, images)

    key, mesh = jax.random.key(0), make_mesh()
    expected = jax.jit(seen)(key, images)
    shards = jax.pmap(seen, AXIS)(jnp.broadcast_to(key, 8), images.reshape(8, -1, *images.shape[1:]))
    np.testing.assert_array_equal(shards.reshape(images.shape), expected)
    np.testing.assert_array_equal(jax.jit(partial(seen_on, mesh))(key, images), expected)
    assert (expected != images).any((1, 2, 3)).all()


def test_fsdp_holds_an_eighth_of_each_large_array_on_a_device():
    _, state = normalised()
    put = STRATEGIES["fsdp"].put_state(state)
    large = [leaf for leaf in jax.tree.leaves(put) if leaf.size >= SMALL]
    assert large
    for leaf in large:
        assert leaf.addressable_shards[0].data.size == leaf.size // 8


@pytest.mark.parametrize(("strategy", "gathers"), [("jit", 0), ("fsdp", 1)])
def test_devices_split_the_work_and_exchange_no_images(strategy, gathers):
    update, state = normalised()
    alone, _ = compiled(by_jit(make_mesh(jax.devices()[:1])), update, state, BATCH // 8)
    flops, program = compiled(STRATEGIES[strategy], update, state, BATCH)
    assert flops < 1.1 * alone  # each has its own copy of the optimiser's work
    assert "all-to-all" not in program
    assert bool(re.search(r" all-gather\(", program)) == gathers
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.networks))
    for line in re.findall(r"= (.*) (?:all-reduce|all-gather|collective-permute)\(", program):
        assert "28,28,1]" not in line
        arrays = re.findall(r"f32\[([\d,]*)\]", line)
        assert sum(np.prod([int(n) for n in dims.split(",") if n]) for dims in arrays) <= parameters


@pytest.mark.parametrize("strategy", ["jit", "fsdp"])
def test_no_more_is_exchanged_for_larger_batches_although_penalties_are_lazy(strategy):
    update, state = experiment(next(path for path in ANY_DATA if path.stem == "gan_mnist"))
    programs = [compiled(STRATEGIES[strategy], update, state, batch)[1] for batch in (BATCH, 8 * BATCH)]
    assert exchanged(programs[0]) == exchanged(programs[1])


def exchanged(program):
    """The shapes of all arrays that devices exchange; metrics are numbers."""
    found = re.findall(r"= (.*) (?:all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)\(", program)
    return sorted(shape for line in found for shape in re.findall(r"\w+\[[\d,]+\]", line))


def compiled(strategy, update, state, batch):
    """The operations and the text of a device's program for a step."""
    program = strategy.compile(many_steps(make_step(update), select))
    indices = strategy.put_sharded(np.resize(INDICES, (1, batch)))
    arguments = strategy.put_state(state), strategy.put_rows(DATA), indices, np.int32(1)
    executable = jax.jit(program).lower(*arguments).compile()
    return executable.cost_analysis()["flops"], executable.as_text()


def test_a_step_is_split_over_a_mesh():
    update, state = normalised()
    step, mesh = make_step(update), make_mesh()
    batch = {name: array[:BATCH] for name, array in DATA.items()}
    expected, _ = jax.jit(step)(state, batch)
    after, metrics = data_parallel(step, mesh)(by_jit(mesh).put_state(state), batch)
    chex.assert_trees_all_close(raw(after), raw(expected), rtol=1e-5, atol=1e-5)
    assert after.step.sharding.is_fully_replicated
    assert metrics["generator/loss"].count == 1


def test_a_step_is_mapped_over_devices():
    update, state = normalised()
    step, strategy = make_step(update), STRATEGIES["pmap"]
    batch = {name: array[:BATCH] for name, array in DATA.items()}
    expected, metrics = jax.jit(step)(state, batch)
    shards = {name: array.reshape(8, -1, *array.shape[1:]) for name, array in batch.items()}
    after, measured = pmapped(step)(strategy.put_state(state), shards)
    chex.assert_trees_all_close(raw(strategy.fetch(after)), raw(expected), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(compute(measured)["real_logit"], compute(metrics)["real_logit"], rtol=1e-5, atol=1e-6)


def test_the_given_state_is_left_alone():
    _, state = normalised()
    for strategy in STRATEGIES.values():
        put = strategy.put_state(state)
        jax.tree.map(lambda leaf: leaf.delete(), put)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(state))
