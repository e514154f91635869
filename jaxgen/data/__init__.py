"""Data: from a name or a path to examples in memory or on disk, and from (seed, step) to the examples of a batch."""

from jaxgen.data.arrays import read_features
from jaxgen.data.captions import (
    CIFAR10,
    DIGITS,
    Wordings,
    caption_labels,
    hold_out,
    tokenized,
    with_text,
)
from jaxgen.data.clips import load_clips
from jaxgen.data.crops import crops_of_picture
from jaxgen.data.dataset import Dataset, StreamedDataset, make_clips, make_dataset, shrink, subset, with_field
from jaxgen.data.moving_mnist import MovingDigits, draw_clips, moving_mnist
from jaxgen.data.random_access import RandomAccess, as_dataset
from jaxgen.data.recolour import recoloured
from jaxgen.data.sampling import batch_indices
from jaxgen.data.sources import load
from jaxgen.data.stream import stream_batches
from jaxgen.data.text_encoder import Sentences, load_sentences
from jaxgen.data.tokenizer import Tokenizer, train_tokenizer

__all__ = [
    "CIFAR10",
    "DIGITS",
    "Dataset",
    "MovingDigits",
    "RandomAccess",
    "Sentences",
    "StreamedDataset",
    "Tokenizer",
    "Wordings",
    "as_dataset",
    "batch_indices",
    "caption_labels",
    "crops_of_picture",
    "draw_clips",
    "hold_out",
    "load",
    "load_clips",
    "load_sentences",
    "make_clips",
    "make_dataset",
    "moving_mnist",
    "read_features",
    "recoloured",
    "shrink",
    "stream_batches",
    "subset",
    "tokenized",
    "train_tokenizer",
    "with_field",
    "with_text",
]
