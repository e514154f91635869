"""Data sets from Python."""

import numpy as np
import pytest
from PIL import Image

from jaxgen import InputError
from jaxgen.data import Dataset, StreamedDataset, as_dataset, make_dataset

NUM, SPEC = 9, (4, 5, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (NUM, *SPEC), dtype=np.uint8)
LABELS = np.arange(NUM) % 3
FEATURES = np.random.default_rng(1).normal(size=(NUM, 2))
BYTES = NUM * 4 * 5 * 3


def examples(num=NUM):
    """A list of examples, with a field that is of no use."""
    return [
        {"image": image, "label": label, "features": row, "text": f"number {label}", "id": label}
        for image, label, row in zip(IMAGES[:num], LABELS.tolist(), FEATURES.tolist(), strict=False)
    ]


def test_a_list_of_examples_is_the_data_set_of_its_arrays():
    dataset = as_dataset(examples(), most_bytes=BYTES)
    expected = make_dataset(IMAGES, LABELS, features=FEATURES, source="arrays", split="all")
    assert isinstance(dataset, Dataset)
    assert (dataset.digest, dataset.fields) == (expected.digest, expected.fields)
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(dataset.arrays[name], array)
    assert dataset.captions == tuple(f"number {label}" for label in LABELS)
    assert dataset.source == "9 examples of a list"


def test_an_image_may_be_pillows_or_grey():
    as_arrays = as_dataset([{"image": image} for image in IMAGES])
    as_pictures = as_dataset([{"image": Image.fromarray(image)} for image in IMAGES])
    assert as_arrays.digest == as_pictures.digest
    assert as_dataset([{"image": image[..., 0]} for image in IMAGES]).spec == (4, 5, 1)


def test_what_would_take_more_than_is_allowed_is_streamed():
    memory, streamed = as_dataset(examples()), as_dataset(examples(), most_bytes=BYTES - 1)
    assert isinstance(streamed, StreamedDataset)
    assert (streamed.size, streamed.spec, streamed.fields) == (memory.size, memory.spec, memory.fields)
    for index in (8, 0, 3):
        for name, value in streamed.read(index).items():
            np.testing.assert_array_equal(value, memory.arrays[name][index])


def test_the_digest_of_a_streamed_source_is_of_its_size_and_its_examples():
    def digest(source):
        return as_dataset(source, most_bytes=1).digest

    changed = examples()
    changed[4] = changed[4] | {"label": 7}
    assert digest(examples()) == digest(tuple(examples()))
    assert len({digest(examples()), digest(examples(8)), digest(changed)}) == 3


def test_a_data_set_is_itself():
    dataset = as_dataset(examples())
    assert as_dataset(dataset, most_bytes=1) is dataset
    streamed = as_dataset(examples(), most_bytes=1)
    assert as_dataset(streamed) is streamed


GOOD = {"image": IMAGES[0], "label": 1}


@pytest.mark.parametrize("most_bytes", [None, 1])
@pytest.mark.parametrize(
    ("source", "message"),
    [
        (iter([GOOD]), "data is a list_iterator; expected a Dataset"),
        ([], "data has no examples"),
        ([IMAGES[0]], "Example 0 of data is a ndarray; expected a mapping with an 'image'"),
        ([{"label": 1}], "Example 0 of data is a dict; expected a mapping with an 'image'"),
        (
            [GOOD, {"image": IMAGES[0] / 255, "label": 1}],
            r"Example 1 of data: the image is float64\[4, 5, 3\]",
        ),
        ([{"image": IMAGES[0][..., :2]}], r"Example 0 of data: the image is uint8\[4, 5, 2\]; expected"),
        ([GOOD, {"image": IMAGES[0]}], r"Example 1 of data has image uint8\[4, 5, 3\]; others have .*label"),
        ([GOOD, {"image": IMAGES[0][1:], "label": 1}], r"Example 1 of data has image uint8\[3, 5, 3\]"),
        ([GOOD, GOOD | {"image": [[1], [2, 3]]}], "Example 1 of data: the field 'image' is not an array"),
        ([GOOD, GOOD | {"label": [1, 2]}], r"Example 1 of data: the labels are int64\[1, 2\]; expected whole numbers"),
        ([GOOD, GOOD | {"label": 1.5}], r"Example 1 of data: the labels are float64\[1\]; expected whole numbers"),
        ([GOOD | {"label": "cat"}], "Example 0 of data: the labels are <U3"),
        ([GOOD | {"label": 2**40}], "Example 0 of data: the label 1099511627776 is out of range"),
        ([GOOD | {"label": 2**70}], "Example 0 of data: the labels are object"),
        ([GOOD | {"features": ["a"]}], "Example 0 of data: the features are <U1"),
        ([GOOD | {"features": [[1.0], [2.0, 3.0]]}], "Example 0 of data: the field 'features' is not an array"),
        ([GOOD | {"features": [1.0, float("nan")]}], "Example 0 of data: a feature is not finite"),
        ([GOOD | {"text": ["a", "b"]}], "Example 0 of data: the text is a list; expected one caption"),
        ([GOOD | {"text": "a"}, GOOD], r"Example 1 of data has .*; others have .*, text\."),
        ([GOOD | {"text": "a"}, GOOD | {"text": None}], r"Example 1 of data has .*; others have .*, text\."),
        ([GOOD, GOOD | {"text": "a"}], r"Example 1 of data has .*, text; others have .*label int32\[\]\."),
    ],
)
def test_bad_examples_are_refused_in_one_line(source, message, most_bytes):
    with pytest.raises(InputError, match=message) as error:
        as_dataset(source, most_bytes=most_bytes)
    assert "\n" not in str(error.value)
