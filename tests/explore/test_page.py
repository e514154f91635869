"""The page in a real browser.  Timing is not asserted, but for the pictures while the mouse is dragged."""

import shutil
import threading
import time

import numpy as np
import pytest

from jaxgen.io.sphere import sphere_png
from tests.explore.toy_run import write_run

pytestmark = pytest.mark.browser
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Served:
    """The page of a folder of runs, served by a thread; `stop` and `start` again at the same port."""

    def __init__(self, folder):
        from jaxgen.cli.explore import listen

        self.folder, self.token, self.port = folder, "secret", 0
        self.listen = listen
        self.start()

    def start(self):
        import uvicorn

        from jaxgen.explore.server import make_app

        bound = self.listen("127.0.0.1", self.port)
        self.port = bound.getsockname()[1]
        app = make_app(self.folder, self.token, frozenset({f"127.0.0.1:{self.port}"}))
        config = uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [bound]}, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.should_exit = True
        self.thread.join(10)

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}/?token={self.token}"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "toy")
    write_run(folder / "unfinished", exported=False, steps=9_000)
    shutil.rmtree(write_run(folder / "wall_only") / "controls")
    served = Served(folder)
    yield served
    served.stop()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if not BROWSER:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as run:
        browser = run.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, served):
    """The page with the toy run, which must not have written an error to the console in the end."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.errors = errors
    page.goto(served.address)
    page.wait_for_selector("#run option[value=toy]", state="attached")
    page.select_option("#run", "toy")
    yield page
    context.close()
    assert not errors


def explore(page):
    page.click("#tab-explore")
    page.wait_for_selector("#wall .image")
    page.wait_for_selector("#point:not([hidden])")


PIXELS = """(image) => { const c = document.createElement("canvas"); c.width = image.naturalWidth || image.width;
c.height = image.naturalHeight || image.height; c.getContext("2d").drawImage(image, 0, 0); return c.toDataURL(); }"""


def pixels(page, selector="#point"):
    return page.eval_on_selector(selector, PIXELS)


def changes(page, act, selector="#point"):
    """Acts, and waits until the picture is another."""
    before = pixels(page, selector)
    act()
    other = f"([selector, before]) => ({PIXELS})(document.querySelector(selector)) !== before"
    page.wait_for_function(other, arg=[selector, before], timeout=20_000)


def test_a_run_is_watched(page, served):
    assert "step 2,500 of 5,000" in page.inner_text("#progress")
    page.wait_for_selector("#plots canvas")
    page.focus("#grid-step")
    changes(page, lambda: page.keyboard.press("ArrowLeft"), "#grid")
    assert page.inner_text("#grid-label") == "1,000"
    curves = pixels(page, "#plots canvas")
    page.locator("#names button[aria-pressed=true]").first.click()
    assert pixels(page, "#plots canvas") != curves
    page.check("#log")
    # News of the run arrive without a click.
    with (served.folder / "toy" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2600, "generator/loss": 1.0}\n')
    page.wait_for_function("document.getElementById('progress').textContent.includes('2,600')", timeout=10_000)


def test_the_address_forgets_the_token(page):
    assert "secret" not in page.url
    page.reload()
    page.wait_for_selector("#run option[value=toy]", state="attached")


def test_every_control_changes_the_picture(page):
    explore(page)
    changes(page, lambda: page.click("#next-seed"), "#wall canvas")
    changes(page, lambda: page.click(".tile:nth-child(9) .image"))  # the first corner
    changes(page, lambda: page.press("#pad", "ArrowRight"))
    changes(page, lambda: page.press("#pad", "ArrowDown"))
    changes(page, lambda: page.locator("#moves input").first.fill("2"))
    changes(page, lambda: page.locator("#truncation").fill("0.3"))
    changes(page, lambda: page.check("#spherical"))
    changes(page, lambda: (page.click(".tile:nth-child(6) .like"), page.click("#nearer")), "#wall canvas")
    page.wait_for_function("document.getElementById('round').textContent.startsWith('round 2')")
    changes(page, lambda: page.click("#back"), "#wall canvas")
    page.click("#make-film")
    page.wait_for_selector("#film:not([hidden])")
    assert "save_view('view.gif'" in page.inner_text("#code")
    before = page.get_attribute("#film", "src")
    page.click("#make-pair")
    page.wait_for_function("(before) => document.getElementById('film').src !== before", arg=before)


def test_a_picture_that_is_dropped_comes_back_as_the_run_draws_it(page):
    explore(page)
    # A file that is dragged from a folder: image 9 of the wall, enlarged.
    page.evaluate("""async () => {
        const tile = document.querySelectorAll("#wall canvas")[9], large = document.createElement("canvas");
        [large.width, large.height] = [10 * tile.width, 10 * tile.height];
        const brush = large.getContext("2d");
        brush.imageSmoothingEnabled = false;
        brush.drawImage(tile, 0, 0, large.width, large.height);
        const blob = await new Promise((done) => large.toBlob(done)), dropped = new DataTransfer();
        dropped.items.add(new File([blob], "mine.png", { type: "image/png" }));
        document.getElementById("yours").dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true }));
    }""")
    page.wait_for_selector("#given:not([hidden])")
    changes(page, lambda: page.click("#find"))
    page.wait_for_selector("#made:not([hidden])")
    values = "(image) => { const c = document.createElement('canvas'); [c.width, c.height] = [6, 8]; const b = "
    values += "c.getContext('2d'); b.drawImage(image, 0, 0); return [...b.getImageData(0, 0, 6, 8).data]; }"
    tile = page.locator("#wall canvas").nth(9).evaluate(values)
    made = page.eval_on_selector("#made", values)
    assert sum(abs(a - b) for a, b in zip(tile, made, strict=True)) / len(tile) < 8
    assert "picture='mine.png'" in page.inner_text("#code")
    page.click("#similar")
    page.wait_for_selector("#wall .tile:nth-child(-n+3) [data-number='9']")  # the browser's picture is not quite it
    page.click("#next-seed")
    page.wait_for_selector("#wall .tile:first-child [data-number='0']")


def test_dragging_gives_more_than_eight_pictures_a_second(page):
    explore(page)
    box = page.locator("#pad").bounding_box()
    count = "+document.getElementById('point').dataset.count"
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    best = 0.0
    for _ in range(3):  # another program may hold the machine up
        start, before = time.perf_counter(), page.evaluate(count)
        for step in range(60):
            page.mouse.move(box["x"] + 5 + 5 * step, box["y"] + 5 + 5 * step)
            page.wait_for_timeout(16)
        best = max(best, (page.evaluate(count) - before) / (time.perf_counter() - start))
    page.mouse.up()
    assert best > 8


def test_one_looks_around_in_a_sphere(page):
    """Red grows with the longitude, green with the colatitude."""
    degrees = np.stack([*np.meshgrid(np.arange(360), np.arange(180)), np.zeros((180, 360))], axis=-1)
    picture = sphere_png((degrees * [0.5, 1, 0]).astype(np.uint8))
    headers = {"X-Code": '""', "X-Numbers": "[0]"}

    def draws(route):
        if '"sphere"' in route.request.post_data:
            route.fulfill(body=picture, content_type="image/png", headers=headers)
        else:
            route.continue_()

    page.route("**/api/about*", lambda route: route.fulfill(json=route.fetch().json() | {"draws_panoramas": True}))
    page.route("**/api/draw", draws)
    explore(page)
    page.click("#make-sphere")
    page.wait_for_selector("#sphere:not([hidden])")
    seen = "(canvas) => [...canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data]"

    def looks_at(longitude, colatitude):
        found = page.eval_on_selector("#sphere", seen)
        np.testing.assert_allclose(found, [longitude / 2, colatitude, 0, 255], atol=2)

    looks_at(180, 90)
    for _ in range(10):
        page.press("#sphere", "ArrowRight")  # 1 radian
    looks_at(180 + np.degrees(1), 90)
    for _ in range(5):
        page.press("#sphere", "ArrowUp")
    looks_at(180 + np.degrees(1), 90 - np.degrees(0.5))
    box = page.locator("#sphere").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(
        box["x"] + box["width"] / 2 + box["width"] / (2 * np.tan(0.7)), box["y"] + box["height"] / 2, steps=4
    )  # back by 1 radian, at the rate of the middle of a field of 1.4
    page.mouse.up()
    looks_at(180, 90 - np.degrees(0.5))
    at_the_edge = page.eval_on_selector("#sphere", seen.replace("canvas.width / 2", "0"))
    assert at_the_edge[0] < 85  # further to the left
    for _ in range(20):
        page.press("#sphere", "ArrowUp")
    assert page.eval_on_selector("#sphere", seen)[1] <= 2  # the pole, and not beyond it


def test_the_keyboard_is_enough(page):
    page.focus("#tab-watch")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#tab-explore", "aria-selected") == "true"
    page.wait_for_selector("#wall .image")
    page.focus(".tile:nth-child(5) .image")
    page.keyboard.press("Enter")
    assert page.get_attribute(".tile:nth-child(5) .image", "data-corner") == "1"
    is_unnamed = "one.offsetParent && !one.labels?.length && !one.ariaLabel && !one.textContent.trim()"
    script = f"all => all.filter(one => {is_unnamed}).length"
    assert page.eval_on_selector_all("button, input, select", script) == 0


def test_runs_are_compared_in_a_table_that_sorts(page):
    page.click("#tab-compare")
    page.wait_for_selector("#table td")
    assert page.locator("#table th", has_text="--steps").count() == 1
    assert page.locator("#table th", has_text="--batch-size").count() == 0  # all have the same
    names = page.locator("#table tr td:first-child")
    before = names.all_inner_texts()
    page.locator("#table th button").first.click()
    assert names.all_inner_texts() == before[::-1]


def test_a_run_that_has_exported_nothing_says_when_it_will(page):
    page.select_option("#run", "unfinished")
    assert "of 9,000" in page.inner_text("#progress")
    page.click("#tab-explore")
    page.wait_for_function("document.getElementById('message').textContent.includes('it does at its end')")
    page.click("#tab-watch")
    assert page.inner_text("#message") == ""


def test_a_run_that_ends_can_be_explored_without_a_click(page, served):
    ending = write_run(served.folder / "ending", exported=False)
    page.wait_for_selector("#run option[value=ending]", state="attached", timeout=10_000)
    page.select_option("#run", "ending")
    page.click("#tab-explore")
    page.wait_for_function("document.getElementById('message').textContent.includes('it does at its end')")
    shutil.copytree(served.folder / "toy" / "sampler", ending / "sampler")
    page.wait_for_function("document.getElementById('code').textContent.includes('ending')", timeout=20_000)
    shutil.rmtree(ending)


def test_nothing_of_another_run_stays_or_arrives_late(page):
    explore(page)
    changes(page, lambda: page.locator("#truncation").fill("0.3"))
    slow = []
    page.route(
        "**/api/draw", lambda route: slow.append(route) if '"point"' in route.request.post_data else route.continue_()
    )
    page.press("#pad", "ArrowRight")
    page.wait_for_timeout(200)
    assert len(slow) == 1
    page.select_option("#run", "wall_only")
    page.wait_for_function("document.getElementById('code').textContent.includes('wall_only')")
    slow[0].continue_()
    page.wait_for_timeout(500)
    code = page.inner_text("#code")
    assert code.startswith("python -m jaxgen sample ")  # without truncation
    assert "point" not in code
    assert page.eval_on_selector("#point", "(point) => point.hidden")


def test_a_second_click_on_nearer_is_no_second_round(page):
    explore(page)
    page.click(".tile:nth-child(6) .like")
    page.dblclick("#nearer")
    page.wait_for_function("document.getElementById('code').textContent.includes('rounds=')")
    assert page.inner_text("#round").startswith("round 2")


def test_a_chosen_run_that_is_deleted_makes_place_for_another(page, served):
    gone = write_run(served.folder / "gone")
    page.wait_for_selector("#run option[value=gone]", state="attached", timeout=10_000)
    page.select_option("#run", "gone")
    explore(page)
    shutil.rmtree(gone)
    page.wait_for_function("document.getElementById('code').textContent.includes('toy')", timeout=20_000)


@pytest.mark.parametrize("view", ["watch", "explore", "compare"])
def test_a_narrow_page_does_not_scroll_sideways(page, view):
    page.set_viewport_size({"width": 390, "height": 800})
    page.click(f"#tab-{view}")
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_two_pages_draw_at_once(page, browser, served):
    explore(page)
    other = browser.new_page()
    other.goto(served.address)
    other.wait_for_selector("#run option[value=toy]", state="attached")
    other.select_option("#run", "toy")
    explore(other)
    assert pixels(other) == pixels(page)
    other.close()


def test_a_server_that_ends_and_comes_back_is_announced(page, served):
    explore(page)
    served.stop()
    page.wait_for_function("document.getElementById('message').textContent.includes('does not answer')", timeout=20_000)
    served.start()
    page.click("#next-seed")
    page.wait_for_function("document.getElementById('message').textContent === ''", timeout=20_000)
    page.errors.clear()  # the browser's own lines about refused connections


def test_the_page_is_small(browser, served):
    page, sizes = browser.new_page(), []
    page.on("response", lambda response: sizes.append(len(response.body())) if "/api/" not in response.url else None)
    page.goto(served.address)
    page.wait_for_selector("#run option[value=toy]", state="attached")
    assert sum(sizes) < 300_000
    page.close()
