"""Clips whose frames are channels, and of which any may be known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import Aux, Context, ImageSpec, Sampler, init_state, make_step, minimize, to_float
from jaxgen.core.condition import KNOWN, UNKNOWN, conditioning
from jaxgen.export import ExportInfo, draw_films, export_sampler, load_clip_sampler, load_sampler, past_of
from jaxgen.io.errors import InputError
from jaxgen.models import Diffusion, labels
from jaxgen.models.diffusion import (
    channels_of,
    clean,
    clip_sampler,
    film_strip,
    hide_frames,
    known_frames,
    mark_known,
    motion_loss,
    strip_sampler,
    uniform_grid,
)
from jaxgen.models.diffusion.clips import as_channels, as_frames
from jaxgen.models.diffusion.model import COUNTED, LATENT

SPEC, FRAMES = ImageSpec(4, 5, 3), 6
CLIPS = jax.random.randint(jax.random.key(0), (7, FRAMES, *SPEC), 0, 256).astype(jnp.uint8)


class Guess:
    """A network that predicts each frame as the mean of the known ones, or as its own number if none is known."""

    def init_with_output(self, key, image, known, *, train, noise_level):
        return self.apply({}, image, known)

    def apply(self, variables, image, known, **_):
        parts = as_frames(known, FRAMES)
        frames, is_known = parts[..., :-1], parts[..., -1:]
        count = is_known.sum(1, keepdims=True)
        own = jnp.linspace(-1, 1, FRAMES)[:, None, None, None]
        guess = jnp.where(count > 0, frames.sum(1, keepdims=True) / jnp.maximum(count, 1), own)
        return as_channels(jnp.broadcast_to(guess, frames.shape)), {}


def model():
    return Diffusion(
        Guess(),
        channels_of(SPEC, FRAMES),
        prediction=clean,
        conditions=known_frames(SPEC, FRAMES),
        grid=uniform_grid(3),
    )


def test_frames_as_channels_and_back_are_the_clip():
    image = as_channels(CLIPS)
    assert image.shape[1:] == channels_of(SPEC, FRAMES)
    np.testing.assert_array_equal(as_frames(image, FRAMES), CLIPS)
    np.testing.assert_array_equal(image[..., 2 * 3 : 3 * 3], CLIPS[:, 2])
    np.testing.assert_array_equal(film_strip(CLIPS)[:, :, 2 * 5 : 3 * 5], CLIPS[:, 2])


def test_the_encoding_has_the_known_frames_and_says_which_they_are():
    is_known = jnp.arange(FRAMES) == 2
    known = mark_known(CLIPS, jnp.broadcast_to(is_known, (7, FRAMES)))
    (encoded,) = conditioning(known_frames(SPEC, FRAMES), {KNOWN: known})
    parts = as_frames(encoded, FRAMES)
    np.testing.assert_array_equal(parts[:, 2, ..., :-1], to_float(CLIPS[:, 2]))
    np.testing.assert_array_equal(parts[..., -1], np.broadcast_to(is_known[:, None, None], parts.shape[:-1]))
    (null,) = conditioning(known_frames(SPEC, FRAMES), {KNOWN: jnp.full_like(known, UNKNOWN)})
    assert not null.any()  # that of classifier-free guidance


def test_training_hides_the_frames_of_each_pattern_equally_often():
    patterns = [range(3), [0, FRAMES - 1], []]

    batch = {"clip": jnp.tile(CLIPS, (300, 1, 1, 1, 1))}
    seen = {}

    def spy(networks, context):
        seen["batch"] = context.batch
        return networks["net"]["params"].sum(), Aux()

    update = minimize(hide_frames(spy, patterns), optax.sgd(0.1), wrt="net")
    state = init_state(update, {"net": {"params": jnp.ones(())}}, jax.random.key(0))
    with jax.disable_jit():
        make_step(update)(state, batch)
    known, image = np.asarray(seen["batch"][KNOWN]), seen["batch"][LATENT]
    np.testing.assert_array_equal(image, as_channels(to_float(batch["clip"])))
    is_known = (known != UNKNOWN).all((2, 3, 4))
    assert ((known == UNKNOWN) | (known == np.asarray(batch["clip"]))).all()
    np.testing.assert_array_equal(as_frames(seen["batch"][COUNTED], FRAMES), known == UNKNOWN)
    masks = [np.isin(np.arange(FRAMES), [*pattern]) for pattern in patterns]
    counts = np.array([(is_known == mask).all(1).sum() for mask in masks])
    assert counts.sum() == 2_100
    assert abs(counts - 700).max() < 5 * (2_100 * 2 / 9) ** 0.5  # five standard deviations


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ([], "no patterns"),
        ([[0, -1]], "frame -1; the clips' are 0 to 5"),
        ([[], range(FRAMES)], "a pattern of all 6 frames"),
    ],
)
def test_patterns_of_frames_that_clips_have_not_are_refused(patterns, message):
    with pytest.raises(ValueError, match=message):
        hide_frames(lambda *_: None, patterns)({}, Context({"clip": CLIPS}, jax.random.key(0), jnp.int32(0)))


def test_the_motion_loss_is_the_mean_over_clips_of_the_mean_over_moved_frames():
    """Batches that are split over devices then have the same mean."""
    nats = jnp.arange(12.0).reshape(3, 4)
    is_moved = jnp.array([[False, True, True, False], [False] * 4, [True] * 4])

    class Surprised:
        def apply(self, variables, image, known, *, method, **_):
            assert method == "shift_nll"
            return (nats + variables["params"], is_moved), {}

    batch = {LATENT: jnp.zeros((3, *channels_of(SPEC, 4))), KNOWN: jnp.full((3, 4, *SPEC), UNKNOWN, jnp.int16)}
    context = Context(batch, jax.random.key(0), jnp.int32(0))
    loss = motion_loss(model()._replace(network=Surprised(), conditions=known_frames(SPEC, 4)))
    value, aux = loss({"denoiser": {"params": jnp.float32(1)}}, context)
    np.testing.assert_allclose(value, (2.5 + 0 + 10.5) / 3, rtol=1e-6)
    np.testing.assert_allclose([*aux.metrics["nats"]], [13, 2])  # of the clips with moved frames
    assert all(part.dtype == jnp.float32 for part in aux.metrics["nats"])


def test_one_network_predicts_fills_in_and_generates():
    sampler, keys = clip_sampler(model()), jax.random.split(jax.random.key(1), 7)
    networks = {"denoiser": {}}
    for places in ([0, 1, 2], [0, FRAMES - 1]):
        known = mark_known(CLIPS, jnp.broadcast_to(jnp.isin(jnp.arange(FRAMES), jnp.array(places)), (7, FRAMES)))
        drawn = sampler(networks, keys, known=known)
        np.testing.assert_array_equal(drawn[:, jnp.array(places)], to_float(CLIPS[:, jnp.array(places)]))
        mean = to_float(CLIPS[:, jnp.array(places)]).mean(1)
        np.testing.assert_allclose(drawn[:, 3], mean, atol=1e-5)  # the denoised clip is the drawn one: it is constant
    strip = strip_sampler(model())(networks, keys)
    np.testing.assert_allclose(strip[:, :, 5:10], -1 + 2 / (FRAMES - 1), atol=1e-5)


def test_an_exported_film_continues_its_past_block_by_block(tmp_path):
    export_sampler(clip_sampler(model()))(tmp_path / "clips", {"denoiser": {}}, ExportInfo(SPEC))
    sampler = load_clip_sampler(tmp_path / "clips")
    past = np.asarray(CLIPS[0, :3])
    films = draw_films(sampler, 0, 2, 16, past)
    assert films.shape == (2, 16, *SPEC)
    np.testing.assert_array_equal(films[:, :3], np.broadcast_to(CLIPS[0, :3], (2, 3, *SPEC)))
    expected = [*past.astype(float)]  # of blocks of 6 frames, each adds one
    while len(expected) < 16:
        expected.append(np.mean(expected[-past_of(FRAMES) :], axis=0))
    # Each block draws the mean of what it knows; a rounding of half a level in each of 13 blocks.
    np.testing.assert_allclose(films[0], np.stack(expected), atol=6.5)
    between = np.full((FRAMES, *SPEC), UNKNOWN, np.int16)
    between[[0, -1]] = CLIPS[0, jnp.array([0, -1])]
    joined = draw_films(sampler, 0, 2, FRAMES + 1, between)  # the first block at once, then one more frame
    middle = between[[0, -1]].mean(0)
    np.testing.assert_allclose(joined[1, 1:-2], np.broadcast_to(middle, (FRAMES - 2, *SPEC)), atol=0.5)
    np.testing.assert_array_equal(joined[0, [0, -2]], between[[0, -1]])
    np.testing.assert_allclose(joined[0, -1], joined[0, 1:-1].mean(0), atol=0.5)
    with pytest.raises(InputError, match="know different frames"):
        draw_films(sampler, 0, 2, 6, np.stack([between, np.full_like(between, UNKNOWN)]))
    np.testing.assert_array_equal(films[:, :FRAMES], draw_films(sampler, 0, 2, FRAMES, past))
    with pytest.raises(InputError, match="at most 6"):
        draw_films(sampler, 0, 1, 6, np.asarray(CLIPS[0, [0, *range(FRAMES)]]))
    for wrong in (past / 127.5 - 1, past.astype(int) + 256):
        with pytest.raises(InputError, match="expected integers of 0 to 255"):
            draw_films(sampler, 0, 1, 6, wrong)
    signature = (tmp_path / "clips" / "signature.json").read_text()
    assert '"output": "uint8 [B, 6, 4, 5, 3]"' in signature
    assert sampler.spec == SPEC
    export_sampler(strip_sampler(model()))(tmp_path / "strips", {"denoiser": {}}, ExportInfo(SPEC))
    assert load_sampler(tmp_path / "strips").spec == (4, FRAMES * 5, 3)  # of the images, not of the data


def test_a_film_depends_on_its_number_and_keeps_its_label_in_all_blocks(tmp_path):
    def shade(networks, keys, fields):
        noise = jax.vmap(lambda key: jax.random.uniform(key, (FRAMES, *SPEC), maxval=0.1))(keys)
        return noise + 0.5 * (fields["label"] - 1)[:, None, None, None, None]

    conditions = known_frames(SPEC, FRAMES) | labels(3)
    export_sampler(Sampler(shade, conditions))(tmp_path / "clips", {}, ExportInfo(SPEC))
    sampler = load_clip_sampler(tmp_path / "clips")
    films = draw_films(sampler, 0, 4, 14)
    np.testing.assert_array_equal(films[:2], draw_films(sampler, 0, 2, 14))
    # Noise of up to a tenth of 127.5 on the shade of each label.
    np.testing.assert_allclose(films.mean((2, 3, 4)), np.array([[70], [134], [198], [70]]).repeat(14, 1), atol=7)
