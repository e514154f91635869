"""Clips in videos: MP4, MOV and WEBM."""

import struct
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.data import load, load_clips
from jaxgen.data.clip_file import read_clip
from jaxgen.data.image_options import AS_STORED, ImageOptions
from jaxgen.io.pictures import GAP, save_animation

av = pytest.importorskip("av")

FRAMES, SIDE = 5, 64
INSIDE = slice(GAP + 16, GAP + SIDE - 16)
"""Rows or columns of a picture that filters at its edge do not reach."""
FLAT = 4
"""Levels by which a flat colour may differ: 1.2 of luma and 2.1 of blue's chroma for each step of these, of which
rounding takes a half and the quantisation of H.264 at this quality less than that again."""


def shades(seed, frames=FRAMES):
    """A colour for each frame, [T, 1, 1, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (frames, 1, 1, 3), np.uint8)


def write(path, colours, side=SIDE):
    frames = np.broadcast_to(colours[:, None], (len(colours), 1, side, side, 3))
    save_animation(path, frames, is_loop=True)


def write_noise(path, codec, frames=30, *, width=SIDE, **options):
    """Frames of noise as other programs store them: with frames that depend on later ones."""
    path.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = SIDE, width, "yuv420p"
        for _ in range(frames):
            pixels = rng.integers(0, 256, (SIDE, width, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def assert_near(frames, colours):
    difference = frames[..., INSIDE, INSIDE, :].astype(int) - colours
    assert abs(difference).max() <= FLAT


def test_a_video_is_read_as_it_was_written_but_for_its_quantisation(tmp_path):
    colours = shades(0), shades(1)
    for name, colour in zip("ab", colours, strict=True):
        write(tmp_path / "clips" / f"{name}.mp4", colour)
    with tarfile.open(tmp_path / "clips.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "clips", "clips")
    for place in ("clips", "clips.tar.gz"):
        dataset = load(str(tmp_path / place), frames=FRAMES - 1)
        assert dataset.arrays["clip"].shape == (2, FRAMES - 1, SIDE + 2 * GAP, SIDE + 2 * GAP, 3)
        for clip, colour in zip(dataset.arrays["clip"], colours, strict=True):
            assert_near(clip, colour[:-1])
    assert_near(read_clip(tmp_path / "clips" / "a.mp4", AS_STORED, last=2), colours[0][-2:])
    small = load_clips(tmp_path / "clips", images=ImageOptions(size=(6, 6), grey=True)).arrays["clip"]
    assert small.shape == (2, FRAMES, 6, 6, 1)


def test_odd_sides_are_even_in_a_video_and_videos_lie_beside_animations(tmp_path):
    write(tmp_path / "a.mp4", shades(0), side=SIDE + 1)
    clip = read_clip(tmp_path / "a.mp4", AS_STORED)
    assert clip.shape == (FRAMES, *[SIDE + 2 + 2 * GAP] * 2, 3)
    assert_near(clip, shades(0))
    write(tmp_path / "b.webp", shades(1))
    both = load_clips(tmp_path, images=ImageOptions(size=(SIDE + 2 * GAP,) * 2)).arrays["clip"]
    np.testing.assert_array_equal(both[1][:, INSIDE, INSIDE], np.broadcast_to(shades(1), (FRAMES, 32, 32, 3)))


@pytest.mark.parametrize(("suffix", "codec"), [("mov", "libx264"), ("webm", "libvpx-vp9"), ("webm", "libvpx")])
def test_frames_are_counted_without_decoding_them_whatever_their_order(tmp_path, suffix, codec):
    write_noise(path := tmp_path / f"a.{suffix}", codec)
    assert read_clip(path, AS_STORED).shape == (30, SIDE, SIDE, 3)


def test_a_video_is_turned_as_it_says(tmp_path):
    half = np.zeros((3, 1, SIDE, 2 * SIDE, 3), np.uint8)
    half[:, :, :, :SIDE] = 255  # white on the left
    save_animation(path := tmp_path / "a.mp4", half, is_loop=True)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44  # ISO/IEC 14496-12, 8.3.2: after the type, the times and the volume
    assert struct.unpack_from(">9i", content, matrix) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", content, matrix, 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)  # x is y, y is -x
    path.write_bytes(content)
    turned = load_clips(tmp_path).arrays["clip"][0]  # clockwise: white is above
    assert turned.shape == (3, 2 * SIDE + 2 * GAP, SIDE + 2 * GAP, 3)
    assert turned[:, 20:50, 20:50].min() > 255 - FLAT
    assert turned[:, -50:-20, 20:50].max() < FLAT


def damaged(path):
    write_noise(path / "a.mp4", "libx264")
    content = bytearray((path / "a.mp4").read_bytes())
    for start in range(2_000, content.index(b"moov") - 2_000, 2_000):  # there is no checksum: not all damage is noticed
        content[start : start + 20] = bytes(value ^ 90 for value in content[start : start + 20])
    (path / "a.mp4").write_bytes(content)


def cut_off(path):
    write_noise(path / "a.mp4", "libx264", movflags="faststart")
    content = (path / "a.mp4").read_bytes()
    (path / "a.mp4").write_bytes(content[: len(content) // 2])


def sound(path):
    path.mkdir(exist_ok=True)
    with av.open(str(path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def huge(path):
    """A gibibyte of pixels, in a file of kilobytes."""
    path.mkdir(exist_ok=True)
    with av.open(str(path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.height = stream.width = 2048
        for _ in range(17):
            frame = av.VideoFrame(2048, 2048, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("make", "frames", "message"),
    [
        (damaged, 30, "a.mp4 is damaged: move it away|a.mp4 cannot be read as a video"),
        (cut_off, None, "a.mp4 cannot be read as a video: Invalid data"),
        (lambda path: (path / "a.mp4").write_bytes(b"no video"), 4, "a.mp4 cannot be read as a video: Invalid data"),
        (sound, 4, "a.mp4 has no pictures, only sound"),
        (lambda path: write(path / "a.mp4", shades(0, 1)), None, "a.mp4 has one frame, and is no clip: .* a video"),
        (lambda path: write(path / "a.mp4", shades(0)), 9, "a.mp4 has 5 frames; --frames 9 needs as many"),
        (huge, None, r"a.mp4 has 17 frames of 2048 x 2048, .* give --frames 16 or fewer"),
    ],
)
def test_videos_that_cannot_be_read_are_one_line(tmp_path, make, frames, message):
    make(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        load_clips(tmp_path, frames=frames)
    assert "\n" not in str(error.value)


def test_without_the_package_a_line_says_how_to_install_it(tmp_path, monkeypatch):
    write(tmp_path / "a.mp4", shades(0))
    monkeypatch.setitem(sys.modules, "av", None)
    for act in (lambda: load(str(tmp_path), frames=3), lambda: write(Path("b.mp4"), shades(0))):
        with pytest.raises(InputError, match=r"the package av is not installed: pip install 'jaxgen\[video\]'"):
            act()


def test_a_video_whose_size_changes_needs_a_size(tmp_path):
    """As some cameras and streams store it: frames of another encoder follow in the same stream."""
    path, rng = tmp_path / "a.webm", np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=10)
        stream.height = stream.width = SIDE
        stream.pix_fmt = "yuv420p"
        container.start_encoding()
        for start, side in ((0, SIDE), (2, SIDE // 2)):
            encoder = av.CodecContext.create("libvpx-vp9", "w")
            encoder.height = encoder.width = side
            encoder.pix_fmt, encoder.framerate, encoder.time_base = "yuv420p", 10, stream.time_base
            frames = [av.VideoFrame.from_ndarray(rng.integers(0, 256, (side, side, 3), np.uint8)) for _ in range(2)]
            for number, frame in enumerate(frames, start):
                frame.pts = number * 100
            for packet in [*encoder.encode(frames[0]), *encoder.encode(frames[1]), *encoder.encode()]:
                packet.stream = stream
                container.mux(packet)
    with pytest.raises(InputError, match=r"a\.webm has frames of 64x64 and of 32x32: give a --size for all"):
        read_clip(path, AS_STORED)
    assert read_clip(path, ImageOptions(size=(16, 16))).shape == (4, 16, 16, 3)
