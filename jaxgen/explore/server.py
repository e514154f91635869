"""The page and its requests, as a Starlette application."""

import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from jaxgen.explore.access import Access
from jaxgen.explore.code import code_of
from jaxgen.explore.drawn import Drawer
from jaxgen.explore.uploads import MOST_BYTES as MOST_UPLOAD
from jaxgen.explore.uploads import Uploads
from jaxgen.explore.views import FILMS, View, read_view
from jaxgen.explore.watched import EXPORTS, Curves, describe, find_runs
from jaxgen.io.errors import InputError, first_line
from jaxgen.io.pictures import animation, png
from jaxgen.io.sphere import sphere_png

PAGE = Path(__file__).parent / "page"
MOST_BYTES = 100_000
"""Of a request."""

Handler = Callable[[Request], Awaitable[Response]]


def make_app(root: Path, token: str | None, hosts: frozenset[str] | None = None) -> Starlette:
    """The application for a run, or for the runs in a folder; `hosts` are the names that it answers to, with ports.

    Without a token it answers whoever asks.
    """
    runs = Runs(root)
    routes = [
        Route("/", lambda _: FileResponse(PAGE / "index.html")),
        Route("/api/runs", answer(lambda _: as_json(runs.list()))),
        Route("/api/curves", answer(lambda request: as_json(runs.curves(request)))),
        Route("/api/grid", answer(lambda request: Response(runs.grid(request), media_type="image/png"))),
        Route("/api/about", answer(lambda request: as_json(runs.about(request)))),
        Route("/api/draw", draw_with(runs), methods=["POST"]),
        Route("/api/picture", keep_in(runs.uploads), methods=["POST"]),
        Mount("/", StaticFiles(directory=PAGE)),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Access, token=token, hosts=hosts)])


class Runs:
    """The runs below a folder, with what was read of each."""

    def __init__(self, root: Path):
        self.root, self.uploads = root, Uploads()
        self._found: dict[str, Path] = {}
        self._curves: dict[Path, Curves] = {}
        self._drawers: dict[Path, tuple[tuple[int, ...], Drawer]] = {}
        self._lock = threading.Lock()

    def list(self) -> dict[str, Any]:
        """The record of each run that can be read, by its path below the folder."""
        found, self._found = {}, find_runs(self.root)
        for name, path in self._found.items():
            try:
                # A number that is not finite, which JSON has no word for, becomes null.
                found[name] = json.loads(json.dumps(describe(path)), parse_constant=lambda _: None)
            except (ValueError, OSError, RecursionError):
                continue  # another program's config.json, or a run that is being deleted
        return {"root": str(self.root), "runs": found}

    def path(self, name: str) -> Path:
        """The run of a name, which must be one of the list: so no other file can be reached."""
        # While the mouse is dragged the folder is not listed for each picture.
        if name not in self._found or not (self._found[name] / "config.json").is_file():
            self._found = find_runs(self.root)
        if name not in self._found:
            raise InputError(f"There is no run {name[:200]!r} in {self.root}.")
        return self._found[name]

    def curves(self, request: Request) -> dict[str, Any]:
        """The curves of a run."""
        path = self.path(request.query_params.get("run", ""))
        return self._curves.setdefault(path, Curves(path / "metrics.jsonl")).read()

    def grid(self, request: Request) -> bytes:
        """The PNG of the sample grid of a run at a step."""
        path, step = self.path(request.query_params.get("run", "")), request.query_params.get("step", "")
        grid = path / "samples" / f"step_{int(step):07}.png" if step.isdecimal() and len(step) < 12 else None
        # A link may point out of the run, at any file of this machine.
        if grid is None or not grid.is_file() or not grid.resolve().is_relative_to(path.resolve()):
            raise InputError(f"This run has no grid of step {step[:50]}.")
        return grid.read_bytes()

    def about(self, request: Request) -> dict[str, Any]:
        """What a run can draw."""
        return self.drawer(request.query_params.get("run", "")).about()

    def drawer(self, name: str) -> Drawer:
        """The drawer of a run; a new one if it has exported again."""
        path = self.path(name)
        signatures = [path / export / "signature.json" for export in EXPORTS]
        if not signatures[0].is_file():
            raise InputError("This run has not exported its sampler yet: it does at its end.")
        written = tuple(signature.stat().st_mtime_ns for signature in signatures if signature.is_file())
        with self._lock:
            if path not in self._drawers or self._drawers[path][0] != written:
                self._drawers[path] = written, Drawer(path, self.uploads.read)
            return self._drawers[path][1]


def refusing(handler: Handler) -> Handler:
    """The handler of a request whose mistakes are one line, and 400."""

    async def refused(request: Request) -> Response:
        try:
            return await handler(request)
        except InputError as error:
            return PlainTextResponse(first_line(error) + "\n", 400)
        except OSError as error:  # the run is being deleted, or its files are not ours
            return PlainTextResponse(f"A file of the run cannot be read: {error.strerror}.\n", 400)

    return refused


def answer(function: Callable[[Request], Response]) -> Handler:
    """A request's answer, made in a thread."""
    return refusing(lambda request: run_in_threadpool(function, request))


def draw_with(runs: Runs) -> Handler:
    """The request for a picture: {"run", "view"} to a PNG of the images side by side, or a GIF of a film.

    One picture is drawn at a time.  The header X-Code holds, as JSON, the code that draws it again; X-Numbers holds the
    numbers of a wall's images.
    """
    one_at_a_time = anyio.CapacityLimiter(1)

    async def draw(request: Request) -> Response:
        body = await _json(request)
        if not isinstance(body, dict) or not isinstance(body.get("run"), str):
            raise InputError("A request for a picture names its run.")
        view = read_view(body.get("view"))
        async with one_at_a_time:
            if await request.is_disconnected():  # the page was closed while others drew
                return Response(status_code=204)
            return await run_in_threadpool(_drawn, runs, body["run"], view)

    return refusing(draw)


def _drawn(runs: Runs, name: str, view: View) -> Response:
    drawer = runs.drawer(name)
    numbers, images = drawer.similar(view) if view.kind == "similar" else (np.arange(view.num), drawer.images(view))
    code = json.dumps(code_of(runs.uploads.named(view), drawer.path))
    headers = {"X-Code": code, "X-Numbers": json.dumps(numbers.tolist())}
    if view.kind in FILMS:
        return Response(animation(images, is_loop=True), media_type="image/gif", headers=headers)
    picture = sphere_png(images[0]) if view.kind == "sphere" else png(np.concatenate(images, axis=1))
    return Response(picture, media_type="image/png", headers=headers)


def keep_in(uploads: Uploads) -> Handler:
    """The request to keep a picture, whose bytes are its body: to {"picture": the name that views call it by}.

    One picture is read at a time: its pixels take far more memory than its bytes.
    """
    one_at_a_time = anyio.CapacityLimiter(1)

    async def keep(request: Request) -> Response:
        content, name = await _body(request, MOST_UPLOAD), request.query_params.get("name", "")
        async with one_at_a_time:
            return as_json({"picture": await run_in_threadpool(uploads.keep, content, name)})

    return refusing(keep)


def as_json(content: Any) -> Response:
    """An answer in ASCII: the names of files may have characters that UTF-8 has not."""
    return Response(json.dumps(content, allow_nan=False), media_type="application/json")


async def _json(request: Request) -> Any:
    body = await _body(request, MOST_BYTES)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError("The request is no JSON.") from error


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise InputError(f"The request has more than {most:,} bytes.")
    return bytes(body)
