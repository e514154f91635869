"""Results as a JSON file and as a table."""

import json

import pytest

from jaxgen.evaluation import Estimate, write_results

RESULTS = {
    "network": {"PSNR": Estimate(31.25, 0.125), "colour": Estimate(4.0)},
    "baseline": {"PSNR": Estimate(20.0, 0.5), "captions": 12},
}


@pytest.fixture
def write(tmp_path, monkeypatch, capsys):
    """Writes results; returns what is in the file, and the lines of the table without its frame."""
    monkeypatch.setenv("COLUMNS", "200")

    def write(results=RESULTS, **options):
        path = tmp_path / "results.json"
        write_results(path, results, **{"title": "Results", **options})
        lines = capsys.readouterr().out.splitlines()
        cells = [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in lines]
        return json.loads(path.read_text()), cells

    return write


def test_entries_keep_their_own_measures_and_details_are_beside_them(write):
    record, _ = write(details={"images": 5})
    assert record == {
        "network": {
            "PSNR": {"value": 31.25, "standard_error": 0.125},
            "colour": {"value": 4.0, "standard_error": None},
        },
        "baseline": {"PSNR": {"value": 20.0, "standard_error": 0.5}, "captions": 12},
        "images": 5,
    }


def test_a_measure_that_an_entry_lacks_is_an_empty_cell_and_a_missing_error_is_not_shown(write):
    _, rows = write()
    assert ["measure", "network", "baseline"] in rows
    assert ["PSNR", "31.25 ± 0.12", "20 ± 0.5"] in rows
    assert ["colour", "4", ""] in rows
    assert ["captions", "", "12"] in rows


def test_meanings_are_a_column_where_a_measure_has_one(write):
    _, rows = write(meanings={"PSNR": "dB, higher is nearer", "absent": "of no measure here"})
    assert ["measure", "network", "baseline", "meaning"] in rows
    assert ["PSNR", "31.25 ± 0.12", "20 ± 0.5", "dB, higher is nearer"] in rows
    assert ["colour", "4", "", ""] in rows
    _, rows = write(meanings={"absent": "of no measure here"})
    assert ["measure", "network", "baseline"] in rows


def test_the_column_of_a_single_entry_is_called_value(write):
    _, rows = write({"test": {"NLL, nats": 84.5}})
    assert ["measure", "value"] in rows
    assert ["NLL, nats", "84.5"] in rows


def test_what_looks_like_markup_is_printed(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "[red]" / ":cat:" / "results.json"
    results = {"[b]": {"[i]": 1.0}, "other": {"[i]": 2.0}}
    write_results(path, results, title="of [x] :cat:", meanings={"[i]": "[/u]"})
    printed = capsys.readouterr().out
    for text in ("of [x] :cat:", "[b]", "[i]", "[/u]", f"Written to {path}\n"):
        assert text in printed


def test_a_detail_with_the_name_of_an_entry_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="network: both an entry and a detail"):
        write_results(tmp_path / "results.json", RESULTS, title="", details={"images": 5, "network": "UNet"})
    assert not list(tmp_path.iterdir())
