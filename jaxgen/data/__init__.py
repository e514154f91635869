"""Data: from a name or a path to arrays, and from (seed, step) to the examples of a batch."""

from jaxgen.data.dataset import Dataset, make_dataset
from jaxgen.data.sampling import batch_indices
from jaxgen.data.sources import load

__all__ = ["Dataset", "batch_indices", "load", "make_dataset"]
