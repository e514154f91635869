"""Texts as editors, systems and downloads leave them: the right captions, or one line."""

import json
import os
from unicodedata import normalize

import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.cli import main as jaxgen
from jaxgen.cli.conditions import DrawOptions, fields_from_options
from jaxgen.data import as_dataset, train_tokenizer
from jaxgen.data.captions import read_captions
from jaxgen.export import ConditionSpec
from tests.programs import run_here
from tests.real_inputs.files import png, read, write_tree

COMPOSED, DECOMPOSED = (normalize(form, "é.png") for form in ("NFC", "NFD"))
ANT, BEE = ('{"file_name": "a.png", "text": "ant"}', '{"file_name": "b.png", "text": "bee"}')


def entry(name, text):
    return json.dumps({"file_name": name, "text": text}, ensure_ascii=False)


READ = [
    ("plain", ["a.png", "b.png"], f"{ANT}\n{BEE}\n", ("ant", "bee")),
    ("a byte order mark", ["a.png"], "\ufeff" + ANT, ("ant",)),
    ("lines of Windows", ["a.png", "b.png"], f"\ufeff{ANT}\r\n{BEE}\r\n", ("ant", "bee")),
    ("blank lines", ["a.png", "b.png"], f"\n\n{ANT}\n  \n\t\r\n{BEE}\n\n", ("ant", "bee")),
    ("an entry twice", ["a.png", "b.png"], f"{ANT}\n{BEE}\n{ANT}\n", ("ant", "bee")),
    ("another order", ["a.png", "b.png"], f"{BEE}\n{ANT}\n", ("ant", "bee")),
    ("composed names for decomposed files", [DECOMPOSED], entry(COMPOSED, "ant"), ("ant",)),
    ("decomposed names for composed files", [COMPOSED], entry(DECOMPOSED, "ant"), ("ant",)),
    ("both forms", [DECOMPOSED, COMPOSED], f"{entry(COMPOSED, 'ant')}\n{entry(DECOMPOSED, 'bee')}", ("bee", "ant")),
    ("escaped letters", ["a.png"], '{"file_name": "a.png", "text": "caf\\u00e9"}', ("café",)),
    ("a whole pair", ["a.png"], '{"file_name": "a.png", "text": "\\ud83d\\ude00"}', ("😀",)),
    ("further fields", ["a.png"], '{"file_name": "a.png", "text": "ant", "features": 3}', ("ant",)),
    ("a dot", ["a.png"], entry("./a.png", "ant"), ("ant",)),
    ("a line separator in a text", ["a.png"], entry("a.png", "ant\u2028hill"), ("ant\u2028hill",)),
]

REFUSED = [
    ("half a pair", ["a.png"], '{"file_name": "a.png", "text": "\\ud800"}', r"line 1: \ud800 is half of a character"),
    ("the other half", ["a.png"], '\n{"file_name": "a.png", "text": "ant \\udc00"}', r"line 2: \udc00 is half of a ch"),
    ("two captions", ["a.png", "b.png"], f"{BEE}\n{ANT}\n\n{entry('a.png', 'ape')}", "line 4: a.png has a caption alr"),
    ("two forms of one name", [COMPOSED], f"{entry(COMPOSED, 'ant')}\n{entry(DECOMPOSED, 'bee')}", "in line 1"),
    ("UTF-16", ["a.png"], ANT.encode("utf-16"), "cannot be read as text: 'utf-8' codec can't decode"),
    ("Latin-1", ["a.png"], entry("a.png", "café").encode("latin-1"), "save it as UTF-8"),
    ("no JSON", ["a.png"], "a.png: ant", "line 1 is no JSON: Expecting value"),
    ("a list", ["a.png"], f"[{ANT}]", "line 1: expected a file_name and a text that is not empty"),
    ("a deep list", ["a.png"], "[" * 100_000, "line 1 is no JSON"),
    ("a number for a text", ["a.png"], '{"file_name": "a.png", "text": 3}', "line 1: expected a file_name and a text"),
    ("a blank text", ["a.png"], '{"file_name": "a.png", "text": "\\u00a0"}', "line 1: expected a file_name and a text"),
    ("outside", ["a.png"], entry("../a.png", "ant"), "line 1: ../a.png is outside the folder"),
    ("no such image", ["a.png"], f"{ANT}\n{BEE}", "line 2: there is no image b.png in "),
    ("empty", ["a.png", "b.png"], "", "has no caption for a.png (2 images have none)"),
]


def as_bytes(content):
    return content if isinstance(content, bytes) else content.encode()


@pytest.mark.parametrize(("name", "files", "content", "captions"), READ, ids=[row[0] for row in READ])
def test_captions_are_read_as_they_are_meant(tmp_path, name, files, content, captions):
    assert read_captions(as_bytes(content), tmp_path, files) == captions
    images = {file: png(np.full((2, 3, 1), number, np.uint8)) for number, file in enumerate(files)}
    write_tree(tmp_path, {**images, "metadata.jsonl": as_bytes(content)})
    data, announced = read(tmp_path)
    by_shade = dict(zip(data.arrays["image"][:, 0, 0, 0].tolist(), data.captions, strict=True))
    assert tuple(by_shade[number] for number in range(len(files))) == captions
    assert announced == []


@pytest.mark.parametrize(("name", "files", "content", "line"), REFUSED, ids=[row[0] for row in REFUSED])
def test_captions_that_cannot_be_used_are_one_line(tmp_path, name, files, content, line):
    images = dict.fromkeys(files, png(np.zeros((2, 3, 1), np.uint8)))
    write_tree(tmp_path, {**images, "metadata.jsonl": as_bytes(content)})
    with pytest.raises(InputError) as error:
        read(tmp_path)
    assert line in str(error.value)
    assert "metadata.jsonl" in str(error.value)
    assert "\n" not in str(error.value)


HALF = os.fsdecode(b"a \xff heart")  # as Python has an argument that is no UTF-8


def test_half_a_character_in_a_text_option_is_one_line(tmp_path, monkeypatch, capsys):
    assert run_here(monkeypatch, jaxgen, "embed", "--text", HALF, "--out", tmp_path / "e.npz") == 2
    assert capsys.readouterr().err == "error: --text: \\udcff is half of a character; write the text again, as UTF-8.\n"
    assert not list(tmp_path.iterdir())


def test_half_a_character_in_a_caption_to_draw_is_one_line(tmp_path):
    class Exported:
        conditions = {"text": ConditionSpec((2,), "int32", 9)}
        tokenizer = train_tokenizer(["a red heart"], length=4, size=8)

    with pytest.raises(InputError, match=r"--text: \\udcff is half of a character"):
        fields_from_options(DrawOptions(run=tmp_path, text=("heart", HALF)), Exported(), 2)


@pytest.mark.parametrize(
    ("example", "line"),
    [
        ({"text": HALF}, r"Example 1 of data: \\udcff is half of a character"),
        ({"features": 3.0}, r"Example 1 of data: the features are float64\[1\]; expected numbers \[1, F\]"),
        ({"features": [[1.0]]}, r"Example 1 of data: the features are float64\[1, 1, 1\]; expected numbers \[1, F\]"),
        ({"features": "many"}, r"Example 1 of data: the features are <U4\[1\]; expected numbers \[1, F\]"),
    ],
)
def test_texts_and_features_from_python_are_one_line(example, line):
    good = {"image": np.zeros((2, 3), np.uint8), "text": "ant", "features": [1.0]}
    source = [{"image": good["image"], **{name: good[name] for name in example}}, {**good, **example}]
    with pytest.raises(InputError, match=line):
        as_dataset(source)
