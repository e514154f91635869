"""The page's requests: pictures that are the run's own, and refusals in one line."""

import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen import to_uint8
from jaxgen.explore import Drawer, View
from jaxgen.explore.views import read_view
from jaxgen.export import ConditionSpec, load_sampler
from jaxgen.io.errors import InputError
from tests.explore.toy_run import CONTROLS, SPEC, images_of, write_run

HOST, TOKEN = "127.0.0.1:8000", "secret"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "toy")
    write_run(folder / "new", exported=False)
    return folder


@pytest.fixture(scope="module")
def client(folder):
    testclient, server = pytest.importorskip("starlette.testclient"), pytest.importorskip("jaxgen.explore.server")
    app = server.make_app(folder, TOKEN, frozenset({HOST}))
    return testclient.TestClient(app, base_url=f"http://{HOST}", headers={"X-Token": TOKEN})


def drawn(client, run="toy", **view):
    response = client.post("/api/draw", json={"run": run, "view": view})
    assert response.status_code == 200, response.text
    return response


def pixels(response, count):
    """The images [count, H, W, C] of a sheet."""
    with Image.open(io.BytesIO(response.content)) as picture:
        return np.stack(np.split(np.asarray(picture), count, axis=1))


def latents(seed, numbers):
    return CONTROLS.draw(np.uint32(seed), np.asarray(numbers, np.int32))


def test_the_wall_is_what_sample_draws(client, folder):
    sheet = pixels(drawn(client, seed=3, num=5), 5)
    np.testing.assert_array_equal(sheet, load_sampler(folder / "toy" / "sampler").draw(3, 5))


def test_corners_are_the_images_and_the_middle_is_their_mean(client):
    for place, corner in (((0.0, 0.0), 4), ((1.0, 0.0), 7), ((0.0, 1.0), 2), ((1.0, 1.0), 9)):
        image = pixels(drawn(client, kind="point", corners=[4, 7, 2, 9], across=place[0], down=place[1]), 1)
        np.testing.assert_allclose(image, to_uint8(images_of(latents(0, [corner]))), atol=1)
    middle = pixels(drawn(client, kind="point", corners=[4, 7, 2, 9], across=0.5, down=0.5), 1)
    expected = to_uint8(images_of(latents(0, [4, 7, 2, 9]).mean(0, keepdims=True)))
    np.testing.assert_allclose(middle, expected, atol=1)


def test_moves_are_along_the_runs_directions_and_truncation_is_towards_the_mean(client):
    still, moved = (pixels(drawn(client, kind="point", moves=moves), 1).astype(int) for moves in ([], [2.0]))
    assert abs(still - moved).max() > 20
    shrunk = pixels(drawn(client, kind="point", truncation=0.0), 1)
    # The mean of 500 standard normal latents is within 0.25 of 0, for which all values are 0.
    assert abs(shrunk.astype(int) - 127).max() < 127 * 0.25 * 4
    assert abs(shrunk.astype(int) - 127).mean() < abs(still - 127).mean() / 4


def test_liked_images_stay_and_their_children_are_near(client):
    first, later = (pixels(drawn(client, num=6, rounds=rounds), 6).astype(int) for rounds in ([], [[4, 1], [0], [0]]))
    np.testing.assert_allclose(later[0], first[1 + 3], atol=1)  # [4, 1] gives 4 the first place, where it stays

    def distance(images):
        return abs(images[1:] - images[0]).mean()

    assert distance(later) < 0.7 * distance(first)
    corner = pixels(drawn(client, kind="point", num=6, rounds=[[4, 1], [0], [0]], corners=[2, 2, 2, 2]), 1)
    np.testing.assert_allclose(corner[0], later[2], atol=1)


def test_a_film_goes_around_the_corners_and_is_a_loop(client):
    response = drawn(client, kind="film", frames=8, corners=[4, 7, 2, 9])
    with Image.open(io.BytesIO(response.content)) as film:
        assert (film.format, film.n_frames) == ("GIF", 8)


def test_a_film_passes_each_corner(folder):
    frames = Drawer(folder / "toy").images(View(kind="film", frames=8, corners=(4, 7, 2, 9)))[:, 0]
    # Around the square: (0, 0), (1, 0), (1, 1), (0, 1).
    np.testing.assert_allclose(frames[::2], to_uint8(images_of(latents(0, [4, 7, 9, 2]))), atol=1)


@pytest.mark.parametrize("other", [{"rounds": ((0,),)}, {"truncation": 0.5}])
def test_a_solver_is_refused_with_what_it_would_ignore(folder, other):
    drawer = Drawer(folder / "toy")
    drawer.denoiser = SimpleNamespace(conditions={})  # of a diffusion run
    with pytest.raises(InputError, match="solver draws no rounds and no truncation"):
        drawer.images(View(solver="heun", **other))


def test_the_code_draws_the_same_picture(client, tmp_path, monkeypatch):
    response = drawn(client, kind="point", across=0.25, moves=[1.0])
    code = json.loads(response.headers["X-Code"])
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    with Image.open(tmp_path / "view.png") as picture:
        inside = np.asarray(picture)[18:-18, 18:-18]  # enlarged nine times, with a gap of two
    np.testing.assert_array_equal(inside[::9, ::9][: SPEC.height], pixels(response, 1)[0])
    wall = json.loads(drawn(client, seed=3, num=5).headers["X-Code"])
    assert wall.endswith("--seed 3 --num 5 --out samples.png")


def test_grids_and_curves_are_those_of_the_files(client, folder):
    assert client.get("/api/runs").json()["runs"].keys() == {"toy", "new"}
    grid = client.get("/api/grid", params={"run": "toy", "step": "1000"})
    assert grid.content == (folder / "toy" / "samples" / "step_0001000.png").read_bytes()
    assert client.get("/api/curves", params={"run": "new"}).json()["step"][-1] == 2_500


def test_code_has_any_characters(client):
    code = json.loads(drawn(client, kind="point", text='é \n " 🙂').headers["X-Code"])
    assert "text='é \\n \" 🙂'" in code


def test_a_grid_that_is_a_link_out_of_its_run_is_not_served(client, folder, tmp_path):
    (tmp_path / "secret").write_text("root:")
    (folder / "new" / "samples" / "step_0000007.png").symlink_to(tmp_path / "secret")
    assert client.get("/api/grid", params={"run": "new", "step": "7"}).status_code == 400


def test_one_runs_odd_record_does_not_hide_the_others(client, folder):
    odd = write_run(folder / "odd", exported=False, rows=[], rate=float("nan"), steps="many", name="\ud800")
    (odd / "evaluation.json").write_text('{"a": {"value": 1e999, "standard_error": "?"}, "b": {"value": 2}}')
    answer = client.get("/api/runs").json()["runs"]
    shutil.rmtree(odd)
    assert answer.keys() >= {"toy", "new", "odd"}
    assert (answer["odd"]["config"]["rate"], answer["odd"]["steps"]) == (None, None)
    assert answer["odd"]["measures"] == {"a": {"value": None, "error": None}, "b": {"value": 2, "error": None}}


def test_controls_that_are_exported_after_the_page_asked_are_found(client, folder):
    late = write_run(folder / "late")
    (late / "controls").rename(folder / "aside")
    before = client.get("/api/about", params={"run": "late"}).json()
    (folder / "aside").rename(late / "controls")
    after = client.get("/api/about", params={"run": "late"}).json()
    shutil.rmtree(late)
    assert (before["has_controls"], after["has_controls"]) == (False, True)


def test_a_request_without_the_token_or_from_elsewhere_is_refused(client):
    for headers in ({"X-Token": "wrong"}, {"X-Token": "é".encode("latin-1")}, {"Host": "evil.example"}):
        assert client.get("/api/runs", headers=headers).status_code == 403
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
    assert client.get("/api/runs", headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.get("/api/runs", headers={"Origin": f"http://{HOST}"}).status_code == 200
    assert client.get("/", headers={"X-Token": ""}).status_code == 200  # the page itself holds no secret


def test_a_server_for_other_machines_takes_any_name_of_its_own_but_no_other_sites_page(folder):
    testclient, server = pytest.importorskip("starlette.testclient"), pytest.importorskip("jaxgen.explore.server")
    anywhere = testclient.TestClient(server.make_app(folder, TOKEN), headers={"X-Token": TOKEN})
    assert anywhere.get("/api/runs", headers={"Host": "lab:80", "Origin": "http://lab:80"}).status_code == 200
    assert anywhere.get("/api/runs", headers={"Host": "lab:80", "Origin": "http://evil.example"}).status_code == 403
    assert anywhere.get("/api/runs", headers={"Host": "lab:80", "X-Token": ""}).status_code == 403


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc", "toy/../..", "", "nothing", "x" * 10_000])
def test_no_other_folder_can_be_reached(client, name):
    for path in ("curves", "grid", "about"):
        response = client.get(f"/api/{path}", params={"run": name, "step": "1000"})
        assert (response.status_code, response.text.count("\n")) == (400, 1)
    assert client.post("/api/draw", json={"run": name, "view": {}}).status_code == 400
    assert client.get(f"/{name}").status_code in (200, 400, 404)
    assert "root:" not in client.get(f"/{name}").text


@pytest.mark.parametrize(
    ("view", "message"),
    [
        ({"seed": -1}, "seed is -1; expected 0 to 4294967295"),
        ({"seed": True}, "seed is of type int"),
        ({"num": 10**9}, "num is 1000000000"),
        ({"across": float("nan")}, "across is nan"),
        ({"across": 10**400}, "across is inf"),
        ({"corners": [1]}, "four corners, not 1"),
        ({"corners": ["a"] * 4}, "corners is of type int"),
        ({"kind": "../"}, "kind is one of wall, point, film"),
        ({"solver": "heun"}, "solver is for diffusion runs"),
        ({"moves": [0.0] * 7 + [1.0], "kind": "point"}, "this run has 4 directions"),
        ({"text": "x" * 10_000}, "text has 10,000 characters"),
        ({"rounds": [[]]}, "nothing was liked"),
        ({"rounds": [[7]], "num": 7}, "not one of 7"),
        ({"rounds": [[0]], "kind": "point", "num": 2}, "images 0 to 1; 3 is none of them"),
        ({"colour": 1}, "A view has no 'colour'"),
        ([], "A view is an object"),
    ],
)
def test_a_view_that_makes_no_sense_is_refused_in_a_line(client, view, message):

    response = client.post("/api/draw", content=json.dumps({"run": "toy", "view": view}))
    assert response.status_code == 400
    assert message in response.text
    assert response.text.count("\n") == 1


def test_the_centre_of_truncation_is_that_of_all_classes_or_of_the_chosen_one():
    def centre_of(**view):
        return drawer.images(View(num=6, truncation=0.0, **view))

    drawer = Drawer(Path("none"))
    # The code is the label, and so is the image's brightness: 0, 1 or 2 of 2.
    functions = CONTROLS._replace(
        codes=lambda latents, fields: jnp.ones((len(latents), 1, 1)) * fields["label"][:, None, None],
        generate=lambda codes, latents, _: jnp.ones((1, *SPEC)) * codes.reshape(-1, 1, 1, 1) - 1,
    )
    conditions = {"label": ConditionSpec((), "int32", 3)}
    drawer.sampler = SimpleNamespace(conditions=conditions, tokenizer=None)
    drawer.controls = SimpleNamespace(controls=functions, conditions=conditions, tokenizer=None)
    drawer.denoiser = None
    np.testing.assert_allclose(centre_of(), 127, atol=2)  # 500 images are not as many of each class
    np.testing.assert_array_equal(centre_of(label="2"), 255)


def test_other_bodies_and_runs_without_a_sampler_are_refused(client):
    assert client.post("/api/draw", content=b"{" * 100_000).status_code == 400
    assert "more than 100,000 bytes" in client.post("/api/draw", content=b" " * 200_000).text
    assert client.post("/api/draw", content=b"\xff").status_code == 400
    response = client.post("/api/draw", json={"run": "new", "view": {}})
    assert "has not exported its sampler yet" in response.text


def test_a_run_that_is_deleted_under_the_page_is_announced(client, folder):
    gone = write_run(folder / "gone", exported=False)
    assert "gone" in client.get("/api/runs").json()["runs"]

    shutil.rmtree(gone)
    assert "gone" not in client.get("/api/runs").json()["runs"]
    assert "There is no run 'gone'" in client.get("/api/curves", params={"run": "gone"}).text


def test_a_view_of_python_is_that_of_json():
    assert read_view({"corners": [1, 2, 3, 4], "across": 1}) == View(corners=(1, 2, 3, 4), across=1.0)
    with pytest.raises(InputError, match="no 'x'"):
        read_view({"x": 1})
