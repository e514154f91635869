"""Labels and captions in the conventions of StyleGAN, WebDataset and Hugging Face."""

import io
import json
import os
import tarfile
import zipfile

import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.data import load
from tests.prepared import png

IMAGES = {f"{n}.png": png(np.full((8, 8, 3), n, np.uint8)) for n in range(4)}


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def pack_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def pack_tar(path, files):
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member, whole = tarfile.TarInfo(name), content if isinstance(content, bytes) else content.encode()
            member.size = len(whole)
            archive.addfile(member, io.BytesIO(whole))
    return path


def read(path, announce=lambda _: None):
    return load(str(path), announce=announce)


def stylegan(labels):
    files = {f"0000{n % 2}/img{n}.png": IMAGES[f"{n}.png"] for n in range(4)}
    return {**files, "dataset.json": json.dumps({"labels": labels})}


PAIRS = [["00001/img3.png", 2], ["00000/img0.png", 0], ["00000/img2.png", 0], ["00001/img1.png", 4]]


@pytest.mark.parametrize("pack", [pack_zip, write])
def test_labels_of_stylegan_are_by_name_and_its_folders_are_no_classes(tmp_path, pack):
    data = read(pack(tmp_path / "a.zip", stylegan(PAIRS)))
    # Images are in the order of their paths: 0, 2, 1, 3.
    assert data.arrays["image"][:, 0, 0, 0].tolist() == [0, 2, 1, 3]
    assert data.arrays["label"].tolist() == [0, 0, 4, 2]
    assert (data.classes, data.class_names) == (5, ("0", "1", "2", "3", "4"))
    assert "label" not in read(pack(tmp_path / "b.zip", stylegan(None))).arrays


def webdataset(numbers, suffix=".cls"):
    return {f"{n}{end}": content for n in numbers for end, content in ((".png", IMAGES[f"{n}.png"]), (suffix, str(n)))}


def test_shards_of_webdataset_are_one_data_set(tmp_path):
    for shard, numbers in enumerate([(0, 1), (2, 3)]):
        captions = {f"{n}.txt": f" a picture of {n}\n" for n in numbers}
        (tmp_path / "shards").mkdir(exist_ok=True)
        pack_tar(tmp_path / "shards" / f"{shard:06}.tar", webdataset(numbers) | captions)
    data = read(tmp_path / "shards")
    assert data.arrays["label"].tolist() == [0, 1, 2, 3]
    assert data.captions == tuple(f"a picture of {n}" for n in range(4))
    np.testing.assert_array_equal(data.arrays["image"][:, 0, 0, 0], range(4))
    one = read(tmp_path / "shards" / "000000.tar")
    assert one.arrays["label"].tolist() == [0, 1]
    unlabelled = {name: content for name, content in webdataset((0, 1)).items() if name.endswith("png")}
    (tmp_path / "plain").mkdir()
    pack_tar(tmp_path / "plain" / "a.tar", unlabelled)
    assert "label" not in read(tmp_path / "plain").arrays  # the archive's name is no class


def test_texts_that_some_images_lack_are_left_out_and_said(tmp_path):
    said = []
    data = read(write(tmp_path, IMAGES | {"1.txt": "one", "LICENCE.txt": "free"}), said.append)
    assert data.captions == ()
    assert said == [f"1 of 4 images in {tmp_path} have a .txt, and it is left out"]


def test_annotations_of_one_archive_among_several_are_not_lost_in_silence(tmp_path):
    pack_zip(tmp_path / "a.zip", stylegan(PAIRS))
    pack_zip(tmp_path / "b.zip", IMAGES)
    with pytest.raises(InputError, match=r"holds several archives, and a\.zip has a dataset\.json"):
        read(tmp_path)


def test_a_suffix_may_be_in_upper_case(tmp_path):
    assert read(write(tmp_path, {**IMAGES, **{f"{n}.TXT": "a" for n in range(4)}})).captions == ("a",) * 4


def test_the_digest_of_streamed_images_is_of_their_labels_too(tmp_path):
    def digest(labels):
        write(tmp_path, IMAGES | {f"{n}.cls": str(label) for n, label in enumerate(labels)})
        return load(str(tmp_path), announce=lambda _: None, most_bytes=0).digest

    assert len({digest(labels) for labels in ([0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1])}) == 2


def test_a_named_pipe_is_no_text(tmp_path):
    write(tmp_path, IMAGES)
    os.mkfifo(tmp_path / "0.txt")
    with pytest.raises(InputError, match=r"0\.txt has a text's name but is no file: remove it"):
        read(tmp_path)


def test_an_archive_beside_pictures_is_not_read(tmp_path):
    pack_zip(write(tmp_path, IMAGES) / "more.zip", IMAGES)
    assert read(tmp_path).size == 4


DAMAGED = [
    ({"0.cls": "cat"}, r"The \.cls of 0\.png holds 'cat'; expected a whole number"),
    ({"0.cls": "-1"}, r"holds '-1'"),
    ({"0.cls": "99999"}, r"the labels go from 1 to 99,999; expected 0, 1, 2"),
    ({"0.txt": ""}, r"0\.txt is empty"),
    ({"0.txt": b"\xff\xfe\x00"}, r"0\.txt cannot be read as text"),
    ({"dataset.json": "{"}, r"dataset\.json is no JSON"),
    ({"dataset.json": '{"labels": [["0.png", "cat"]]}'}, r"dataset\.json: expected .*labels"),
    ({"dataset.json": '{"labels": [["0.png", true]]}'}, r"dataset\.json: expected .*labels"),
    ({"dataset.json": '{"labels": [["0.png", 1], ["0.png", 2]]}'}, r"dataset\.json has two labels for 0\.png"),
    ({"dataset.json": '{"name": "a set"}'}, r"dataset\.json: expected .*labels"),
    ({"dataset.json": '{"labels": [["0.png", 1]]}'}, r"no label for 1\.png \(3 images have none\)"),
]


@pytest.mark.parametrize(("files", "line"), DAMAGED)
def test_damaged_annotations_are_one_line(tmp_path, files, line):
    whole = {f"{n}{suffix}": f"{n}" for n in range(4) for suffix in (".cls", ".txt")}
    with pytest.raises(InputError, match=line):
        read(write(tmp_path, IMAGES | whole | files))
