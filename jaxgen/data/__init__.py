"""Data: from a name or a path to examples in memory or on disk, and from (seed, step) to the examples of a batch."""

from jaxgen.data.archive import read_features
from jaxgen.data.dataset import Dataset, StreamedDataset, make_dataset
from jaxgen.data.sampling import batch_indices
from jaxgen.data.sources import load
from jaxgen.data.stream import stream_batches

__all__ = ["Dataset", "StreamedDataset", "batch_indices", "load", "make_dataset", "read_features", "stream_batches"]
