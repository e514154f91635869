"""Clips in animated files and in folders of frames."""

import json
import zipfile
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from jaxgen import InputError
from jaxgen.core.image import to_float
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Aux
from jaxgen.core.update import chain, minimize
from jaxgen.data import load, load_clips, make_clips, make_dataset, shrink
from jaxgen.data.clip_file import MAX_PIXELS
from jaxgen.data.image_options import ImageOptions
from jaxgen.io.pictures import save_animation
from jaxgen.training import Recipe, RunConfig, run
from jaxgen.training.prepare import load_split
from jaxgen.training.run import best_networks

RNG = np.random.default_rng(0)


def random_clip(frames=3, shape=(8, 10, 3)):
    return RNG.integers(0, 256, (frames, *shape), np.uint8)


def write(path, clip, **options):
    """A clip [T, H, W, C], or [T, H, W], as Pillow writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = map(Image.fromarray, clip)
    first.save(path, save_all=True, append_images=others, duration=50, loop=0, **options)


def write_frames(folder, clip, names=None):
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(clip):
        Image.fromarray(frame).save(folder / (names[number] if names else f"{number}.png"))


@pytest.mark.parametrize(("suffix", "options"), [("png", {}), ("apng", {}), ("webp", {"lossless": True}), ("gif", {})])
def test_an_animation_is_read_as_it_was_written(tmp_path, suffix, options):
    clips = [random_clip() for _ in range(2)]  # 80 pixels have fewer colours than a GIF
    for number, clip in enumerate(clips):
        write(tmp_path / f"{number}.{suffix}", clip, **options)
    dataset = load_clips(tmp_path)
    np.testing.assert_array_equal(dataset.arrays["clip"], clips)
    assert (dataset.spec, dataset.size) == ((8, 10, 3), 2)
    np.testing.assert_array_equal(load_clips(tmp_path, frames=2).arrays["clip"], [clip[:2] for clip in clips])


def test_frames_are_composed_and_shown_on_white(tmp_path):
    first, second = np.zeros((2, 8, 8, 4), np.uint8)
    first[2:4, :, :] = (255, 0, 0, 255)
    second[:, 2:4] = (0, 0, 255, 255)
    write(tmp_path / "over.png", [first, second], blend=1)  # each over the one before
    write(tmp_path / "alone.png", [first, second], disposal=1)  # each in the place of the one before
    alone, over = load_clips(tmp_path).arrays["clip"]
    white = np.full((8, 8, 3), 255)
    for composed, keeps in ((over, True), (alone, False)):
        np.testing.assert_array_equal(composed[0, 2:4], np.broadcast_to((255, 0, 0), (2, 8, 3)))
        np.testing.assert_array_equal(composed[1, :, 2:4], np.broadcast_to((0, 0, 255), (8, 2, 3)))
        np.testing.assert_array_equal(composed[1, 2, 5], (255, 0, 0) if keeps else (255,) * 3)
        np.testing.assert_array_equal(composed[1, 5:, 5:], white[5:, 5:])


def test_the_still_that_stands_for_an_animation_is_no_frame_of_it(tmp_path):
    clip = random_clip(4)
    write(tmp_path / "a.png", clip, default_image=True)
    np.testing.assert_array_equal(load_clips(tmp_path).arrays["clip"][0], clip[1:])


def test_clips_are_turned_by_their_orientation_and_a_photograph_of_two_views_is_one_frame(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    clip = random_clip()
    write(tmp_path / "turned" / "a.webp", clip, lossless=True, exif=exif)
    turned = load_clips(tmp_path / "turned").arrays["clip"][0]
    np.testing.assert_array_equal(turned, np.rot90(clip, -1, axes=(1, 2)))
    for number in range(2):
        write(tmp_path / "views" / "a" / f"{number}.jpg", random_clip(2), format="MPO")
    assert load_clips(tmp_path / "views").arrays["clip"].shape == (1, 2, 8, 10, 3)


def test_folders_of_frames_are_clips_in_natural_order_in_a_folder_and_in_an_archive(tmp_path):
    clips = {"cat/b": random_clip(), "dog/a": random_clip()}
    for name, clip in clips.items():
        write_frames(tmp_path / "clips" / name, clip, names=["1.png", "2.png", "10.png"])
    lines = [json.dumps({"file_name": name, "text": f"the clip {name}"}) for name in clips]
    (tmp_path / "clips" / "metadata.jsonl").write_text("\n".join(lines))
    with zipfile.ZipFile(tmp_path / "clips.zip", "w") as archive:
        for path in (tmp_path / "clips").rglob("*.*"):
            archive.write(path, path.relative_to(tmp_path / "clips"))
    for place in ("clips", "clips.zip"):
        dataset = load(str(tmp_path / place), frames=3)
        np.testing.assert_array_equal(dataset.arrays["clip"], list(clips.values()))
        assert dataset.arrays["label"].tolist() == [0, 1]
        assert dataset.class_names == ("cat", "dog")
        assert dataset.captions == ("the clip cat/b", "the clip dog/a")


def test_grey_clips_are_grey_and_those_in_colour_by_an_option(tmp_path):
    clip = random_clip(shape=(8, 8))
    write(tmp_path / "grey" / "a.png", clip)
    np.testing.assert_array_equal(load_clips(tmp_path / "grey").arrays["clip"][0, ..., 0], clip)
    write(tmp_path / "gif" / "a.gif", clip)
    assert load_clips(tmp_path / "gif").spec == (8, 8, 3)
    np.testing.assert_array_equal(
        load_clips(tmp_path / "gif", images=ImageOptions(grey=True)).arrays["clip"][0, ..., 0], clip
    )


def test_the_size_crops_each_frame_at_its_centre(tmp_path):
    clip = random_clip(shape=(8, 24, 3))
    write(tmp_path / "a.png", clip)
    cropped = load_clips(tmp_path, images=ImageOptions(size=(8, 8))).arrays["clip"]
    np.testing.assert_array_equal(cropped[0], clip[:, :, 8:16])


def test_frames_shrink_as_images_do():
    clips = make_clips(RNG.integers(0, 256, (2, 3, 8, 8, 3), np.uint8), source="data", split="all")
    images = make_dataset(clips.pixels[:, 1], None, source="data", split="all")
    np.testing.assert_array_equal(shrink(clips, 4).arrays["clip"][:, 1], shrink(images, 4).arrays["image"])


def test_a_streamed_clip_is_the_one_in_memory_and_captions_change_its_digest(tmp_path):
    for name in "abc":
        write(tmp_path / f"{name}.png", random_clip())
    whole, streamed = load(str(tmp_path), frames=3), load(str(tmp_path), frames=3, most_bytes=1)
    for index in range(3):
        np.testing.assert_array_equal(streamed.read(index)["clip"], whole.arrays["clip"][index])
    assert streamed.num_bytes == whole.arrays["clip"].nbytes
    (tmp_path / "metadata.jsonl").write_text(
        "\n".join(json.dumps({"file_name": f"{name}.png", "text": name}) for name in "abc")
    )
    assert load(str(tmp_path), frames=3, most_bytes=1).digest != streamed.digest


def test_shorter_clips_are_left_out_when_asked_with_their_captions(tmp_path):
    for name, frames in (("a", 3), ("b", 2), ("c", 4)):
        write(tmp_path / f"{name}.png", random_clip(frames))
    lines = [json.dumps({"file_name": f"{name}.png", "text": name}) for name in "abc"]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    said = []
    dataset = load(str(tmp_path), frames=3, drop_short=True, announce=said.append)
    assert (dataset.size, dataset.captions) == (2, ("a", "c"))
    assert said == [
        f"1 clips in {tmp_path} have fewer than 3 frames, and are left out",
        f"1 clips in {tmp_path} have more than 3 frames, of which the first are used",
    ]


def several(path):
    write(path / "a.png", random_clip(4))
    write(path / "b.png", random_clip(3))


def sizes(path):
    write(path / "a.png", random_clip())
    write(path / "b.png", random_clip(shape=(8, 8, 3)))


def one_frame(path):
    write(path / "a.png", random_clip())
    write(path / "b.png", random_clip(1))


def frames_of_several_sizes(path):
    write_frames(path / "a", random_clip(1), ["0.png"])
    Image.new("RGB", (9, 8)).save(path / "a" / "1.png")


def mixed(path):
    write_frames(path / "a", random_clip())
    write(path / "a" / "3.gif", random_clip())


def damaged(path):
    write(path / "a.gif", random_clip())
    content = (path / "a.gif").read_bytes()
    (path / "a.gif").write_bytes(content[:-40])


def huge(path):
    side = 1024
    frames = [np.full((side, side), value, np.uint8) for value in range(1, MAX_PIXELS // side**2 + 2)]
    write(path / "a.png", frames, compress_level=1)


@pytest.mark.parametrize(
    ("make", "frames", "message"),
    [
        (
            several,
            None,
            r"b.png has 3 frames; another clip has 4: give --frames 3, the first ones of each clip\.$",
        ),
        (
            several,
            4,
            r"b.png has 3 frames; --frames 4 needs as many: give --frames 3, .* 4 with --drop-short",
        ),
        (several, 1, "--frames 1: a clip has at least 2"),
        (sizes, None, "a.png is 8x10 and .*b.png is 8x8: make all clips one size with --size"),
        (one_frame, None, "b.png has one frame, and is no clip: expected an animated GIF"),
        (lambda path: write_frames(path / "a", random_clip(1)), None, "a has one frame, and is no clip"),
        (lambda path: write_frames(path / "a", random_clip()), 4, "a has 3 frames; --frames 4 needs as many"),
        (lambda path: write_frames(path, random_clip()), None, "0.png is one image, and no clip"),
        (frames_of_several_sizes, None, "1.png is 8x9; the first frame of its clip is 8x10"),
        (mixed, None, "3.gif is an animation in a folder of frames: move it away"),
        (damaged, 3, "a.gif cannot be read as an image: image file is truncated"),
        (huge, None, r"a.png has 65 frames of 1024 x 1024, 68,157,440 pixels; .* give --frames 64 or fewer"),
        (lambda path: (path / "a.txt").write_text(""), None, "holds no images"),
    ],
)
def test_clips_that_cannot_be_read_are_one_line(tmp_path, make, frames, message):
    make(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        load_clips(tmp_path, frames=frames)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("clip", [np.zeros((2, 1, 4, 4, 3), np.uint8), np.zeros((2, 3, 4, 4, 2), np.uint8)])
def test_arrays_that_are_no_clips_are_one_line(clip):
    with pytest.raises(InputError, match=r"expected uint8\[N, T, H, W, C\] with T from 2 on"):
        make_clips(clip, source="data", split="all")


@dataclass(frozen=True)
class Config(RunConfig):
    frames: int = 3


def mean_of_clips(config, spec):
    """A recipe whose network becomes the mean of a batch in one step, and is drawn as its frames side by side."""
    shape = (config.frames, *spec)

    def loss(networks, context):
        errors = networks["mean"]["params"] - to_float(context.batch["clip"])
        return jnp.square(errors).sum() / 2 / len(errors), Aux(metrics={}, changes={})

    def draw(networks, keys, _):
        film = jnp.concatenate(list(networks["mean"]["params"]), axis=1)
        return jnp.broadcast_to(film, (keys.shape[0], *film.shape))

    return Recipe(
        networks=lambda _: {"mean": {"params": jnp.zeros(shape)}},
        update=chain(mean=minimize(loss, optax.sgd(1.0), wrt="mean")),
        sampler=Sampler(draw),
    )


@pytest.mark.parametrize("memory_gib", [4.0, 1e-6])
def test_a_run_trains_on_clips_where_its_config_has_frames(tmp_path, memory_gib):
    for name in "abcd":
        save_animation(tmp_path / "clips" / f"{name}.webp", random_clip(4)[:, None], is_loop=True)
    options = {"steps": 1, "batch_size": 4, "log_every": 1, "memory_gib": memory_gib}
    config = Config(data=str(tmp_path / "clips"), out=tmp_path / "run", **options)
    clips = load_split(config, "train")
    assert clips.arrays["clip"].shape[:2] == (4, 3)
    networks = best_networks(config, mean_of_clips, run(config, mean_of_clips, name="toy"), clips.spec)
    expected = (clips.arrays["clip"] / 127.5 - 1).mean(axis=0)
    np.testing.assert_allclose(
        networks["mean"]["params"], expected, atol=8 * 2**-24
    )  # a sum of 4 values below 1, each rounded
