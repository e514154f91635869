"""`film`, as typed: films around known frames."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import ImageSpec, Sampler
from jaxgen.cli import main as jaxgen
from jaxgen.data.clip_file import read_clip
from jaxgen.data.image_options import ImageOptions
from jaxgen.data.tokenizer import train_tokenizer
from jaxgen.export import ExportInfo, export_sampler, save_animation, save_image
from jaxgen.models import labels, text
from jaxgen.models.diffusion import known_frames
from tests.programs import run_here

SPEC, FRAMES = ImageSpec(6, 8, 1), 4


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose frames are white."""

    def draw(networks, keys, fields):
        return jnp.ones((keys.shape[0], *SPEC))

    folder = tmp_path_factory.mktemp("run")
    (folder / "config.json").write_text("{}")
    save_image(folder / "a.png", np.zeros(SPEC, np.uint8))
    export_sampler(Sampler(draw, known_frames(SPEC, FRAMES)))(folder / "frames", {}, ExportInfo(SPEC))
    return folder


def film(monkeypatch, run, *options):
    return run_here(monkeypatch, jaxgen, "film", run, *options)


def shades(path):
    with np.load(path) as archive:
        return archive["arr_0"][:, :, 3, 4, 0].tolist()


def test_films_begin_with_a_past_and_go_on(run, tmp_path, monkeypatch):
    frames = np.broadcast_to(np.array([10, 20, 30, 40], np.uint8)[:, None, None, None, None], (4, 1, *SPEC))
    save_animation(tmp_path / "past.webp", frames, is_loop=True)
    options = ("--past", tmp_path / "past.webp", "--num", 2, "--out", tmp_path / "films.npz")
    assert film(monkeypatch, run, *options, "--frames", 5) == 0
    assert shades(tmp_path / "films.npz") == [[20, 30, 40, 255, 255]] * 2
    assert film(monkeypatch, run, *options) == 0  # as many as a clip has
    assert shades(tmp_path / "films.npz") == [[20, 30, 40, *[255] * 4]] * 2  # the last three, of a clip of four
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(frames[:, 0], start=8):  # 10 comes after 9
        save_image(tmp_path / "frames" / f"{number}.png", frame)
    options = ("--past", tmp_path / "frames", *options[2:])
    assert film(monkeypatch, run, *options) == 0
    assert shades(tmp_path / "films.npz") == [[20, 30, 40, *[255] * 4]] * 2


def test_films_lie_between_two_pictures_and_are_animations(run, tmp_path, monkeypatch):
    for name, shade in (("a", 1), ("b", 2)):
        save_image(tmp_path / f"{name}.png", np.full((12, 16, 3), 60 * shade, np.uint8))
    pictures = ("--first", tmp_path / "a.png", "--last", tmp_path / "b.png", "--num", 1)
    assert film(monkeypatch, run, *pictures, "--out", tmp_path / "film.npz") == 0
    assert shades(tmp_path / "film.npz") == [[60, 255, 255, 120]]
    assert film(monkeypatch, run, *pictures[2:], "--out", tmp_path / "film.npz") == 0
    assert shades(tmp_path / "film.npz") == [[255, 255, 255, 120]]
    past = np.broadcast_to(np.array([30, 40, 50], np.uint8)[:, None, None, None, None], (3, 1, *SPEC))
    save_animation(tmp_path / "past.webp", past, is_loop=True)
    ends = ("--past", tmp_path / "past.webp", "--last", tmp_path / "b.png", "--num", 1)
    assert film(monkeypatch, run, *ends, "--out", tmp_path / "film.npz") == 0
    assert shades(tmp_path / "film.npz") == [[40, 50, 255, 120]]  # half a clip of four is known
    assert film(monkeypatch, run, *pictures, "--out", tmp_path / "film.webp") == 0
    clip = read_clip(tmp_path / "film.webp", ImageOptions(grey=True))
    assert clip[:, 30, 30, 0].tolist() == [60, 255, 120]  # equal frames in a row are one that is shown longer


def test_films_continue_a_video_and_are_videos(run, tmp_path, monkeypatch):
    pytest.importorskip("av")
    frames = np.full((40, 1, *SPEC), 200, np.uint8)
    frames[-2:] = np.array([40, 120])[:, None, None, None, None]
    save_animation(tmp_path / "past.mp4", frames, is_loop=True)
    options = ("--past", tmp_path / "past.mp4", "--num", 2, "--frames", 4, "--milliseconds", 40, "--out")
    assert film(monkeypatch, run, *options, tmp_path / "films.npz") == 0
    # Half a level of luma is 0.6 of grey, and quantisation adds less than that again; then each is rounded.
    for drawn in shades(tmp_path / "films.npz"):
        np.testing.assert_allclose(drawn, [200, 40, 120, 255], atol=2)
    assert film(monkeypatch, run, *options, tmp_path / "films.mp4") == 0
    clip = read_clip(tmp_path / "films.mp4", ImageOptions(grey=True))
    assert clip.shape[:1] == (FRAMES,)
    np.testing.assert_allclose(clip[:, 49, 58, 0], [200, 40, 120, 255], atol=4)  # pixel (3, 4), twice quantised


def test_clips_of_two_frames_have_none_between_the_first_and_the_last(run, tmp_path, monkeypatch, capsys):
    (tmp_path / "config.json").write_text("{}")
    sampler = Sampler(lambda _, keys, __: jnp.ones((keys.shape[0], *SPEC)), known_frames(SPEC, 2))
    export_sampler(sampler)(tmp_path / "frames", {}, ExportInfo(SPEC))
    last = ("--last", run / "a.png", "--out", tmp_path / "film.npz")
    assert film(monkeypatch, tmp_path, *last, "--num", 1) == 0
    assert shades(tmp_path / "film.npz") == [[255, 0]]
    assert film(monkeypatch, tmp_path, "--first", run / "a.png", *last) == 2
    assert "clips of this run have 2 frames, none of which is left to draw" in capsys.readouterr().err


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """A run whose films are as bright as their label, plus the number of words of their caption."""

    def draw(networks, keys, fields):
        level = 50 * fields["label"] + (fields["text"] != 0).sum(1)
        return jnp.broadcast_to(level[:, None, None, None] / 127.5 - 1, (keys.shape[0], *SPEC))

    folder = tmp_path_factory.mktemp("described")
    (folder / "config.json").write_text("{}")
    tokenizer = train_tokenizer(["a red cat"], length=5, size=16)
    info = ExportInfo(SPEC, tokenizer=tokenizer, class_names=("cat", "dog", "owl"))
    export_sampler(Sampler(draw, known_frames(SPEC, FRAMES) | text(5) | labels(3)))(folder / "frames", {}, info)
    return folder


def test_films_are_conditioned_on_labels_and_captions_in_turn(described, tmp_path, monkeypatch, capsys):
    options = (
        "--label",
        "owl",
        "1",
        "--text",
        "red cat",
        "a red cat",
        "cat",
        "--num",
        4,
        "--out",
        tmp_path / "films.npz",
    )
    assert film(monkeypatch, described, *options) == 0
    expected = [100 + 2, 50 + 3, 100 + 1, 50 + 2]
    assert shades(tmp_path / "films.npz") == [[level] * FRAMES for level in expected]
    for wrong, message in (((), "--text is missing"), (("--text", "cat", "--label", "cow"), "cow")):
        assert film(monkeypatch, described, *wrong) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--label", "3"), "--label 3: {run} is not conditioned on labels"),
        (("--text", "cat"), "--text 'cat': {run} is not conditioned on text"),
        (("--past", "nowhere.mp4"), "nowhere.mp4 cannot be read"),
        (("--past", "nowhere.gif"), "nowhere.gif cannot be read"),
        (("--first", "nowhere.png"), "nowhere.png cannot be read"),
        (("--last", "b.png", "--frames", 9), "--frames 9 with --last"),
        (("--past", "a.gif", "--first", "a.png"), "a film has one beginning"),
        (
            ("--first", "{run}/a.png", "--frames", 1),
            "--frames 1 with --first {run}/a.png: all of these frames are known",
        ),
        (("--past", "{run}"), "{run}"),
        (("--out", "film.jpg"), "film.jpg"),
        (("--num", 0), "--num 0"),
    ],
)
def test_mistakes_are_one_line(run, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    assert film(monkeypatch, run, *(str(option).format(run=run) for option in options)) == 2
    error = capsys.readouterr().err
    assert message.format(run=run) in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_films_and_images_are_drawn_by_verbs_of_their_own(run, tmp_path, monkeypatch, capsys):
    (tmp_path / "images").mkdir()
    assert film(monkeypatch, tmp_path / "images") == 2
    assert "has no frames/ to draw films with" in capsys.readouterr().err
    assert run_here(monkeypatch, jaxgen, "sample", run, "--out", "film.webp") == 2
    assert f"--out film.webp: `python -m jaxgen film {run} --out film.webp` draws films" in capsys.readouterr().err
