"""Image files as cameras, scanners and browsers write them: the right pixels, or one line."""

import io
import zlib

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen import ImageSpec, InputError
from jaxgen.cli import main as jaxgen
from jaxgen.cli.controls import images_and_fields
from jaxgen.cli.invert import Invert
from jaxgen.core.controls import Controls
from jaxgen.data import as_dataset, read_features
from jaxgen.data.image_file import decode, read_header, read_image
from jaxgen.data.masks import read_mask
from jaxgen.evaluation import describe
from jaxgen.export import ExportInfo, export_controls, export_restorer, export_stylizer, load_controls
from tests.programs import run_here
from tests.real_inputs.files import chunk, encoded, exif, pack, png, read, tiff

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of damaged EXIF data

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (2, 3, 3), np.uint8)
DEEP = RNG.integers(0, 65536, (2, 3, 4), np.uint16)
DEEP.reshape(-1)[:4] = DEEP.reshape(-1)[4:8] = 25828, 65535, 0, 65535
GREY16, GREY16_ALPHA, RGB16 = DEEP[..., :1], DEEP[..., ::3], DEEP[..., :3]
UPRIGHT = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image, 2).swapaxes(0, 1),
    8: np.rot90,
}
"""What a viewer makes of pixels that are stored with each EXIF orientation."""


def eight(deep):
    """The values of 16 bits on a scale of 255, nearest."""
    return np.rint(deep / 257).astype(np.uint8)


def on_white(deep):
    """The same with alpha last, put on white."""
    colours, alpha = eight(deep)[..., :-1].astype(float), eight(deep)[..., -1:] / 255
    return np.rint(colours * alpha + 255 * (1 - alpha))


def premultiplied(deep):
    colours, alpha = deep[..., :3].astype(int), deep[..., 3:].astype(int)
    return np.concatenate([colours * alpha // 65535, alpha], axis=2).astype(np.uint16)


def netpbm(magic, most, values):
    """A PPM or PGM of one row."""
    width = len(values) // (3 if magic in ("P3", "P6") else 1)
    body = " ".join(map(str, values)).encode() if magic in ("P2", "P3") else np.array(values, ">u2").tobytes()
    return f"{magic} {width} 1 {most}\n".encode() + body


def clear(*values):
    """A PNG's chunk that makes one colour transparent."""
    return chunk(b"tRNS", np.array(values, ">u2").tobytes())


TEXT = chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b"a cat " * 400_000))
ROW = [25828, 65535, 0]
PAIR = np.array([[[25828], [25829]]], np.uint16)

READ = [
    *[
        (f"{kind} of orientation {turn}", encoded(RGB, kind, orientation=turn, **options), UPRIGHT[turn](RGB))
        for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}))
        for turn in UPRIGHT
    ],
    ("PNG with EXIF data after the pixels", png(RGB, after=chunk(b"eXIf", exif(6)[6:])), UPRIGHT[6](RGB)),
    ("PNG with damaged EXIF data", png(RGB, before=chunk(b"eXIf", b"damaged")), RGB),
    ("PNG with an orientation of 9", encoded(RGB, "PNG", orientation=9), RGB),
    ("PNG with two megabytes of text", png(RGB, before=TEXT), RGB),
    ("PNG with two megabytes of text at its end", png(RGB, after=TEXT), RGB),
    ("16-bit grey PNG", png(GREY16), eight(GREY16)),
    ("16-bit grey PNG with alpha", png(GREY16_ALPHA), on_white(GREY16_ALPHA)),
    ("16-bit grey PNG with a transparent value", png(PAIR, before=clear(25828)), np.array([[[255], [101]]])),
    ("16-bit colour PNG", png(RGB16), eight(RGB16)),
    ("16-bit colour PNG with alpha", png(DEEP), on_white(DEEP)),
    (
        "16-bit colour PNG with a transparent colour",
        png(np.repeat(PAIR, 3, axis=2), before=clear(25829, 25829, 25829)),
        np.array([[[100] * 3, [255] * 3]]),
    ),
    *[
        (f"16-bit TIFF {order}{' deflated' * compress}", tiff(array, order=order, compress=compress), expected)
        for order in "<>"
        for compress in (False, True)
        for array, expected in ((GREY16, eight(GREY16)), (RGB16, eight(RGB16)), (DEEP, on_white(DEEP)))
    ],
    ("16-bit TIFF, white is 0", tiff(65535 - GREY16, photometric=0), eight(GREY16)),
    ("16-bit TIFF, an unused channel", tiff(DEEP, alpha=0), eight(RGB16)),
    ("16-bit TIFF, colours times alpha", tiff(premultiplied(DEEP), alpha=1), on_white(DEEP)),
    ("16-bit TIFF of orientation 6", tiff(RGB16, orientation=6), UPRIGHT[6](eight(RGB16))),
    ("16-bit TIFF of orientation 5", tiff(GREY16, orientation=5, compress=True), UPRIGHT[5](eight(GREY16))),
    ("16-bit PGM", netpbm("P5", 65535, ROW), np.array([[[100], [255], [0]]])),
    ("16-bit PPM", netpbm("P6", 65535, ROW), np.array([[[100, 255, 0]]])),
    ("PGM in text", netpbm("P2", 65535, ROW), np.array([[[100], [255], [0]]])),
    ("PPM in text", netpbm("P3", 65535, ROW), np.array([[[100, 255, 0]]])),
    ("PGM up to 1000", netpbm("P5", 1000, [500, 1000, 0]), np.array([[[128], [255], [0]]])),
]
DEEP_FILES = [name for name, *_ in READ if name.startswith("16-bit") or "in text" in name or "1000" in name]


SMOOTH = np.add.outer(np.arange(32) * 3, np.arange(48) * 2)[..., None].repeat(3, 2).astype(np.uint8)
READ += [
    (f"JPEG of orientation {turn}", encoded(SMOOTH, "JPEG", orientation=turn, quality=95), UPRIGHT[turn](SMOOTH))
    for turn in UPRIGHT
]
PHONE = encoded(SMOOTH, "MPO", orientation=6, quality=95, save_all=True, append_images=[Image.fromarray(SMOOTH)])
READ += [("JPEG of two pictures, as phones write it", PHONE, UPRIGHT[6](SMOOTH))]


@pytest.mark.parametrize(("name", "content", "expected"), READ, ids=[name for name, *_ in READ])
def test_an_image_is_read_as_viewers_show_it(tmp_path, name, content, expected):
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "a.png"
    path.write_bytes(content)
    tolerance = 8 if "JPEG" in name else 1 if "alpha" in name else 0  # of the compression; of compositing in 8 bits
    np.testing.assert_allclose(read_image(path).astype(int), expected, atol=tolerance)
    header = read_header(io.BytesIO(content), name)
    assert (header[:3], header.is_deep) == (expected.shape, name in DEEP_FILES)
    for place in (path.parent, pack(tmp_path / "a.zip", {"a.png": content})):
        data, announced = read(place)
        np.testing.assert_array_equal(data.arrays["image"][0], read_image(path))
        expected_lines = ["16 bits per channel are scaled to 8 in 1 of 1 images, as a.png"]
        assert announced == (expected_lines if name in DEEP_FILES else [])


def test_every_value_of_16_bits_is_read_by_one_rule():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    for array in (values, np.repeat(values, 3, axis=2)):
        for content in (png(array), tiff(array), tiff(array, order=">", compress=True)):
            np.testing.assert_array_equal(read_bytes(content), eight(array))


def read_bytes(content):
    return decode(io.BytesIO(content), "bytes")


def opened(content):
    return Image.open(io.BytesIO(content))


PALETTE = Image.fromarray(RGB).quantize(16)

FROM_PYTHON = [
    ("RGB", Image.fromarray(RGB), RGB),
    ("grey", Image.fromarray(RGB[..., 0]), RGB[..., :1]),
    ("one bit", Image.fromarray(RGB[..., 0] > 127), 255 * (RGB[..., :1] > 127)),
    ("a palette", PALETTE, np.array(PALETTE.convert("RGB"))),
    ("CMYK", Image.fromarray(255 - RGB).convert("CMYK"), 255 - RGB),
    ("clear", Image.fromarray(np.zeros((2, 3, 4), np.uint8)), np.full((2, 3, 3), 255)),
    ("grey with alpha", Image.fromarray(RGB[..., 0]).convert("LA"), RGB[..., :1]),
    ("16 bits", Image.fromarray(GREY16[..., 0]), eight(GREY16)),
    ("a PNG", opened(encoded(RGB, "PNG", orientation=6)), UPRIGHT[6](RGB)),
    ("a TIFF", opened(encoded(RGB, "TIFF", orientation=8)), UPRIGHT[8](RGB)),
    ("an array", RGB, RGB),
    ("floats", Image.fromarray(np.ones((2, 3), np.float32)), "is a Pillow image of mode F, whose range is unknown"),
    ("32 bits", Image.fromarray(np.ones((2, 3), np.int32)), "is a Pillow image of mode I, whose range is unknown"),
    ("half a PNG", opened(encoded(SMOOTH, "PNG")[:-60]), "cannot be read as an image"),
]


@pytest.mark.parametrize(("name", "image", "expected"), FROM_PYTHON, ids=[name for name, *_ in FROM_PYTHON])
def test_a_pillow_image_from_python_is_read_as_a_file(name, image, expected):
    if isinstance(expected, str):
        with pytest.raises(InputError, match=f"Example 0 of data {expected}"):
            as_dataset([{"image": image}])
    else:
        np.testing.assert_array_equal(as_dataset([{"image": image}]).arrays["image"][0], expected)


REFUSED = [
    ("empty", b"", "cannot be read as an image: it is damaged, or none of PNG, JPEG"),
    ("text", b"no image", "cannot be read as an image: it is damaged, or none of PNG, JPEG"),
    ("half a PNG", png(RNG.integers(0, 256, (32, 32, 3), np.uint8))[:1500], "cannot be read as an image: "),
    ("half a JPEG", encoded(RNG.integers(0, 256, (32, 32, 3), np.uint8), "JPEG")[:900], "cannot be read as an image: "),
    ("half a GIF", encoded(RNG.integers(0, 256, (32, 32, 3), np.uint8), "GIF")[:1200], "cannot be read as an image: "),
    ("half a WEBP", encoded(RGB, "WEBP")[:40], "cannot be read as an image: "),
    ("half a PPM", netpbm("P5", 65535, ROW)[:-1], "cannot be read as an image: "),
    ("half a TIFF", tiff(RGB16)[:60], "cannot be read as an image: "),
    ("floats", tiff(np.ones((2, 3, 1), np.float32), sample=3), "has floats, whose range is unknown: save it with 8"),
    ("32 bits", tiff(np.ones((2, 3, 1), np.int32), sample=2), "has signed or 32-bit integers, whose range is unknown"),
    ("signed", tiff(np.ones((2, 3, 1), np.int16), sample=2), "has signed or 32-bit integers, whose range is unknown"),
    ("PFM", b"Pf 1 1 -1.0\n" + bytes(4), "has floats, whose range is unknown"),
    ("16-bit planes", tiff(RGB16, planes=2), "16 bits per channel in separate planes: save it as a PNG"),
    ("a bomb", encoded(np.zeros((9000, 9000, 1), bool), "PNG"), "9000 x 9000 pixels; at most"),
]


@pytest.mark.parametrize(("name", "content", "line"), REFUSED, ids=[name for name, *_ in REFUSED])
def test_an_image_that_cannot_be_read_is_one_line_that_names_it(tmp_path, name, content, line):
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "a.png"
    path.write_bytes(content)
    packed = [pack(tmp_path / name, {"a.png": content}) for name in ("a.zip", "a.tar", "a.tar.gz")]
    for give in (lambda: read_image(path), *(lambda place=place: read(place) for place in (path.parent, *packed))):
        with pytest.raises(InputError) as error:
            give()
        assert line in str(error.value)
        assert "a.png" in str(error.value)
        assert "\n" not in str(error.value)


def test_an_image_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"a\.png cannot be read as an image: No such file"):
        read_image(tmp_path / "a.png")


# Masks: black hides, white shows, whatever compression has made of them.

HALF = np.repeat([[[0]] * 4 + [[255]] * 4], 8, axis=0).astype(np.uint8)

MASKS = [
    ("PNG", encoded(HALF, "PNG"), HALF),
    ("black is 1", encoded(np.maximum(HALF, 1), "PNG"), HALF),
    ("dark and light", encoded(np.clip(HALF, 60, 200), "PNG"), HALF),
    ("JPEG", encoded(RNG.integers(0, 12, (8, 8, 1), np.uint8) + HALF // 255 * 240, "JPEG", quality=60), HALF),
    ("colour", encoded(np.repeat(HALF, 3, axis=2), "PNG"), HALF),
    ("one bit", encoded(HALF[..., 0] > 0, "PNG"), HALF),
    ("16 bits", png(HALF.astype(np.uint16) * 257), HALF),
    ("turned", encoded(np.ascontiguousarray(np.rot90(HALF)), "PNG", orientation=6), HALF),
    ("grey", encoded(np.full((8, 8, 1), 128, np.uint8), "PNG"), "100% of its pixels are neither black nor white: in a"),
    ("photo", encoded(RNG.integers(0, 256, (8, 8, 3), np.uint8), "PNG"), "of its pixels are neither black nor white"),
    ("white", encoded(np.full((8, 8, 1), 255, np.uint8), "PNG"), "is all white: in a mask black hides"),
    ("black", encoded(np.zeros((8, 8, 1), np.uint8), "PNG"), "is all black: in a mask black hides"),
    ("small", encoded(HALF[:4], "PNG"), "is 4x8; expected 8x8, the size of it"),
    ("damaged", b"no image", "cannot be read as an image"),
]


@pytest.mark.parametrize(("name", "content", "expected"), MASKS, ids=[name for name, *_ in MASKS])
def test_a_mask_is_black_and_white_or_one_line(tmp_path, name, content, expected):
    (tmp_path / "mask.png").write_bytes(content)

    def give():
        return read_mask(tmp_path / "mask.png", (8, 8), of="it", meaning="black hides")

    if isinstance(expected, str):
        with pytest.raises(InputError) as error:
            give()
        assert expected in str(error.value)
        assert "mask.png" in str(error.value)
    else:
        np.testing.assert_array_equal(give(), expected)


# The verbs, as typed, on a photo that a camera held upright has stored lying.

SHOWN = UPRIGHT[6](SMOOTH)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that restores, stylises and generates images of 48 x 32 (height x width), with a lying photo beside it."""
    folder = tmp_path_factory.mktemp("run")
    info = ExportInfo(ImageSpec(48, 32, 3))
    controls = Controls(
        draw=lambda seed, index: jnp.stack([index, index], axis=1).astype(jnp.float32),
        codes=lambda latents, _: latents[:, None],
        first_layer=lambda codes: codes[:, 0],
        generate=lambda codes, latents, _: jnp.tanh(codes.sum((1, 2)))[:, None, None, None] * jnp.ones((48, 32, 3)),
    )
    export_controls(lambda networks: controls)(folder / "controls", {}, info)
    export_restorer(lambda _: lambda images, known: jnp.where(known, images, 1.0))(folder / "restorer", {}, info)
    export_stylizer(lambda _: lambda content, style, strength, mask: content)(folder / "stylizer", {}, info)
    (folder / "photos").mkdir()
    (folder / "photos" / "a.jpg").write_bytes(encoded(SMOOTH, "JPEG", orientation=6, quality=95))
    mask = np.full((32, 48, 1), 250, np.uint8)
    mask[:, :24] = 3
    (folder / "mask.jpg").write_bytes(encoded(mask, "JPEG", orientation=6))
    return folder


def test_training_restore_and_stylize_see_the_photo_upright(run, tmp_path, monkeypatch):
    photo, out = run / "photos" / "a.jpg", tmp_path / "out.png"
    data, _ = read(photo.parent)
    assert data.spec == (48, 32, 3)
    np.testing.assert_allclose(data.arrays["image"][0].astype(int), SHOWN, atol=8)  # JPEG's own error
    shown = read_image(photo)
    assert run_here(monkeypatch, jaxgen, "restore", run, "--images", photo, "--out", out) == 0
    np.testing.assert_array_equal(read_image(out), shown)
    assert run_here(monkeypatch, jaxgen, "stylize", run, "--content", photo, "--style", photo, "--out", out) == 0
    np.testing.assert_array_equal(read_image(out), shown)


def test_a_lying_jpeg_mask_hides_what_it_shows_black(run, tmp_path, monkeypatch):
    photo, out = run / "photos" / "a.jpg", tmp_path / "out.png"
    options = ("--images", photo, "--mask", run / "mask.jpg", "--out", out)
    assert run_here(monkeypatch, jaxgen, "restore", run, *options) == 0
    restored = read_image(out)
    assert (restored[:24] == 255).all()
    np.testing.assert_array_equal(restored[24:], read_image(photo)[24:])
    options = ("--content", photo, "--style", photo, "--mask", run / "mask.jpg", "--out", out)
    assert run_here(monkeypatch, jaxgen, "stylize", run, *options) == 0


@pytest.mark.parametrize(
    ("verb", "options"), [("restore", ("--images",)), ("stylize", ("--style", "{photo}", "--content"))]
)
def test_a_mask_that_hides_nothing_is_refused_before_anything_is_written(
    run, tmp_path, monkeypatch, capsys, verb, options
):
    photo, mask = run / "photos" / "a.jpg", tmp_path / "mask.png"
    mask.write_bytes(encoded(np.full((48, 32, 1), 200, np.uint8), "PNG"))
    options = [option.format(photo=photo) for option in options]
    code = run_here(monkeypatch, jaxgen, verb, run, *options, photo, "--mask", mask, "--out", tmp_path / "out.png")
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1)
    assert "mask.png is all white: in a mask " in error
    assert not (tmp_path / "out.png").exists()


def test_describe_and_invert_see_the_photo_upright(run, tmp_path, monkeypatch):
    shown = read_image(run / "photos" / "a.jpg")[None]
    out = tmp_path / "out.npz"
    assert run_here(monkeypatch, jaxgen, "describe", run / "photos", "--kind", "palette", "--out", out) == 0
    np.testing.assert_array_equal(read_features(out), describe(shown, "palette"))
    options = Invert(run=run, images=str(run / "photos"), num=1)
    images, _ = images_and_fields(options, load_controls(run / "controls"))
    np.testing.assert_array_equal(images, shown)
