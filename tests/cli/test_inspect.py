"""The verb that says what a folder of images holds, as typed."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from jaxgen.cli import main as jaxgen
from jaxgen.data import load
from jaxgen.data.image_file import read_image
from jaxgen.data.image_options import ImageOptions
from jaxgen.io.pictures import EMPTY, GAP
from tests.programs import run_here

RNG = np.random.default_rng(0)


def smooth(height, width):
    """A picture like a photo: noise of low frequency."""
    noise = Image.fromarray(RNG.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return noise.resize((width, height), Image.Resampling.BICUBIC)


def write(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Fourteen images in three classes: two that are equal, a near duplicate, damaged ones, one of a wrong shape."""
    place = tmp_path_factory.mktemp("my [own] pictures")
    for number in range(4):
        write(place / "cats" / f"{number}.png", smooth(48, 64))
    for number in range(3):
        write(place / "dogs" / f"{number}.jpg", smooth(80, 60), quality=95)
    write(place / "dogs" / "equal.bmp", Image.open(place / "cats" / "1.png"))
    write(place / "dogs" / "mirrored.png", Image.open(place / "cats" / "2.png").transpose(Image.FLIP_LEFT_RIGHT))
    write(place / "dogs" / "near.jpg", Image.open(place / "cats" / "0.png").resize((60, 45)), quality=70)
    write(place / "dogs" / "wide.gif", Image.fromarray(np.zeros((4, 400), np.uint8)))
    write(place / "flags" / "deep.png", Image.fromarray(RNG.integers(0, 65536, (20, 30), dtype=np.uint16)))
    content = (place / "dogs" / "0.jpg").read_bytes()
    (place / "cats" / "cut.jpg").write_bytes(content[: len(content) // 2])
    (place / "cats" / "text.png").write_text("<html>")
    for name in ("Thumbs.db", "notes.txt", "IMG_1.HEIC", "IMG_2.heic", "README"):
        (place / name).write_text("no image")
    return place


def inspected(monkeypatch, out, *options):
    assert run_here(monkeypatch, jaxgen, "inspect", *options, "--out", out) == 0
    return json.loads(out.with_suffix(".json").read_text())


def test_what_is_in_a_folder_is_counted(folder, tmp_path, monkeypatch, capsys):
    found = inspected(monkeypatch, tmp_path / "a.png", folder, "--size", "32")
    assert found["images"] == 14
    assert found["sizes"] == {"48x64": 6, "80x60": 3, "20x30": 1, "45x60": 1, "4x400": 1}
    assert list(found["sizes"])[:2] == ["48x64", "80x60"]
    assert (found["smallest_side"], found["largest_side"], found["enlarged"]) == (4, 400, 1)
    assert (found["grey"], found["grey_in_colour_files"]) == (2, 1)  # a GIF has a palette
    assert (found["transparent"], found["sixteen_bit"]) == (0, 1)
    assert found["formats"] == {"PNG": 6, "JPEG": 4, "BMP": 1, "GIF": 1}
    assert found["classes"] == {"cats": 4, "dogs": 6, "flags": 1}
    assert found["equal"] == [["cats/1.png", "dogs/equal.bmp"]]
    assert found["near"] == [["cats/0.png", "dogs/near.jpg"]]
    assert [each["file"] for each in found["damaged"]] == ["cats/cut.jpg", "cats/text.png"]
    assert [each["file"] for each in found["refused"]] == ["dogs/wide.gif"]
    assert found["hidden"] == ["Thumbs.db"]
    assert found["other_files"] == {".heic": 2, ".txt": 1, "no extension": 1}
    said = " ".join(capsys.readouterr().out.split())
    assert "one image alone in 1 of them: flags" in said
    assert f"Train on them: python experiments/pictures.py --data '{folder}' --size 32" in said


def test_animations_are_clips_too(tmp_path, monkeypatch, capsys):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    (tmp_path / "clips").mkdir()
    frames[0].save(tmp_path / "clips" / "a.gif", save_all=True, append_images=frames[1:])
    inspected(monkeypatch, tmp_path / "a.png", tmp_path / "clips")
    command = f"python experiments/video.py --data {tmp_path / 'clips'} --size 32"
    assert f"They move; train on them as clips: {command}" in capsys.readouterr().out


def test_damaged_and_refused_images_are_those_that_training_refuses(folder, tmp_path, monkeypatch):
    found = inspected(monkeypatch, tmp_path / "a.png", folder, "--size", "32")
    mended = tmp_path / "mended"
    shutil.copytree(folder, mended)
    for each in found["damaged"] + found["refused"]:
        (mended / each["file"]).unlink()
    data = load(str(mended), images=ImageOptions((32, 32)), announce=lambda _: None)
    again = inspected(monkeypatch, tmp_path / "b.png", mended, "--size", "32")
    assert data.size == again["images"] == 11
    assert np.bincount(data.arrays["label"]).tolist() == list(found["classes"].values())
    assert again["damaged"] == again["refused"] == []


def test_the_sheet_has_a_row_for_each_class_of_images_as_training_sees_them(folder, tmp_path, monkeypatch):
    out = tmp_path / "a.png"
    found = inspected(monkeypatch, out, folder, "--size", "32x40", "--fit", "pad", "--grey")
    sheet = read_image(out)
    rows, columns = len(found["classes"]), max(map(len, found["sheet"]))
    assert [row[0].partition("/")[0] for row in found["sheet"]] == list(found["classes"])
    assert sheet.shape == (rows * (32 + GAP) + GAP, columns * (40 + GAP) + GAP, 3)
    (tmp_path / "one").mkdir()
    for row, names in enumerate(found["sheet"]):
        for column in range(columns):
            top, left = GAP + row * (32 + GAP), GAP + column * (40 + GAP)
            cell = sheet[top : top + 32, left : left + 40]
            if column >= len(names):
                assert (cell == EMPTY).all()
                continue
            place = shutil.copy(folder / names[column], tmp_path / "one")
            seen = load(str(tmp_path / "one"), images=ImageOptions((32, 40), "pad", grey=True), announce=print)
            np.testing.assert_array_equal(cell, seen.arrays["image"][0].repeat(3, axis=2))
            (tmp_path / "one" / place.rpartition("/")[2]).unlink()


def test_without_a_size_pictures_keep_their_shape(folder, tmp_path, monkeypatch):
    inspected(monkeypatch, tmp_path / "a.png", folder)
    sheet = read_image(tmp_path / "a.png")
    assert sheet.shape[:2] == (3 * (80 + GAP) + GAP, 7 * (256 + GAP) + GAP)  # the widest is scaled down to 256
    first = read_image(folder / "cats" / "0.png")
    top, left = GAP + (80 - 48) // 2, GAP + (256 - 64) // 2
    np.testing.assert_array_equal(sheet[top : top + 48, left : left + 64], first)


def test_many_images_without_classes_are_spread_over_a_sheet_of_ten_by_ten(tmp_path, monkeypatch):
    for number in range(250):
        write(tmp_path / "many" / f"{number:03}.png", Image.fromarray(np.full((4, 4), number, np.uint8)))
    found = inspected(monkeypatch, tmp_path / "a.png", tmp_path / "many")
    shown = [int(name.removesuffix(".png")) for row in found["sheet"] for name in row]
    assert [len(row) for row in found["sheet"]] == [10] * 10
    assert set(np.diff(shown)) == {2, 3}
    assert found["command"].endswith("--size 32 --grey")
    assert found["classes"] is None


def test_the_same_folder_gives_the_same_files_and_so_does_its_archive(folder, tmp_path, monkeypatch):
    outs = [tmp_path / name for name in ("a.png", "b.png", "c.png", "d.png")]
    places = [folder, folder, *(shutil.make_archive(tmp_path / "packed", kind, folder) for kind in ("zip", "tar"))]
    found = [inspected(monkeypatch, out, place, "--size", "24") for out, place in zip(outs, places, strict=True)]
    assert outs[0].with_suffix(".json").read_bytes() == outs[1].with_suffix(".json").read_bytes()
    assert len({out.read_bytes() for out in outs}) == 1
    for packed in found[2:]:
        for name in found[0].keys() - {"data", "command", "damaged"}:
            assert packed[name] == found[0][name]
        assert [each["file"] for each in packed["damaged"]] == [each["file"] for each in found[0]["damaged"]]


def test_captions_are_counted_and_wrong_ones_are_a_note(tmp_path, monkeypatch, capsys):
    texts = ("A red Héart", "a red heart", "a red heart", "two blue-green cats, one dog")
    for number in range(4):
        write(tmp_path / "set" / f"{number}.png", smooth(9, 9))
    lines = [json.dumps({"file_name": f"{number}.png", "text": text}) for number, text in enumerate(texts)]
    metadata = tmp_path / "set" / "metadata.jsonl"
    metadata.write_text("\n".join(lines))
    captions = inspected(monkeypatch, tmp_path / "a.png", tmp_path / "set")["captions"]
    assert (captions["number"], captions["distinct"], captions["distinct_words"]) == (4, 3, 8)
    assert captions["words"] == {"least": 3, "mean": 3.5, "most": 5}
    assert list(captions["frequent_words"].items())[:4] == [("a", 3), ("heart", 3), ("red", 3), ("blue-green", 1)]
    metadata.write_text(lines[0])
    found = inspected(monkeypatch, tmp_path / "a.png", tmp_path / "set")
    assert found["captions"] is None
    assert "no caption for 1.png" in found["problems"][0]
    assert "no caption for 1.png" in " ".join(capsys.readouterr().out.split())


def test_equal_images_everywhere_are_said_and_grey_in_colour_is_grey(tmp_path, monkeypatch, capsys):
    for number in range(5):
        write(tmp_path / "set" / "ab"[number % 2] / f"{number}.png", Image.new("RGBA", (8, 8), (9, 9, 9, 255)))
    write(tmp_path / "set" / "outside.png", Image.new("L", (8, 8), 9))
    found = inspected(monkeypatch, tmp_path / "a.png", tmp_path / "set")
    assert (found["grey"], found["grey_in_colour_files"], found["transparent"]) == (6, 5, 5)
    said = " ".join(capsys.readouterr().out.split())
    assert "all 6 images are equal" in said
    assert "1 of 6 images are in no subfolder, as outside.png" in said
    assert found["command"].endswith("--size 32 --grey")


def test_arrays_are_inspected_too(tmp_path, monkeypatch):
    images = RNG.integers(0, 256, (30, 12, 16, 3), dtype=np.uint8)
    images[7] = images[3]
    np.savez(tmp_path / "a.npz", image=images, label=np.array([-1, 5, 10**9])[np.arange(30) % 3])
    found = inspected(monkeypatch, tmp_path / "b.png", tmp_path / "a.npz")
    assert found["sizes"] == {"12x16": 30}
    assert found["classes"] == {"-1": 10, "5": 10, "1000000000": 10}
    assert found["equal"] == [["3", "7"]]
    assert found["command"].endswith("a.npz --size 32")


MISTAKES = [
    (("{}", "--fit", "pad"), "--fit pad needs --size"),
    (("{}", "--out", "a.jpg"), "a.jpg: expected a name that ends in .png"),
    (("{}", "--out", "{}/a.png"), "is among the images in"),
    (("{}/notes.txt",), "notes.txt is not a folder of images, or an .npz"),
    (
        ("{}/nothing",),
        ".tiff, .webp); it holds 1 .heic.",
    ),
    (("{}/flags", "--size", "1000"), "None of the 1 images in"),
    (("{}", "--background", "reddish"), "--background reddish: expected white"),
]


@pytest.mark.parametrize(("options", "message"), MISTAKES)
def test_a_mistake_is_one_line(folder, tmp_path, monkeypatch, capsys, options, message):
    shutil.copytree(folder, tmp_path / "set")
    (tmp_path / "set" / "nothing").mkdir()
    (tmp_path / "set" / "nothing" / "a.HEIC").write_text("")
    monkeypatch.chdir(tmp_path)
    assert run_here(monkeypatch, jaxgen, "inspect", *(option.format(tmp_path / "set") for option in options)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.rglob("inspection.*"))
