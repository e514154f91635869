"""Images of any shape and colour, brought to one size."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from jaxgen import InputError
from jaxgen.cli import main
from jaxgen.data import as_dataset, folder, image_cache, load
from jaxgen.data.image_options import AS_STORED, ImageOptions, image_options
from jaxgen.training import RunConfig
from tests.prepared import write_prepared
from tests.programs import ROOT, load_program, run_here
from tests.training import toy_experiment

RNG = np.random.default_rng(0)
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def blocks(*colours, size=(20, 20)):
    """Blocks side by side, a colour each, as an image [H, W, 3]."""
    return np.concatenate([np.full((*size, 3), colour, np.uint8) for colour in colours], axis=1)


def smooth(height, width):
    """A picture like a photo: noise of low frequency."""
    noise = Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    return np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC))


def write(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **options)


def read(path, *, announce=lambda _: None, most_bytes=None, **options):
    return load(str(path), images=ImageOptions(**options), announce=announce, most_bytes=most_bytes)


def one(path, **options):
    return read(path, **options).arrays["image"][0]


def test_a_crop_is_the_centre_and_keeps_its_pixels(tmp_path):
    write(tmp_path / "wide" / "a.png", blocks(RED, GREEN, BLUE))
    write(tmp_path / "high" / "a.png", blocks(RED, GREEN, BLUE).swapaxes(0, 1))
    for name in ("wide", "high"):
        np.testing.assert_array_equal(one(tmp_path / name, size=(20, 20)), blocks(GREEN))
    np.testing.assert_array_equal(one(tmp_path / "wide", size=(20, 40)), blocks(RED, GREEN, BLUE)[:, 10:50])


def test_a_padded_image_is_whole_and_centred_on_the_background(tmp_path):
    write(tmp_path / "a.png", blocks(RED, size=(10, 20)))
    padded = one(tmp_path, size=(20, 20), fit="pad", background="#0000ff")
    expected = blocks(BLUE)
    expected[5:15] = RED
    np.testing.assert_array_equal(padded, expected)
    np.testing.assert_array_equal(one(tmp_path, size=(20, 20), fit="pad", background="median"), blocks(RED))


@pytest.mark.parametrize("size", [(9, 9), (24, 16), (70, 70)])
def test_a_stretched_image_is_resized_as_by_pillow(tmp_path, size):
    image = RNG.integers(0, 256, (40, 56, 3), dtype=np.uint8)
    write(tmp_path / "a.png", image)
    expected = Image.fromarray(image).resize(size[::-1], Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(one(tmp_path, size=size, fit="stretch"), np.asarray(expected))


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_is_as_if_decoded_whole(tmp_path, fit, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    write(tmp_path / "jpeg" / "a.jpg", smooth(512, 768), quality=95, exif=exif)
    whole = Image.open(tmp_path / "jpeg" / "a.jpg").convert("RGB")
    upright = whole.transpose(Image.Transpose.ROTATE_270) if orientation == 6 else whole
    write(tmp_path / "png" / "a.png", np.asarray(upright))
    ours, expected = (one(tmp_path / kind, size=(32, 48), fit=fit).astype(int) for kind in ("jpeg", "png"))
    # Decoding at an eighth of the scale is an average of 8x8 pixels in place of a part of Lanczos' filter.
    assert np.abs(ours - expected).max() <= 2


def test_transparent_pixels_show_the_background(tmp_path):
    image = np.zeros((8, 8, 4), np.uint8)
    image[:, :4] = (*GREEN, 255)
    image[:, 4:6] = (*GREEN, 128)
    write(tmp_path / "a.png", image)
    for background, colour in {"white": (255,) * 3, "black": (0,) * 3, "#ff0000": RED, "median": GREEN}.items():
        seen = one(tmp_path, background=background)
        np.testing.assert_array_equal(seen[:, :4], blocks(GREEN, size=(8, 4)))
        half = np.round(np.array(GREEN) * 128 / 255 + np.array(colour) * 127 / 255)
        assert np.abs(seen[:, 4:6] - half).max() <= 1
        np.testing.assert_array_equal(seen[:, 6:], blocks(colour, size=(8, 2)))


def test_grey_is_the_luma_and_a_background_in_colour_makes_grey_images_colour(tmp_path):
    write(tmp_path / "colour" / "a.png", blocks(RED, GREEN, BLUE))
    grey = one(tmp_path / "colour", grey=True)
    assert grey.shape == (20, 60, 1)
    assert grey[0, [0, 20, 40], 0].tolist() == [76, 150, 29]  # ITU-R 601: 0.299, 0.587, 0.114
    write(tmp_path / "grey" / "a.png", np.full((8, 16), 9, np.uint8))
    padded = one(tmp_path / "grey", size=(16, 16), fit="pad", background="red")
    assert padded[:, 0].tolist() == [[*RED]] * 4 + [[9, 9, 9]] * 8 + [[*RED]] * 4
    assert one(tmp_path / "grey", size=(16, 16), fit="pad", background="black").shape == (16, 16, 1)


def test_grey_images_among_coloured_ones_are_said(tmp_path):
    for number in range(10):
        write(tmp_path / f"{number}.png", np.zeros((8, 8) if number < 7 else (8, 8, 3), np.uint8))
    said = []
    assert read(tmp_path, announce=said.append).spec == (8, 8, 3)
    assert said == ["7 of 10 images are grey, and are read as colour; --grey makes all grey"]
    assert read(tmp_path, announce=said.append, grey=True).spec == (8, 8, 1)
    assert len(said) == 1


CHANGES = [{"fit": "pad"}, {"fit": "stretch"}, {"background": "black"}, {"grey": True}, {"size": (16, 18)}]


@pytest.mark.parametrize("most_bytes", [None, 0])
def test_every_option_that_changes_pixels_changes_the_digest(tmp_path, most_bytes):
    image = RNG.integers(0, 256, (20, 30, 4), dtype=np.uint8)
    write(tmp_path / "a.png", image)
    digests = {
        read(tmp_path, **{"size": (16, 16), **change}, most_bytes=most_bytes).digest for change in ({}, *CHANGES)
    }
    assert len(digests) == 1 + len(CHANGES)


@pytest.mark.parametrize("is_grey", [False, True])
def test_images_in_memory_are_those_that_are_streamed(tmp_path, is_grey):
    for number in range(40):
        image = RNG.integers(0, 256, (20 + number % 3, 24, 3), dtype=np.uint8)
        write(tmp_path / f"{number % 2}" / f"{number}.{('png', 'jpg', 'tif', 'pgm')[number % 4]}", image[..., 0])
        if not is_grey and number % 3 == 0:
            write(tmp_path / f"{number % 2}" / f"{number}.bmp", image)
    in_memory, streamed = (read(tmp_path, size=(10, 12), most_bytes=most) for most in (None, 0))
    assert in_memory.spec == streamed.spec == (10, 12, 1 if is_grey else 3)
    for index in range(streamed.size):
        for name, value in streamed.read(index).items():
            np.testing.assert_array_equal(in_memory.arrays[name][index], value)


@pytest.mark.parametrize("options", [ImageOptions((10, 16)), ImageOptions((32, 32), "pad", "median", grey=True)])
def test_a_folder_an_array_and_python_give_the_same_pixels(tmp_path, options):
    images = RNG.integers(0, 256, (3, 24, 20, 3), dtype=np.uint8)
    for number, image in enumerate(images):
        write(tmp_path / "folder" / f"{number}.png", image)
    np.savez(tmp_path / "a.npz", image=images)
    expected = load(str(tmp_path / "folder"), images=options).arrays["image"]
    assert expected.shape[1:3] == options.size
    np.testing.assert_array_equal(load(str(tmp_path / "a.npz"), images=options).arrays["image"], expected)
    for example in (list(images), [Image.fromarray(image) for image in images]):
        source = [{"image": image, "label": 1} for image in example]
        np.testing.assert_array_equal(as_dataset(source, images=options).arrays["image"], expected)
        streamed = as_dataset(source, images=options, most_bytes=0)
        np.testing.assert_array_equal([streamed.read(index)["image"] for index in range(3)], expected)
        assert streamed.read(0)["label"] == 1


@pytest.mark.parametrize("most_bytes", [None, 0])
def test_a_prepared_data_set_is_resized(tmp_path, most_bytes):
    images = RNG.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    write_prepared(tmp_path, train=images)
    data = load("cifar10", data_dir=tmp_path, images=ImageOptions((16, 16)), most_bytes=most_bytes)
    assert data.spec == (16, 16, 3)
    assert data.fields["label"] == ((), np.int32)
    image = data.read(1)["image"] if most_bytes == 0 else data.arrays["image"][1]
    expected = Image.fromarray(images[1]).resize((16, 16), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(image, np.asarray(expected))


def test_grey_and_coloured_examples_from_python_are_all_coloured():
    source = [{"image": np.zeros((8, 8, 1 + 2 * (number == 5)), np.uint8)} for number in range(9)]
    assert as_dataset(source).spec == (8, 8, 3)
    assert as_dataset(source, images=ImageOptions(grey=True)).spec == (8, 8, 1)


REFUSED = [
    ((10, 30_000), {"size": (64, 64)}, r"0\.png is 10 x 30000 \(height x width\), too wide for --size 64: .* 8 times"),
    ((1, 1), {"size": (64, 96)}, r"0\.png is 1 x 1 \(height x width\): --size 64x96 needs at least 8 x 12"),
    ((9, 9), {"fit": "pad"}, r"--fit pad needs --size"),
    ((9, 9), {"size": (0, 4)}, r"--size 0x4: expected from 1 to 67,108,864 pixels"),
    ((9, 9), {"background": "reddish"}, r"--background reddish: expected white, black, median, a colour's name"),
]


@pytest.mark.parametrize(("shape", "options", "line"), REFUSED)
def test_what_cannot_be_brought_to_the_size_is_one_line(tmp_path, shape, options, line):
    write(tmp_path / "0.png", np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match=line):
        read(tmp_path, **options)


@pytest.mark.parametrize("option", ["--size=64by64", "--size=-3", "--fit=fill"])
def test_a_mistyped_option_is_refused(option, data, tmp_path, monkeypatch, capsys):
    assert run_here(monkeypatch, toy_experiment.main, "--data", data, "--out", tmp_path, option, "--steps", 1) == 2
    assert option.partition("=")[2] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("images", "label", "line"),
    [
        (np.zeros((9, 8, 8, 1), np.uint8), np.arange(9), "All 9 images of .*a.npz are equal"),
        (np.arange(150 * 64).astype(np.uint8).reshape(150, 8, 8, 1), np.arange(150), "150 images in 150 classes"),
    ],
)
def test_data_that_cannot_be_learnt_from_are_refused(images, label, line, tmp_path, monkeypatch, capsys):
    np.savez(tmp_path / "a.npz", image=images, label=label)
    experiment = load_program(ROOT / "experiments" / "cgan_mnist.py")
    arguments = "--data", tmp_path / "a.npz", "--batch-size", 8, "--out", tmp_path / "run"
    assert run_here(monkeypatch, experiment.main, *arguments) == 2
    assert re.search(line, capsys.readouterr().err)


def test_a_record_gives_the_options_that_made_it():
    assert image_options(vars(RunConfig())) == AS_STORED
    assert image_options({"size": [4, 6], "fit": "pad", "steps": 3}) == ImageOptions((4, 6), "pad")


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """A folder whose array is cached, and the function that reads it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(image_cache, "CACHED_FROM", 3)
    place = tmp_path / "folder"
    for number in range(3):
        write(place / "ab"[number % 2] / f"{number}.png", np.full((8, 8, 3), number, np.uint8))
    return place, lambda **options: read(place, size=(4, 4), **options)


def test_the_second_start_reads_the_cache_and_no_image(cached, monkeypatch):
    _, again = cached
    first = again()
    monkeypatch.delattr(folder, "decode")
    second = again()
    np.testing.assert_array_equal(second.arrays["image"], first.arrays["image"])
    assert (second.digest, second.class_names, second.source) == (first.digest, ("a", "b"), first.source)
    assert again(most_bytes=1).num_bytes == 3 * 4 * 4 * 3  # too large for the memory: streamed, not read


def test_a_changed_file_or_a_damaged_cache_is_read_anew(cached, tmp_path):
    place, again = cached
    again()
    (kept,) = (tmp_path / "cache").rglob("*.npz")
    kept.write_bytes(kept.read_bytes()[:-40])
    assert again().arrays["image"][0].max() == 0
    write(place / "a" / "0.png", np.full((8, 8, 3), 77, np.uint8))
    assert again().arrays["image"][0].min() == 77


def test_a_run_on_mixed_sizes_is_evaluated_on_images_prepared_as_it_was(tmp_path, monkeypatch, capsys):
    for number in range(60):
        write(tmp_path / "pictures" / f"{number}.png", smooth(40 + number % 3, 50))
    out = tmp_path / "run"
    shared = ("--data", tmp_path / "pictures", "--out", out, "--steps", 2, "--grey")
    assert run_here(monkeypatch, toy_experiment.main, *shared, "--size", "28") == 0
    assert run_here(monkeypatch, main, "evaluate", out, "--num", 60, "--allow-few") == 0
    assert run_here(monkeypatch, toy_experiment.main, *shared, "--size", "28", "--steps", 3, "--fit", "pad") == 2
    assert "fit = crop, not pad" in capsys.readouterr().err


def test_the_benchmark_of_reading_compares_with_pillow(tmp_path):
    program = ROOT / "experiments" / "benchmarks" / "reading.py"
    out = tmp_path / "out.json"
    options = "--images", "6", "--turns", "1", "--size", "16", "--out", str(out)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, program, *options], check=True, timeout=300, env=environment)
    record = json.loads(out.read_text())
    assert {name: len(turns) for name, turns in record["seconds"].items()} == {
        "Pillow alone": 1,
        "first start": 1,
        "second start": 1,
    }
