"""`python -m jaxgen explore`: a page in the browser on which runs are watched, compared and played with."""

import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from jaxgen.io.errors import InputError
from jaxgen.io.program import UserPath
from jaxgen.io.terminal import say
from jaxgen.training.config import Bounds, require_bounds

HERE, ANYWHERE = "127.0.0.1", ("0.0.0.0", "::")


@dataclass(frozen=True)
class Explore:
    """Open a page in the browser: watch a run as it trains, compare runs, play with what they learnt."""

    folder: Annotated[UserPath, tyro.conf.Positional] = Path("runs")
    """A run directory, or a folder of runs."""
    host: str = HERE
    """The address that the page is served at: by default for this machine alone.  At another, such as 0.0.0.0, whoever
    has the printed address can draw from the runs."""
    port: Annotated[int, Bounds(least=0, most=65_535)] = 0
    """The port; 0 for a free one."""
    public: bool = False
    """Answer whoever asks, without the token of the printed address: for a page that anybody may see.  Nobody can
    change a run; pictures that are sent are kept in memory alone."""
    open: bool = True
    """Open the page in the browser."""


def explore(options: Explore) -> None:
    """Serves the page until Ctrl-C.

    Raises:
      InputError: there is no such folder, the port is taken, or the extra `explore` is not installed.
    """
    require_bounds(options)
    if not options.folder.is_dir():
        raise InputError(f"{options.folder} is not a folder of runs.")
    try:
        import uvicorn

        from jaxgen.explore.server import make_app
    except ImportError as error:
        raise InputError(f"{error.name} is not installed: pip install 'jaxgen[explore]'.") from error
    bound = listen(options.host, options.port)
    port, token = bound.getsockname()[1], secrets.token_urlsafe(16)
    is_anywhere = options.host in ANYWHERE
    host = f"[{options.host}]" if ":" in options.host else options.host  # of IPv6
    # A browser leaves port 80 out.
    ports = [f":{port}", ""] if port == 80 else [f":{port}"]
    hosts = None if is_anywhere else frozenset(name + part for name in {host, HERE, "localhost"} for part in ports)
    app = make_app(options.folder, None if options.public else token, hosts)
    query = "" if options.public else f"?token={token}"
    address = f"http://{socket.gethostname() if is_anywhere else host}:{port}/{query}"
    say(f"Runs of {options.folder}: {address}  (Ctrl-C ends it)")
    if options.open:
        open_browser(address)
    uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).run(sockets=[bound])


def open_browser(address: str) -> None:
    """Opens the page if this machine has a browser with a window."""
    import webbrowser

    webbrowser.open(address)


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address.

    Raises:
      InputError: it is taken, or not one of this machine.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen()
    except (OSError, OverflowError) as error:
        bound.close()
        raise InputError(f"--host {host} --port {port} cannot be used: {error}.") from error
    return bound
