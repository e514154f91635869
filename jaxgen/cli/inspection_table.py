"""What `inspect` found, as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from jaxgen.data.class_names import listed
from jaxgen.data.image_options import shape_of

FEW = 3
"""Sizes, groups and files that are named; the JSON has all."""
NAMES = 4
"""Names of a group that are shown."""
CLASSES = 20
"""Classes, and words of captions, that are shown."""


def inspection_table(record: Mapping[str, Any]) -> Table:
    """A row for each line: what it is about, and what was found."""
    table = Table.grid(padding=(0, 2))
    readable = record["images"] - len(record["damaged"])
    parts = {
        "images": [f"{record['images']:,} in {record['data']}"],
        "sizes": _sizes(record),
        "colours": _colours(record, readable),
        "classes": _classes(record),
        "captions": _captions(record["captions"]),
        "duplicates": _duplicates(record, readable),
        "refused": _refused(record),
        "notes": record["problems"],
        "left out": _left_out(record),
    }
    for name, lines in parts.items():
        for number, line in enumerate(lines):
            table.add_row(Text("" if number else name, style="bold"), Text(line))
    return table


def _sizes(record: Mapping[str, Any]) -> list[str]:
    sizes = record["sizes"]
    if not sizes:
        return []
    smallest, largest = record["smallest_side"], record["largest_side"]
    if len(sizes) == 1:
        lines = [f"{next(iter(sizes))} (height x width), all of them"]
    else:
        usual = ", ".join(f"{size} ({number:,})" for size, number in list(sizes.items())[:FEW])
        sides = f"sides from {smallest:,} to {largest:,} pixels"
        lines = [f"{len(sizes):,} sizes (height x width), most often {usual}; {sides}"]
    if record["enlarged"]:
        lines.append(
            f"{record['enlarged']:,} of them smaller than {shape_of(record['options']['size'])}, to be enlarged"
        )
    return lines


def _colours(record: Mapping[str, Any], readable: int) -> list[str]:
    grey, files = record["grey"], record["grey_in_colour_files"]
    lines = [f"{_share(grey, readable)} grey" + (f" ({files:,} of them in files with colours)" if files else "")]
    if 0 < grey < readable and not record["options"]["grey"]:
        lines[0] += "; they are read as colour"
    lines[0] += f"; {_share(record['transparent'], readable)} with transparency"
    if record["sixteen_bit"]:
        lines[0] += f"; {record['sixteen_bit']:,} of 16 bits, scaled to 8"
    return [*lines, ", ".join(f"{kind} {number:,}" for kind, number in record["formats"].items())]


def _classes(record: Mapping[str, Any]) -> list[str]:
    classes = record["classes"]
    if classes is None:
        return ["none"]
    lines = [f"{len(classes):,}: {listed([f'{name} ({number:,})' for name, number in classes.items()])}"]
    for number, kind in ((0, "no image that can be used"), (1, "one image alone")):
        if rare := [name for name, images in classes.items() if images == number]:
            lines.append(f"warning: {kind} in {len(rare):,} of them: {listed(rare)}")
    return lines


def _captions(captions: Mapping[str, Any] | None) -> list[str]:
    if captions is None:
        return ["none"]
    words = captions["words"]
    numbers = f"{captions['number']:,}, {captions['distinct']:,} of them distinct"
    lengths = f"{words['least']} to {words['most']} words, {words['mean']:.1f} on average"
    frequent = ", ".join(f"{word} ({number:,})" for word, number in captions["frequent_words"].items())
    return [f"{numbers}; {lengths}", f"{captions['distinct_words']:,} words, most often {frequent}"]


def _duplicates(record: Mapping[str, Any], readable: int) -> list[str]:
    equal, near = record["equal"], record["near"]
    if len(equal) == 1 and len(equal[0]) == readable:
        return [f"all {readable:,} images are equal"]
    lines = []
    for groups, kind in ((equal, "equal to others"), (near, "nearly equal to others")):
        extra = sum(len(group) - 1 for group in groups)
        if groups:
            lines.append(f"{_number(extra, 'image')} {kind}, in {_number(len(groups), 'group')}:")
            lines += [f"  {_named(group, NAMES)}" for group in groups[:FEW]]
            lines += [f"  and {len(groups) - FEW:,} more"] if len(groups) > FEW else []
    return lines or ["none"]


def _refused(record: Mapping[str, Any]) -> list[str]:
    """What training would refuse."""
    lines = []
    for kind, found in (("damaged", record["damaged"]), ("of a shape far from the size", record["refused"])):
        if found:
            lines.append(f"{len(found):,} {kind}; training refuses them, so move them away:")
            lines += [f"  {each['reason']}" for each in found[:FEW]]
            lines += [f"  and {len(found) - FEW:,} more"] if len(found) > FEW else []
    return lines


def _left_out(record: Mapping[str, Any]) -> list[str]:
    lines = []
    if others := record["other_files"]:
        kinds = ", ".join(f"{suffix} {number:,}" for suffix, number in list(others.items())[:CLASSES])
        lines.append(f"of other kinds, {_number(sum(others.values()), 'file')}: {kinds}")
    if hidden := record["hidden"]:
        lines.append(f"hidden or the system's, {_number(len(hidden), 'name')}: {_named(hidden, NAMES)}")
    return lines


def _named(names: Sequence[str], most: int) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def _number(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _share(number: int, total: int) -> str:
    """A number, and its share of all."""
    return f"{number:,} ({number / total:.0%})" if 0 < number < total else "all" if number else "none"
