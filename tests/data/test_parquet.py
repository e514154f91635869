"""Parquet files, and folders that Hugging Face's `datasets` saved."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from jaxgen import InputError
from jaxgen.cli import main
from jaxgen.data import load
from jaxgen.data.image_options import ImageOptions
from tests.prepared import png
from tests.programs import run_here

IMAGES = np.random.default_rng(0).integers(0, 256, (11, 8, 10, 3), dtype=np.uint8)
LABELS = [n % 3 for n in range(len(IMAGES))]
CAPTIONS = tuple(f"picture {n}" for n in range(len(IMAGES)))
NAMES = ["cat", "dog", "owl"]


def write(path, rows=slice(None), *, as_structs=True, **columns):
    images = [png(image) for image in IMAGES[rows]]
    table = {
        "image": [{"bytes": content, "path": None} for content in images] if as_structs else images,
        "label": LABELS[rows],
        "text": CAPTIONS[rows],
        **columns,
    }
    features = {"label": {"names": NAMES, "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    table = pa.table(table).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=3)


def assert_is_data(data, rows=slice(None)):
    np.testing.assert_array_equal(data.arrays["image"], IMAGES[rows])
    assert data.arrays["label"].tolist() == LABELS[rows]
    assert (data.captions, data.class_names) == (CAPTIONS[rows], tuple(NAMES))


@pytest.mark.parametrize("as_structs", [True, False])
def test_a_file_of_images_is_a_data_set(tmp_path, as_structs):
    write(tmp_path / "a.parquet", as_structs=as_structs)
    assert_is_data(load(str(tmp_path / "a.parquet")))


def test_the_files_of_a_split_are_read_in_order(tmp_path):
    write(tmp_path / "data" / "train-00000-of-00002.parquet", slice(5))
    write(tmp_path / "data" / "train-00001-of-00002.parquet", slice(5, 9))
    write(tmp_path / "data" / "test-00000-of-00001.parquet", slice(9, 11))
    assert_is_data(load(str(tmp_path)), slice(9))
    assert_is_data(load(str(tmp_path), split="test"), slice(9, 11))
    with pytest.raises(InputError, match="has no validation split: it has test and train"):
        load(str(tmp_path), split="validation")


def test_splits_may_be_folders_and_have_short_names(tmp_path):
    for name, rows in {"a/train/0.parquet": slice(5), "a/test/0.parquet": slice(9, 11)}.items():
        write(tmp_path / name, rows)
    write(tmp_path / "b" / "valid-0.parquet", slice(4))
    assert_is_data(load(str(tmp_path / "a")), slice(5))
    assert_is_data(load(str(tmp_path / "b"), split="validation"), slice(4))
    write(tmp_path / "b" / "extra.parquet")
    with pytest.raises(InputError, match=r"extra\.parquet is of no split, and other files"):
        load(str(tmp_path / "b"), split="validation")


def test_a_file_is_packed_in_order_and_with_a_size(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet")
    assert run_here(monkeypatch, main, "pack", tmp_path / "a.parquet", "--out", tmp_path / "whole") == 0
    assert_is_data(load(str(tmp_path / "whole")))
    arguments = "pack", tmp_path / "a.parquet", "--size", 4, "--out", tmp_path / "small"
    assert run_here(monkeypatch, main, *arguments) == 0
    expected = load(str(tmp_path / "a.parquet"), images=ImageOptions((4, 4))).digest
    assert load(str(tmp_path / "small")).digest == expected


def test_a_file_that_is_too_large_for_the_memory_is_to_be_packed(tmp_path):
    write(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"11 images of 0\.0 GB, and cannot be read at random: pack it first"):
        load(str(tmp_path / "a.parquet"), most_bytes=100)


DAMAGED = [
    ({}, lambda path: path.write_bytes(path.read_bytes()[:-9]), "cannot be read as a Parquet file"),
    ({"image": [None] * 11}, None, "row 0 of .*a.parquet has no image in it"),
    ({"image": [b"no image"] * 11}, None, "row 0 of .*a.parquet cannot be read as an image"),
]


@pytest.mark.parametrize(("columns", "do", "line"), DAMAGED)
def test_damaged_files_are_one_line(tmp_path, columns, do, line):
    write(tmp_path / "a.parquet", **columns)
    if do:
        do(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=line) as error:
        load(str(tmp_path / "a.parquet"))
    assert "\n" not in str(error.value)


def test_damaged_images_are_left_out_wherever_they_are(tmp_path, monkeypatch, capsys):
    images = [b"no image", *[png(image) for image in IMAGES[1:10]], None]
    write(tmp_path / "a.parquet", image=images)
    assert run_here(monkeypatch, main, "pack", tmp_path / "a.parquet", "--out", tmp_path / "x", "--skip-damaged") == 0
    assert capsys.readouterr().out.count("Left out: row ") == 2
    assert_is_data(load(str(tmp_path / "x")), slice(1, 10))


def test_sixteen_bits_are_scaled(tmp_path):
    file = io.BytesIO()
    Image.fromarray(np.full((8, 10), 25828, np.uint16)).save(file, "PNG")
    write(tmp_path / "a.parquet", image=[file.getvalue()] * 11)
    assert (load(str(tmp_path / "a.parquet")).arrays["image"] == round(255 * 25828 / 65535)).all()


def test_a_file_without_images_names_its_columns(tmp_path):
    pq.write_table(pa.table({"x": [1], "y": [2]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="has the columns x, y; expected images in one of image, img"):
        load(str(tmp_path / "a.parquet"))


def test_a_folder_that_datasets_saved_is_a_data_set(tmp_path):
    datasets = pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed")
    features = datasets.Features(
        {"img": datasets.Image(), "label": datasets.ClassLabel(names=NAMES), "caption": datasets.Value("string")}
    )
    columns = {"img": [{"bytes": png(image), "path": None} for image in IMAGES], "label": LABELS, "caption": CAPTIONS}
    saved = datasets.Dataset.from_dict(columns, features=features)
    saved.save_to_disk(str(tmp_path / "one"))
    assert_is_data(load(str(tmp_path / "one")))
    datasets.DatasetDict({"train": saved, "test": saved.select(range(4))}).save_to_disk(str(tmp_path / "splits"))
    assert_is_data(load(str(tmp_path / "splits"), split="test"), slice(4))
    with pytest.raises(InputError, match="has no validation split; it has train, test"):
        load(str(tmp_path / "splits"), split="validation")


def test_a_name_on_the_hub_is_for_packing_and_needs_the_network(tmp_path, monkeypatch, capsys):
    with pytest.raises(InputError, match="--data hub:a/b: pack it first"):
        load("hub:a/b")
    assert run_here(monkeypatch, main, "pack", "hub:a/b", "--out", tmp_path / "x", "--offline") == 2
    assert "hub:a/b is on the network: leave out --offline" in capsys.readouterr().err
