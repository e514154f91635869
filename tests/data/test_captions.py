import json

import numpy as np
import pytest
from PIL import Image

from jaxgen import InputError
from jaxgen.data import (
    CIFAR10,
    DIGITS,
    caption_labels,
    hold_out,
    load,
    make_dataset,
    subset,
    with_text,
)
from jaxgen.data.tokenizer import train_tokenizer


def write_folder(folder, captions, lines=None):
    """A folder of one-pixel images, as bright as their number, with captions."""
    for number, name in enumerate(captions):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / name)
    records = [json.dumps({"file_name": name, "text": text}) for name, text in captions.items() if text]
    (folder / "metadata.jsonl").write_text("\n".join(records + (lines or [])) + "\n")
    return str(folder)


def test_a_folder_has_the_captions_of_its_images(tmp_path):
    captions = {"b.png": "a bee", "sub/a.png": "an ant", "a.png": "an ape"}
    dataset = load(write_folder(tmp_path, captions))
    shades = dataset.arrays["image"][:, 0, 0, 0]
    assert [list(captions.values())[shade] for shade in shades] == list(dataset.captions)
    streamed = load(str(tmp_path), most_bytes=1)
    assert streamed.captions == dataset.captions
    write_folder(tmp_path, {**captions, "b.png": "a wasp"})
    assert load(str(tmp_path), most_bytes=1).digest != streamed.digest


@pytest.mark.parametrize(
    ("captions", "lines", "message"),
    [
        ({"a.png": ""}, [], "no caption for a.png"),
        ({"a.png": "ant"}, ['{"file_name": "b.png", "text": "bee"}'], "line 2: there is no image b.png"),
        ({"a.png": "ant"}, ['{"file_name": "../b.png", "text": "bee"}'], "line 2: ../b.png is outside"),
        ({"a.png": "ant"}, ['{"file_name": "/b.png", "text": "bee"}'], "line 2: /b.png is outside"),
        ({"a.png": "ant"}, ['{"file_name": "a.png", "text": "bee"}'], "line 2: a.png has a caption already"),
        ({"a.png": "ant"}, ['{"file_name": "a.png"}'], "line 2: expected a file_name and a text"),
        ({"a.png": "ant"}, ['{"file_name": "a.png", "text": " "}'], "line 2: expected a file_name and a text"),
        ({"a.png": "ant"}, ["[]"], "line 2: expected a file_name and a text"),
        ({"a.png": "ant"}, ["{"], "line 2 is no JSON"),
    ],
)
def test_captions_that_do_not_go_with_the_images_are_one_line(tmp_path, captions, lines, message):
    with pytest.raises(InputError, match=message) as error:
        load(write_folder(tmp_path / "inside", captions, lines))
    assert "\n" not in str(error.value)


def digits(labels):
    image = np.zeros((len(labels), 4, 4, 1), np.uint8)
    return make_dataset(image, np.asarray(labels), source="digits", split="train")


def test_captions_name_the_label_in_all_wordings():
    dataset = caption_labels(digits(np.arange(1_000) % 10), DIGITS)
    for caption, label in zip(dataset.captions, dataset.arrays["label"], strict=True):
        assert DIGITS.names[label] in caption.split()
    assert len(set(dataset.captions)) == len(DIGITS.names) * len(DIGITS.seen)
    assert dataset.captions == caption_labels(digits(np.arange(1_000) % 10), DIGITS).captions


@pytest.mark.parametrize("wordings", [DIGITS, CIFAR10])
def test_each_label_has_a_caption_in_each_wording(wordings):
    for unseen, templates in ((False, wordings.seen), (True, wordings.unseen)):
        captions = wordings.captions(np.arange(10 * len(templates)) % 10, unseen=unseen)
        assert captions[:2] == [templates[0].format(name) for name in wordings.names[:2]]
        assert set(captions) == {template.format(name) for template in templates for name in wordings.names}
        assert len(set(captions)) == len(captions)
    assert not set(wordings.seen) & set(wordings.unseen)


def test_labels_without_a_name_and_data_without_labels_have_no_captions():
    for label in (10, -1):
        with pytest.raises(InputError, match=f"The label {label} is not a class: expected 0 to 9"):
            caption_labels(digits([3, label]), DIGITS)
        with pytest.raises(InputError, match=f"The label {label} is not a class: expected 0 to 9"):
            DIGITS.captions([3, label])
    with pytest.raises(InputError, match="no unseen wordings for 'zero'"):
        DIGITS._replace(unseen=()).captions([3], unseen=True)
    with pytest.raises(InputError, match="no seen wordings"):
        caption_labels(digits([3]), DIGITS._replace(seen=()))
    bare = make_dataset(np.zeros((1, 4, 4, 1), np.uint8), None, source="bare", split="train")
    with pytest.raises(InputError, match="bare has no labels"):
        caption_labels(bare, DIGITS)
    with pytest.raises(InputError, match=r"bare has no captions: a folder needs a metadata.jsonl"):
        with_text(bare, train_tokenizer(["a"], length=2, size=8))


def test_text_is_the_tokens_of_the_captions_and_follows_a_subset():
    dataset = caption_labels(digits([1, 2, 3]), DIGITS._replace(seen=("a {}",)))
    tokenizer = train_tokenizer(dataset.captions, length=3, size=16)
    whole = with_text(dataset, tokenizer)
    assert tokenizer.decode(whole.arrays["text"]) == ["a one", "a two", "a three"]
    assert whole.digest != dataset.digest
    part = subset(whole, np.array([False, True, True]), split="part")
    assert part.captions == ("a two", "a three")
    assert part.tokenizer.decode(part.arrays["text"]) == list(part.captions)
    with pytest.raises(InputError, match="caption 'a one' has no word"):
        with_text(dataset, train_tokenizer(["two three"], length=3, size=16))


COLOURS, THINGS = ("red", "green", "blue", "black", "white"), ("heart", "book", "car", "apple", "square", "circle")
COMBINED = [f"{colour} {thing}" for colour in COLOURS for thing in THINGS]


def test_no_held_out_combination_of_words_is_in_training_and_all_its_words_are():
    # Twice, and once more in another order of the words and with another length.
    captions = [*COMBINED, *COMBINED, *(f"{thing}, {colour}" for colour in COLOURS for thing in THINGS), "a car"]
    text = train_tokenizer(captions, length=4, size=64).encode(captions)
    held_out = hold_out(text, share=0.2, seed=1)
    words = [frozenset(row) - {0} for row in text.tolist()]
    kept = [one for one, out in zip(words, held_out, strict=True) if not out]
    for one in {one for one, out in zip(words, held_out, strict=True) if out}:
        assert one not in kept
        assert all(sum(word in other for other in set(kept)) >= 3 for word in one)
    assert held_out.sum() == 3 * round(0.2 * len(COMBINED))
    np.testing.assert_array_equal(held_out, hold_out(text, share=0.2, seed=1))
    assert (held_out != hold_out(text, share=0.2, seed=2)).any()
