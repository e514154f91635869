"""`explore`, as typed."""

import builtins
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest

from jaxgen.cli import main as jaxgen
from jaxgen.cli.explore import listen
from jaxgen.io.errors import InputError
from tests.explore.toy_run import write_run
from tests.programs import ROOT, run_here


def status_of(request):
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.command
def test_the_printed_address_opens_the_page_and_another_token_does_not(tmp_path):
    pytest.importorskip("uvicorn")
    write_run(tmp_path / "toy", exported=False)
    command = [sys.executable, "-m", "jaxgen", "explore", tmp_path, "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as program:
        place, token = program.stdout.readline().split("http://")[1].split()[0].split("/?token=")
        for given, status in ((token, 200), (token[:-1], 403)):
            request = urllib.request.Request(f"http://{place}/api/runs", headers={"X-Token": given})
            assert status_of(request) == status
        program.send_signal(signal.SIGINT)
        assert program.wait(60) in (0, 130)
        assert "Traceback" not in program.stderr.read()


def test_an_address_of_ipv6_is_in_brackets_and_answers(tmp_path, monkeypatch, capsys):
    uvicorn, testclient = pytest.importorskip("uvicorn"), pytest.importorskip("starlette.testclient")
    try:
        listen("::1", 0).close()
    except InputError:
        pytest.skip("this machine has no IPv6")
    apps = []
    monkeypatch.setattr(uvicorn, "Config", lambda app, **_: apps.append(app))
    monkeypatch.setattr(uvicorn, "Server", lambda _: SimpleNamespace(run=lambda sockets: sockets[0].close()))
    assert run_here(monkeypatch, jaxgen, "explore", tmp_path, "--host", "::1", "--no-open") == 0
    printed = capsys.readouterr()
    place = (printed.out + printed.err).split("http://")[1].split("/?token=")[0]
    assert place.startswith("[::1]:")
    assert testclient.TestClient(apps[0]).get("/", headers={"Host": place}).status_code == 200


def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys):
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        for arguments, message in (
            ((tmp_path / "none",), "is not a folder of runs"),
            ((tmp_path, "--port", port), f"--port {port} cannot be used"),
            ((tmp_path, "--port", 70_000), "--port 70000"),
            ((tmp_path, "--host", "256.1.1.1"), "--host 256.1.1.1"),
        ):
            assert run_here(monkeypatch, jaxgen, "explore", *arguments, "--no-open") == 2
            error = capsys.readouterr().err
            assert message in error
            assert error.count("\n") == 1


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *rest):
        if name == "uvicorn":
            raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert run_here(monkeypatch, jaxgen, "explore", tmp_path, "--no-open") == 2
    assert "uvicorn is not installed: pip install 'jaxgen[explore]'" in capsys.readouterr().err
