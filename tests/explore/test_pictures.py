"""Pictures that somebody brings, and what a run makes of them; films out of noise; mixtures of styles."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen import ImageSpec, to_uint8
from jaxgen.explore import Drawer, View
from jaxgen.explore.code import code_of
from jaxgen.explore.drawn import HOLD
from jaxgen.export import (
    ConditionSpec,
    ExportedControls,
    ExportedDenoiser,
    ExportedRestorer,
    ExportedSampler,
    ExportedStylizer,
    ExportedTorus,
    draw_films,
)
from jaxgen.export.solving import Solving, draw_by_solver
from jaxgen.io.errors import InputError
from jaxgen.io.pictures import png, save_image
from jaxgen.io.sphere import whole_sphere
from tests.explore.toy_run import CONTROLS, SPEC, images_of, write_run

HOST, TOKEN = "127.0.0.1:8000", "secret"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "toy")
    return folder


@pytest.fixture(scope="module")
def client(folder):
    testclient, server = pytest.importorskip("starlette.testclient"), pytest.importorskip("jaxgen.explore.server")
    app = server.make_app(folder, TOKEN, frozenset({HOST}))
    return testclient.TestClient(app, base_url=f"http://{HOST}", headers={"X-Token": TOKEN})


def send(client, content, name="photo.png"):
    return client.post("/api/picture", params={"name": name}, content=content)


def drawn(client, **view):
    response = client.post("/api/draw", json={"run": "toy", "view": view})
    assert response.status_code == 200, response.text
    with Image.open(io.BytesIO(response.content)) as picture:
        return np.asarray(picture), response.headers


def own(number):
    """Image `number` of seed 0."""
    return np.asarray(to_uint8(images_of(CONTROLS.draw(np.uint32(0), np.asarray([number])))))[0]


def test_a_picture_is_found_among_the_codes_and_is_a_corner(client, tmp_path, monkeypatch):
    picture = send(client, png(own(77))).json()["picture"]
    image, headers = drawn(client, kind="point", picture=picture, corners=[-1, 1, 2, 3])
    # Adam ends near the image, which the generator draws exactly for some code.
    assert abs(image.astype(int) - own(77)).mean() < 6
    corner, _ = drawn(client, kind="point", picture=picture, corners=[-1, 1, 2, 3], across=1.0)
    np.testing.assert_allclose(corner, own(1), atol=1)
    # By code: the picture's file stands where it came from.
    save_image(tmp_path / "photo.png", own(77))
    monkeypatch.chdir(tmp_path)
    exec(code := json.loads(headers["X-Code"]), {})
    assert "picture='photo.png'" in code
    with Image.open(tmp_path / "view.png") as again:
        inside = np.asarray(again)[18:-18, 18:-18]  # enlarged nine times, with a gap of two
    np.testing.assert_array_equal(inside[::9, ::9][: SPEC.height], image)


def test_the_most_similar_image_to_one_of_the_seed_is_itself(client):
    picture = send(client, png(own(123))).json()["picture"]
    sheet, headers = drawn(client, kind="similar", picture=picture, num=3)
    numbers = json.loads(headers["X-Numbers"])
    assert numbers[0] == 123
    np.testing.assert_allclose(sheet, np.concatenate([own(number) for number in numbers], axis=1), atol=1)
    errors = [np.square(own(number).astype(float) - own(123)).mean() for number in numbers]
    assert errors == sorted(errors)
    truncated, headers = drawn(client, kind="similar", picture=picture, num=1, truncation=0.0)
    assert json.loads(headers["X-Numbers"]) == [0]  # all images are the same
    assert abs(truncated.astype(int) - own(123)).mean() > 6


def test_a_picture_of_any_size_and_colour_is_cut_to_the_runs(tmp_path):
    grey = np.full((40, 90), 200, np.uint8)
    grey[:, :30] = grey[:, 60:] = 0  # what is cut off
    save_image(tmp_path / "grey.png", grey[..., None])
    drawer = Drawer(Path("none"))
    drawer.sampler = SimpleNamespace(spec=SPEC)
    np.testing.assert_array_equal(drawer.picture(str(tmp_path / "grey.png")), np.full(SPEC, 200))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "photo.png"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 100, "photo.png"),
        (b"0" * 20_000_001, "more than 20,000,000 bytes"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_line(client, content, message):
    response = send(client, content, "../../etc/photo.png")
    assert (response.status_code, response.text.count("\n")) == (400, 1)
    assert message in response.text
    assert ".." not in response.text


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(client):
    file = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(file, "PNG")
    assert "9000 x 9000 pixels" in send(client, file.getvalue()).text


@pytest.mark.parametrize(
    ("view", "message"),
    [
        ({"kind": "similar"}, "Choose a picture first"),
        ({"kind": "similar", "picture": "/etc/passwd"}, "no longer here"),
        ({"kind": "similar", "rounds": [[1]]}, "Rounds have no more than their own images"),
        ({"kind": "point", "corners": [-1, 0, 1, 2]}, "A corner is the picture, and there is none"),
        ({"kind": "restored", "picture": "x"}, "image-to-image runs"),
        ({"kind": "stylised"}, "exports no style transfer"),
        ({"kind": "trajectory"}, "Only a diffusion run"),
        ({"kind": "panorama"}, "Only a diffusion run"),
        ({"kind": "mixture"}, "no style-based generator"),
        ({"strength": 2.0}, "strength is 2.0; expected 0 to 1"),
    ],
)
def test_a_view_that_the_run_cannot_draw_is_refused_in_a_line(client, view, message):
    response = client.post("/api/draw", json={"run": "toy", "view": view})
    assert (response.status_code, response.text.count("\n")) == (400, 1)
    assert message in response.text


def test_the_last_pictures_are_kept(client):
    first = send(client, png(own(0))).json()["picture"]
    for shade in range(16):
        send(client, png(np.full((4, 4, 1), shade, np.uint8)))
    response = client.post("/api/draw", json={"run": "toy", "view": {"kind": "similar", "picture": first}})
    assert "choose it again" in response.text


def gaussian_denoiser(spec):
    """The exact denoiser of standard normal pixels times 0.1."""
    return ExportedDenoiser(spec, lambda x, sigma, fields: x * (0.01 / (0.01 + sigma**2))[:, None, None, None], {})


def fake(**exports):
    """A drawer whose functions are given instead of read."""
    drawer = Drawer(Path("none"), lambda name, _: PICTURES[name])
    for name in ("sampler", "controls", "denoiser", "restorer", "stylizer", "frame_sampler", "torus"):
        setattr(drawer, name, exports.get(name))
    return drawer


PICTURES = {
    "photo": np.arange(8 * 6 * 3, dtype=np.uint8).reshape(8, 6, 3),
    "mask": np.where(np.arange(6) < 3, 255, 0).astype(np.uint8)[None, :, None].repeat(8, 0),
}


def test_a_trajectory_starts_in_noise_and_ends_in_the_solvers_images():
    spec = ImageSpec(4, 4, 1)
    drawer = fake(denoiser=gaussian_denoiser(spec), sampler=ExportedSampler(spec, None))
    frames = drawer.images(View(kind="trajectory", num=5, solver="heun", steps=9))
    assert frames.shape == (9 + 1 + HOLD, 5, *spec)
    images = draw_by_solver(drawer.denoiser, Solving("heun", 9), 0, 5, {})
    np.testing.assert_array_equal(frames[9:], np.broadcast_to(images, (1 + HOLD, *images.shape)))
    # At the first time, sigma = 80, x_t / sqrt(1 + sigma^2) is the standard normal noise: its sign at most pixels.
    assert abs(frames[0].astype(int) - 127.5).mean() > 60
    with pytest.raises(InputError, match="without rounds and truncation"):
        drawer.images(View(kind="trajectory", truncation=0.5))
    assert "save_view('view.gif'" in code_of(View(kind="trajectory"), Path("run"))


def test_a_panorama_wraps_around_and_films_are_those_of_the_frame_sampler():
    spec = ImageSpec(4, 4, 1)
    drawer = fake(denoiser=gaussian_denoiser(spec), sampler=ExportedSampler(spec, None))
    (wide,) = drawer.images(View(kind="panorama", num=5, steps=3))
    assert wide.shape == (4, 20, 1)
    (around,) = drawer.images(View(kind="sphere", num=5, steps=3))
    np.testing.assert_array_equal(around, whole_sphere(wide))
    with pytest.raises(InputError, match="at least twice its height; got 4 by 4"):
        drawer.images(View(kind="sphere", num=1, steps=3))
    with pytest.raises(InputError, match="not trained on clips"):
        drawer.images(View(kind="clips"))
    conditions = {"known": ConditionSpec((4, *spec), "int16", 0), "label": ConditionSpec((), "int32", 3)}

    def call(seed, rows, *, size, what):
        level = rows[0] % 50 + 50 * rows[1]["label"]
        return np.broadcast_to(level[:, None, None, None], (len(level), *spec)).astype(np.uint8)

    drawer.frame_sampler = ExportedSampler(spec, call, conditions)
    for label, expected in (("", [0, 1]), ("2", [2, 2])):  # all classes in turn, or one
        films = drawer.images(View(kind="clips", num=2, frames=7, label=label))
        drawn = draw_films(drawer.frame_sampler, 0, 2, 7, fields={"label": np.array(expected)})
        np.testing.assert_array_equal(films.swapaxes(0, 1), drawn)


def test_a_texture_is_as_wide_as_asked_and_at_least_as_high_as_the_images_of_its_run():
    spec = ImageSpec(5, 8, 1)

    def call(seed, rows, columns):
        return jnp.zeros((4 * len(rows), 4 * len(columns), 1))

    drawer = fake(torus=ExportedTorus(call, spec, 4), sampler=ExportedSampler(spec, None))
    assert drawer.images(View(kind="panorama", num=3)).shape == (1, 8, 24, 1)
    assert drawer.about()["draws_panoramas"]


@pytest.mark.parametrize(
    ("kind", "ending"), [("film", "gif"), ("trajectory", "gif"), ("clips", "gif"), ("point", "png")]
)
def test_code_writes_films_as_animations(kind, ending):
    assert f"save_view('view.{ending}'" in code_of(View(kind=kind), Path("run"))


def test_pixels_that_are_known_stay_and_the_others_are_drawn_or_restored():
    spec = ImageSpec(8, 6, 3)
    drawer = fake(denoiser=gaussian_denoiser(spec), sampler=SimpleNamespace(spec=spec))
    images = drawer.images(View(kind="restored", picture="photo", mask="mask", num=3))
    assert images.shape == (3, *spec)
    np.testing.assert_allclose(images[:, :, :3].astype(int), np.stack([PICTURES["photo"][:, :3]] * 3), atol=1)
    # Those of the Gaussian, of deviation 13 around 127: its mean over 72 pixels is within 5 standard errors.  The
    # photo's own have the mean 76.
    assert abs(images[:, :, 3:].mean((1, 2, 3)) - 127.5).max() < 5 * 13 * 1.5 / 72**0.5
    with pytest.raises(InputError, match="Paint what is to be filled in"):
        drawer.images(View(kind="restored", picture="photo", num=3))
    drawer.restorer = ExportedRestorer(spec, lambda images, known: np.where(known > 0, images, 7))
    (image,) = drawer.images(View(kind="restored", picture="photo", mask="mask"))
    np.testing.assert_array_equal(image[:, 3:], 7)


def test_a_picture_is_drawn_in_the_style_of_another():
    def blend(content, style, strength, mask):
        return (content + (style.mean((1, 2), keepdims=True) - content) * strength[:, None, None, None]).astype(
            np.uint8
        )

    drawer = fake(stylizer=ExportedStylizer(3, blend))
    (image,) = drawer.images(View(kind="stylised", picture="photo", style="mask", strength=0.0))
    np.testing.assert_array_equal(image, PICTURES["photo"])
    (image,) = drawer.images(View(kind="stylised", picture="photo", style="mask", strength=1.0))
    assert (image == 127).all()


def test_a_mixture_has_the_first_layers_of_the_first_corner():
    layered = CONTROLS._replace(
        codes=lambda latents, _: jnp.repeat(latents[:, None], 3, axis=1),
        generate=lambda codes, latents, _: jnp.tanh(jnp.ones((1, *SPEC)) * codes[:, :, 0].sum(1)[:, None, None, None]),
    )
    drawer = fake(controls=ExportedControls(layered, SPEC), sampler=SimpleNamespace(spec=SPEC, conditions={}))
    (first, second) = CONTROLS.draw(np.uint32(0), np.asarray([4, 7]))[:, 0]
    for layer in range(4):
        (image,) = drawer.images(View(kind="mixture", corners=(4, 7, 0, 0), layer=layer))
        expected = to_uint8(jnp.tanh(layer * first + (3 - layer) * second))
        np.testing.assert_allclose(image, int(expected), atol=1)
    assert drawer.about()["layers"] == 3
    with pytest.raises(InputError, match="this run has 3 layers"):
        drawer.images(View(kind="mixture", layer=4))


def test_a_run_that_is_conditioned_on_features_offers_no_codes():
    conditions = {"features": ConditionSpec((4,), "float32", 0)}
    controls = ExportedControls(CONTROLS, SPEC, conditions)
    about = fake(controls=controls, sampler=SimpleNamespace(spec=SPEC, conditions=conditions)).about()
    assert (about["others"], about["has_controls"], about["layers"]) == (["features"], False, 1)
