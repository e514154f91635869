"""Results of an experiment or an evaluation: a JSON file and a table."""

import json
from collections.abc import Mapping
from pathlib import Path

from rich.table import Column, Table
from rich.text import Text

from jaxgen.evaluation.estimate import Estimate
from jaxgen.io.files import AnyPath, write_whole
from jaxgen.io.terminal import say

Results = Mapping[str, Mapping[str, Estimate | float]]
"""Measures by entry, then by name: `{"network": {"psnr": Estimate(31.2, 0.1)}, "baseline": {...}}`."""


def write_results(
    path: AnyPath,
    results: Results,
    *,
    title: str,
    meanings: Mapping[str, str] | None = None,
    details: Mapping[str, object] | None = None,
) -> None:
    """Writes results as JSON, then prints them as a table: a column for each entry, a row for each measure.

    `meanings` says in the table how to read measures; `details` (the data, the number of images, ...) go into the file
    beside the results.  An estimate is written as `{"value": ..., "standard_error": ...}`.

    Raises:
      ValueError: a detail has the name of an entry.
      OSError: the file cannot be written.
    """
    entries = {name: {key: _as_json(value) for key, value in measures.items()} for name, measures in results.items()}
    details = details or {}
    if clash := sorted(entries.keys() & details.keys()):
        raise ValueError(f"{', '.join(clash)}: both an entry and a detail; expected different names.")
    write_whole(path, json.dumps({**entries, **details}, indent=2) + "\n")
    say(results_table(results, title=title, meanings=meanings or {}))
    say(f"Written to {Path(path)}")


def results_table(results: Results, *, title: str, meanings: Mapping[str, str]) -> Table:
    """The table that `write_results` prints, without markup; a single entry's column is called "value"."""
    names = dict.fromkeys(name for measures in results.values() for name in measures)
    has_meaning = any(name in meanings for name in names)
    columns = ("value",) if len(results) == 1 else tuple(results)
    headers = ("measure", *columns, *(("meaning",) if has_meaning else ()))
    table = Table(*(Column(Text(header)) for header in headers), title=Text(title, style="table.title"))
    for name in names:
        cells = [_as_text(measures[name]) if name in measures else "" for measures in results.values()]
        table.add_row(*map(Text, (name, *cells, *((meanings.get(name, ""),) if has_meaning else ()))))
    return table


def _as_json(value: Estimate | float) -> object:
    return value._asdict() if isinstance(value, Estimate) else value


def _as_text(value: Estimate | float) -> str:
    """Four significant digits, and two of a standard error."""
    if not isinstance(value, Estimate):
        return f"{value:.4g}"
    error = "" if value.standard_error is None else f" ± {value.standard_error:.2g}"
    return f"{value.value:.4g}{error}"
