from PIL import Image

from jaxgen.training import plot_metrics
from jaxgen.training.plot import panels_of


def test_a_plot_is_a_picture_even_of_metrics_that_come_and_go(tmp_path):
    rows = [{"step": n, "d/loss": 1.0 / (n + 1), **({"d/r1": 2.0} if n % 2 else {}), "time/s": n} for n in range(4)]
    for name, plotted in [("some", rows), ("none", [])]:
        plot_metrics(tmp_path / f"{name}.png", plotted)
        with Image.open(tmp_path / f"{name}.png") as plot:
            assert plot.format == "PNG"


def test_every_metric_has_its_place_in_the_plot_and_the_losses_are_first():
    rows = [
        {"step": 1, "d/r1": 0.0, "time/seconds": 3.0},
        {"step": 2, "d/loss": 1.0, "d/a/real_logit": 0.0, "e/fake_logit": 0.0},
    ]
    panels = [("loss", ["d/loss"]), ("term", ["d/r1"]), ("logit", ["d/a/real_logit", "e/fake_logit"])]
    assert list(panels_of(rows).items()) == panels
    assert panels_of([{"step": 1, "loss": 0.0, "kl": 0.0}]) == {"loss": ["loss"], "term": ["kl"]}
