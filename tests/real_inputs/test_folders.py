"""Folders as people, systems and links leave them: the right images in the right order, or one line."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgen import InputError
from jaxgen.data import listing
from tests.real_inputs.files import pack, png, read, write_tree


def shade(number):
    """A grey image of one brightness."""
    return png(np.full((2, 3, 1), number, np.uint8))


def shades(path, **options):
    """The brightness of each image, and the labels."""
    data, _ = read(path, **options)
    label = data.arrays.get("label")
    return data.arrays["image"][:, 0, 0, 0].tolist(), None if label is None else label.tolist()


HIDDEN = [
    ".ipynb_checkpoints/a.png",
    "._a.png",
    ".DS_Store",
    ".hidden.png",
    "Thumbs.db",
    "desktop.ini",
    "Desktop.ini",
    "@eaDir/a.png",
    "__MACOSX/cat/._a.png",
    "lost+found/a.png",
    "$RECYCLE.BIN/a.png",
    "System Volume Information/a.png",
    "cat/.ipynb_checkpoints/a.png",
    "cat/._a.png",
]


@pytest.mark.parametrize("kind", ["folder", "a.zip", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize("name", HIDDEN)
def test_what_systems_leave_is_no_image_and_no_class_and_is_said(tmp_path, name, kind):
    files = {"cat/a.png": shade(1), "dog/b.png": shade(2), name: shade(3)}
    place = write_tree(tmp_path / kind, files) if kind == "folder" else pack(tmp_path / kind, files)
    assert shades(place) == ([1, 2], [0, 1])
    parts = name.split("/")
    left_out = name if parts[0] == "cat" and len(parts) == 2 else "/".join(parts[: 2 if parts[0] == "cat" else 1])
    assert read(place)[1] == [f"1 hidden or system entry is left out of {place}, e.g. {left_out}"]


def test_many_hidden_entries_are_said_once(tmp_path):
    write_tree(
        tmp_path, {"a.png": shade(1), ".DS_Store": b"", "b/.DS_Store": b"", "b/Thumbs.db": b"", "b/b.png": shade(2)}
    )
    assert read(tmp_path)[1] == [f"3 hidden or system entries are left out of {tmp_path}, e.g. .DS_Store"]


def test_a_name_that_no_terminal_prints_is_announced(tmp_path):
    write_tree(tmp_path, {"a.png": shade(1), os.fsdecode(b".\xff"): b""})
    assert read(tmp_path)[1] == [rf"1 hidden or system entry is left out of {tmp_path}, e.g. .\xff"]


ROOT = {"data/cat/a.png": shade(1), "data/dog/b.png": shade(2), "elsewhere/x.png": shade(9)}
LOOP = "is a link to a folder that it is in: remove the link"
GONE = "is a link to nowhere, which is no file: mend or remove it"

FOLLOWED = [
    ("a class is a link", {"ant": "../elsewhere"}, ([9, 1, 2], [0, 1, 2])),
    ("an image is a link", {"cat/z.png": "../../elsewhere/x.png"}, ([1, 9, 2], [0, 0, 1])),
    ("a link to a link", {"ant": "emu", "emu": "../elsewhere"}, ([9, 1, 2, 9], [0, 1, 2, 3])),
    ("one folder twice", {"emu": "cat"}, ([1, 2, 1], [0, 1, 2])),
    ("one folder twice inside another", {"dog/x": "../cat", "dog/y": "../cat"}, ([1, 2, 1, 1], [0, 1, 1, 1])),
    ("a hidden link that is gone", {".emu": "nowhere"}, ([1, 2], [0, 1])),
    ("a folder named as an image", {"cat/x.png/a.png": shade(7)}, ([1, 7, 2], [0, 0, 1])),
    ("a file of another kind", {"notes.txt": b"x"}, ([1, 2], [0, 1])),
    ("an upper-case suffix", {"dog/C.PNG": shade(7)}, ([1, 7, 2], [0, 1, 1])),
    ("an image beside the classes", {"x.png": shade(7)}, ([1, 2, 7], None)),
]
"""What is added to a folder of two classes, links as the text that they lead to; its shades and labels."""

REFUSED = [
    ("a loop", {"cat/back": "../../data"}, f"data/cat/back {LOOP}"),
    ("a loop to itself", {"cat/dot": "."}, f"data/cat/dot {LOOP}"),
    ("a loop above the data", {"cat/up": "../.."}, f"data/cat/up {LOOP}"),
    ("a loop of two", {"cat/x": "../dog", "dog/y": "../cat"}, LOOP),
    ("a link to itself", {"emu": "emu"}, "data/emu cannot be read: Too many levels of symbolic links"),
    ("a class that is gone", {"emu": "nowhere"}, f"data/emu {GONE}"),
    ("an image that is gone", {"cat/b.png": "nowhere"}, f"data/cat/b.png {GONE}"),
]


def change(root, changes):
    for name, content in changes.items():
        if isinstance(content, str):
            (root / "data" / name).symlink_to(content)
        else:
            write_tree(root / "data", {name: content})


@pytest.fixture
def root(tmp_path):
    return write_tree(tmp_path, ROOT)


@pytest.mark.parametrize(("name", "changes", "expected"), FOLLOWED, ids=[name for name, *_ in FOLLOWED])
def test_links_are_followed_and_every_class_counts(root, name, changes, expected):
    change(root, changes)
    assert shades(root / "data") == expected


@pytest.mark.parametrize(("name", "changes", "line"), REFUSED, ids=[name for name, *_ in REFUSED])
def test_what_would_vanish_or_never_end_is_one_line(root, name, changes, line):
    change(root, changes)
    with pytest.raises(InputError) as error:
        read(root / "data")
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_with_the_name_of_an_image_is_not_waited_for(root):
    os.mkfifo(root / "data" / "cat" / "b.png")
    with pytest.raises(InputError, match=r"cat/b\.png has an image's name but is no file"):
        read(root / "data")


@pytest.mark.parametrize("most_bytes", [None, 0])
def test_a_folder_that_may_not_be_listed_is_named(root, monkeypatch, most_bytes):
    scandir = os.scandir

    def refuse(place):
        if Path(place).name == "cat":
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(listing.os, "scandir", refuse)
    with pytest.raises(InputError, match=r"data/cat cannot be listed: Permission denied; make it readable"):
        read(root / "data", most_bytes=most_bytes)


def test_a_file_that_may_not_be_read_is_named(root, monkeypatch):
    opened = Path.open

    def refuse(path, *arguments, **options):
        if path.name == "b.png":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"dog/b\.png cannot be read as an image: Permission denied"):
        read(root / "data")


# Any tree of files, hidden entries and links: what is read equals an oracle that knows how the tree was made.

NAMES = st.sampled_from(["a", "b", "B", "é", "1", "10", "2", "a.png", ".a", "@eaDir", "thumbs.db", "x y"])
FILES = st.sampled_from(["a.png", "b.PNG", "é.png", "10.png", "2.png", ".a.png", "notes.txt", "Thumbs.db", "c.pgm"])
TREES = st.recursive(
    st.dictionaries(FILES, st.integers(0, 255), max_size=3),
    lambda inside: st.dictionaries(FILES, st.integers(0, 255), max_size=2).flatmap(
        lambda files: st.dictionaries(NAMES, inside, max_size=3).map(lambda folders: {**folders, **files})
    ),
    max_leaves=8,
)
"""A folder: shades by file name, and folders by name."""


def visible(tree, inside=()):
    """The images of a tree: their parts, and their shades."""
    for name, content in tree.items():
        if name.startswith(".") or name.lower() in ("@eadir", "thumbs.db"):
            continue
        if isinstance(content, dict):
            yield from visible(content, (*inside, name))
        elif name.lower().endswith((".png", ".pgm")):
            yield (*inside, name), content


def natural(name):
    """Numbers before texts, by their value: the names above are one or the other."""
    return (0, int(name), "") if name.isdigit() else (1, 0, name)


def oracle(tree):
    """Shades and labels, or None where there are no images."""
    found = sorted(visible(tree), key=lambda item: [os.fsencode(part) for part in item[0]])
    if not found:
        return None
    labels = None
    if all(len(parts) > 1 for parts, _ in found):
        classes = sorted({parts[0] for parts, _ in found}, key=natural)
        labels = [classes.index(parts[0]) for parts, _ in found]
    return [shade for _, shade in found], labels


def write(tree, place, spare, links):
    """A tree on the disk; every other folder is a link to one elsewhere if `links`."""
    place.mkdir()
    for name, content in tree.items():
        if not isinstance(content, dict):
            (place / name).write_bytes(shade(content))
        elif links:
            target = spare / str(len(list(spare.iterdir())))
            write(content, target, spare, not links)
            (place / name).symlink_to(target)
        else:
            write(content, place / name, spare, not links)


@contextmanager
def temporary():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@settings(max_examples=60, deadline=None)
@given(TREES, st.booleans())
def test_any_tree_gives_what_an_oracle_says(tree, links):
    with temporary() as root:
        (root / "spare").mkdir()
        write(tree, root / "data", root / "spare", links)
        expected = oracle(tree)
        if expected is None:
            with pytest.raises(InputError, match="holds no images"):
                read(root / "data")
        else:
            assert shades(root / "data") == expected
            streamed, _ = read(root / "data", most_bytes=0)
            assert [int(streamed.read(index)["image"][0, 0, 0]) for index in range(streamed.size)] == expected[0]


def flat(tree, inside=""):
    """The files of a tree by path."""
    for name, content in tree.items():
        if isinstance(content, dict):
            yield from flat(content, f"{inside}{name}/")
        else:
            yield inside + name, shade(content)


@settings(max_examples=40, deadline=None)
@given(TREES, st.sampled_from(["a.zip", "a.tar", "a.tar.gz"]), st.sampled_from(["", "./", "my data/"]))
def test_any_tree_in_an_archive_gives_what_its_folder_gives(tree, name, prefix):
    # Two files and two folders beside it, so that no folder takes the place of the root but the prefix.
    tree = {"0": {"a": {"a.png": 1}}, "3": {"b": {"a.png": 2}}, **tree}
    tree = {key: content for key, content in tree.items() if isinstance(content, dict)}
    with temporary() as root:
        packed = pack(root / name, {prefix + path: content for path, content in flat(tree)})
        folder = write_tree(root / "data", dict(flat(tree)))
        assert shades(packed) == shades(folder) == oracle(tree)
