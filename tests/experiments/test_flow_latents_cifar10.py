"""A flow in the latents of an autoencoder, from the command line."""

import json

import pytest

from jaxgen.training import RunDirectory
from tests.programs import ROOT, load_program, run_here

program = load_program(ROOT / "experiments" / "flow_latents_cifar10.py")


@pytest.mark.parametrize(("step", "is_said"), [(5, True), (6, False)])
def test_a_run_that_ends_before_its_flow_has_trained_says_so(step, is_said, tmp_path, monkeypatch, capsys):
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": step}) + "\n")

    def run(config, build, *, name, afterwards):
        afterwards(RunDirectory(tmp_path))

    monkeypatch.setattr(program, "run", run)
    assert run_here(monkeypatch, program.main, "--autoencoder-steps", 5) == 0
    assert ("The flow has not trained yet" in capsys.readouterr().out) == is_said
