"""Clips, whose frames are images that are drawn given those around them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import Aux, Context, ImageSpec, Sampler, init_state, make_step, minimize, to_float
from jaxgen.core.condition import KNOWN, UNKNOWN, conditioning
from jaxgen.export import ExportInfo, clip_length, draw_films, export_sampler, load_frame_sampler
from jaxgen.io.errors import InputError
from jaxgen.models import Diffusion, labels
from jaxgen.models.diffusion import (
    clean,
    film_strip,
    frame_of_clip,
    known_frames,
    motion_loss,
    strip_sampler,
    uniform_grid,
)

SPEC, FRAMES = ImageSpec(4, 5, 3), 4
AROUND = 2 * (FRAMES - 1)
CLIPS = jax.random.randint(jax.random.key(0), (7, FRAMES, *SPEC), 0, 256).astype(jnp.uint8)


def parts_of(encoded):
    """The frames around each image, [B, S, H, W, C], and whether they are known, [B, S, H, W, 1]."""
    parts = jnp.moveaxis(encoded.reshape(*encoded.shape[:3], AROUND, SPEC.channels + 1), 3, 1)
    return parts[..., :-1], parts[..., -1:]


class Guess:
    """A network that predicts a frame as the mean of the known ones, or as -0.5 if none is known."""

    def init_with_output(self, key, image, known, *, train, noise_level):
        return self.apply({}, image, known)

    def apply(self, variables, image, known, **_):
        frames, is_known = parts_of(known)
        count = is_known.sum(1)
        return jnp.where(count > 0, frames.sum(1) / jnp.maximum(count, 1), -0.5), {}


def model():
    return Diffusion(Guess(), SPEC, prediction=clean, conditions=known_frames(SPEC, FRAMES), grid=uniform_grid(3))


def test_the_encoding_has_the_known_frames_and_says_which_they_are():
    known = np.full((7, AROUND, *SPEC), UNKNOWN, np.int16)
    known[:, 2] = CLIPS[:, 0]
    (encoded,) = conditioning(known_frames(SPEC, FRAMES), {KNOWN: jnp.asarray(known)})
    frames, is_known = parts_of(encoded)
    np.testing.assert_array_equal(frames[:, 2], to_float(CLIPS[:, 0]))
    np.testing.assert_array_equal(
        is_known[..., 0], np.broadcast_to(np.arange(AROUND)[:, None, None] == 2, is_known.shape[:-1])
    )
    (null,) = conditioning(known_frames(SPEC, FRAMES), {KNOWN: jnp.full_like(known, UNKNOWN)})
    assert not null.any()  # that of classifier-free guidance


def test_each_pattern_is_drawn_equally_often_with_the_frames_around_its_image():
    patterns = [(3, range(3)), (1, [0, 3]), (2, [])]
    batch, seen = {"clip": jnp.tile(CLIPS, (300, 1, 1, 1, 1))}, {}

    def spy(networks, context):
        seen["batch"] = context.batch
        return networks["net"]["params"].sum(), Aux()

    update = minimize(frame_of_clip(spy, FRAMES, patterns), optax.sgd(0.1), wrt="net")
    state = init_state(update, {"net": {"params": jnp.ones(())}}, jax.random.key(0))
    with jax.disable_jit():
        make_step(update)(state, batch)
    clip, image, known = (np.asarray(array) for array in (batch["clip"], seen["batch"]["image"], seen["batch"][KNOWN]))
    counts = np.zeros(3)
    for one, frame, around in zip(clip, image, known, strict=True):
        (number,) = [n for n, (place, _) in enumerate(patterns) if (frame == one[place]).all()]
        place, given = patterns[number]
        counts[number] += 1
        expected = np.full((AROUND, *SPEC), UNKNOWN, np.int16)  # at distances -3, -2, -1, 1, 2, 3
        for frame_number in given:
            distance = frame_number - place
            expected[distance + 3 - (distance > 0)] = one[frame_number]
        np.testing.assert_array_equal(around, expected)
    assert counts.sum() == 2_100
    assert abs(counts - 700).max() < 5 * (2_100 * 2 / 9) ** 0.5  # five standard deviations


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ([], "no patterns"),
        ([(0, [-1])], "frame -1; the clips' are 0 to 3"),
        ([(4, [])], "frame 4; the clips' are 0 to 3"),
        ([(0, []), (2, [1, 2])], "frame 2 as an image and as known"),
    ],
)
def test_patterns_of_frames_that_clips_have_not_are_refused(patterns, message):
    with pytest.raises(ValueError, match=message):
        frame_of_clip(lambda *_: None, FRAMES, patterns)


def test_clips_of_another_length_are_refused():
    with pytest.raises(ValueError, match="clips of 4 frames; expected 5"):
        frame_of_clip(lambda *_: None, 5, [(0, [])])({}, Context({"clip": CLIPS}, jax.random.key(0), jnp.int32(0)))
    with pytest.raises(ValueError, match="clips of 1 frames; expected at least 2"):
        known_frames(SPEC, 1)


def test_the_motion_loss_is_a_mean_over_all_images():
    """Images from nothing count as 0, so that batches that are split over devices have the same mean."""
    nats, has_source = jnp.array([1.0, 2, 4]), jnp.array([True, False, True])

    class Surprised:
        def apply(self, variables, image, known, *, method, **_):
            assert method == "shift_nll"
            return (nats + variables["params"], has_source), {}

    batch = {"image": CLIPS[:3, 0], KNOWN: jnp.full((3, AROUND, *SPEC), UNKNOWN, jnp.int16)}
    context = Context(batch, jax.random.key(0), jnp.int32(0))
    loss = motion_loss(model()._replace(network=Surprised()))
    value, aux = loss({"denoiser": {"params": jnp.float32(1)}}, context)
    np.testing.assert_allclose(value, (2 + 0 + 5) / 3, rtol=1e-6)
    np.testing.assert_allclose([*aux.metrics["nats"]], [7, 2])  # of the images with a known frame
    assert all(part.dtype == jnp.float32 for part in aux.metrics["nats"])


class Count(Guess):
    """A network that predicts as brightness how many frames are known, the last one three times."""

    def apply(self, variables, image, known, **_):
        _, is_known = parts_of(known)
        return jnp.zeros_like(image) - 0.5 + 0.1 * (is_known.sum(1) + 2 * is_known[:, FRAMES - 2]), {}


def test_a_strip_grows_frame_by_frame():
    strip = strip_sampler(model()._replace(network=Count()))({"denoiser": {}}, jax.random.split(jax.random.key(1), 2))
    expected = np.array([-0.5, -0.2, -0.1, 0]).repeat(5)[:, np.newaxis]  # 0, 1, 2 and 3 known ones
    np.testing.assert_allclose(strip, np.broadcast_to(expected, (2, 4, FRAMES * 5, 3)), atol=1e-5)
    np.testing.assert_array_equal(film_strip(CLIPS)[:, :, 2 * 5 : 3 * 5], CLIPS[:, 2])


def test_clips_of_two_frames_are_continued(tmp_path):
    def draw(networks, keys, fields):
        before, after = fields[KNOWN][:, 0], fields[KNOWN][:, 1]
        return to_float(jnp.where(before < 0, jnp.where(after < 0, 9, after // 2), before + 1).astype(jnp.uint8))

    export_sampler(Sampler(draw, known_frames(SPEC, 2)))(tmp_path / "frames", {}, ExportInfo(SPEC))
    sampler = load_frame_sampler(tmp_path / "frames")
    assert clip_length(sampler) == 2
    assert draw_films(sampler, 0, 1, 4)[0, :, 0, 0, 0].tolist() == [9, 10, 11, 12]
    last = np.stack([np.full(SPEC, UNKNOWN), np.full(SPEC, 50)])
    assert draw_films(sampler, 0, 1, 3, last)[0, :, 0, 0, 0].tolist() == [25, 50, 51]
    assert draw_films(sampler, 0, 1, 1, last)[0, :, 0, 0, 0].tolist() == [25]  # which leads to the frame beyond it


@pytest.fixture(scope="module")
def sampler(tmp_path_factory):
    """The exported sampler of frames, of `Guess`."""
    folder = tmp_path_factory.mktemp("run") / "frames"
    export_sampler(model().sampler())(folder, {"denoiser": {}}, ExportInfo(SPEC))
    return load_frame_sampler(folder)


def test_a_film_continues_its_past_of_which_each_frame_sees_the_last_ones(sampler):
    past = np.asarray(CLIPS[0, :2])
    films = draw_films(sampler, 0, 2, 12, past)
    assert films.shape == (2, 12, *SPEC)
    np.testing.assert_array_equal(films[:, :2], np.broadcast_to(past, (2, 2, *SPEC)))
    for number in range(2, 12):
        mean = films[:, max(0, number - FRAMES + 1) : number].mean(1)
        np.testing.assert_allclose(films[:, number], mean, atol=0.5 + 1e-3)  # rounded
    np.testing.assert_array_equal(films[:, :6], draw_films(sampler, 0, 2, 6, past))
    np.testing.assert_allclose(draw_films(sampler, 0, 1, 3), 127.5 * 0.5, atol=0.5)
    np.testing.assert_array_equal(draw_films(sampler, 0, 1, 1, past)[0], past[:1])
    assert (clip_length(sampler), sampler.spec) == (FRAMES, SPEC)


def test_a_film_leads_from_one_known_frame_to_the_other(sampler):
    between = np.full((FRAMES, *SPEC), UNKNOWN, np.int16)
    between[[0, -1]] = CLIPS[0, jnp.array([0, -1])]
    films = draw_films(sampler, 0, 2, FRAMES + 1, between)
    np.testing.assert_array_equal(films[0, [0, -2]], between[[0, -1]])
    ends = between[[0, -1]]
    np.testing.assert_allclose(films[1, 1], ends.mean(0), atol=0.5 + 1e-3)
    np.testing.assert_allclose(films[1, 2], np.stack([*ends, films[1, 1]]).mean(0), atol=0.5 + 1e-3)
    np.testing.assert_allclose(films[0, -1], films[0, 1:-1].mean(0), atol=0.5 + 1e-3)


def test_known_frames_that_do_not_fit_are_refused(sampler):
    past = np.asarray(CLIPS[0, :2])
    with pytest.raises(InputError, match="know different frames"):
        draw_films(sampler, 0, 2, 6, np.stack([past.astype(np.int16), np.full_like(past, UNKNOWN, np.int16)]))
    partly = past.astype(np.int16)
    partly[1, 0] = UNKNOWN
    with pytest.raises(InputError, match="parts of frames"):
        draw_films(sampler, 0, 2, 6, partly)
    with pytest.raises(InputError, match="of 3 films were given for 2"):
        draw_films(sampler, 0, 2, 6, np.stack([past] * 3))
    with pytest.raises(InputError, match=r"1 films of 32,769 frames; at most 65,536 of 32,768"):
        draw_films(sampler, 0, 1, 32_769)
    with pytest.raises(InputError, match="at most 4"):
        draw_films(sampler, 0, 1, 6, np.asarray(CLIPS[0, [0, *range(FRAMES)]]))
    for wrong in (past / 127.5 - 1, past.astype(int) + 256):
        with pytest.raises(InputError, match="expected integers of 0 to 255"):
            draw_films(sampler, 0, 1, 6, wrong)


def test_a_film_depends_on_its_number_and_all_its_frames_have_its_label(tmp_path):
    def shade(networks, keys, fields):
        noise = jax.vmap(lambda key: jax.random.uniform(key, SPEC, maxval=0.1))(keys)
        return noise + 0.5 * (fields["label"] - 1)[:, None, None, None]

    conditions = known_frames(SPEC, FRAMES) | labels(3)
    export_sampler(Sampler(shade, conditions))(tmp_path / "frames", {}, ExportInfo(SPEC))
    sampler = load_frame_sampler(tmp_path / "frames")
    films = draw_films(sampler, 0, 5, 14)
    np.testing.assert_array_equal(films[:2], draw_films(sampler, 0, 2, 14))
    assert (films[0, 0] != films[3, 0]).any()
    assert (films[0, 0] != films[0, 1]).any()
    # Noise of up to a tenth of 127.5 on the shade of each label.
    np.testing.assert_allclose(films.mean((2, 3, 4)), np.array([[70], [134], [198], [70], [134]]).repeat(14, 1), atol=7)
