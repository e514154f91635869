"""Batches of a data set that stays on disk, read ahead by Grain.

The only state is the number of the step: batch n is the examples `indices(n)`, whichever thread reads them and wherever
reading began.
"""

from collections.abc import Callable, Generator
from threading import Event, Lock

import numpy as np

from jaxgen.data.dataset import StreamedDataset
from jaxgen.io.errors import InputError, package

THREADS, PREFETCH = 8, 16
"""Reading threads, some of which wait for the disk, and batches that are read ahead, two for each thread."""


def stream_batches(
    dataset: StreamedDataset,
    indices: Callable[[int], np.ndarray],
    *,
    start: int,
    stop: int,
    rows: slice = slice(None),
    threads: int = THREADS,
    prefetch: int = PREFETCH,
) -> Generator[dict[str, np.ndarray]]:
    """Yields the batches of the steps from `start` to before `stop`: the examples `indices(step)[rows]`, in that order.

    A batch is {"image": uint8 [b, H, W, C], "label": int32 [b]}, or whatever the data set's `fields` are.  `rows` are
    the rows of this process, if there are several.  At most `prefetch` batches are read ahead, by `threads` threads,
    each a batch at a time.  Closing the iterator stops the threads; a program that ends without closing it waits until
    they have read these batches.

    Raises:
      InputError: an example is damaged; it is raised in the thread that asks for the batch.
    """
    grain = package("grain", "reads data sets that are streamed from disk")

    one_at_a_time, closed = Lock(), Event()

    def read_batch(step: int) -> dict[str, np.ndarray] | InputError:
        with one_at_a_time:  # at the start of an epoch one thread permutes it, the others find that done
            chosen = indices(step)[rows]
        batch = {name: np.empty((len(chosen), *shape), dtype) for name, (shape, dtype) in dataset.fields.items()}
        try:
            for row, index in enumerate(chosen.tolist()):
                if closed.is_set():
                    break
                for name, value in dataset.read(index).items():
                    batch[name][row] = value
        except InputError as error:  # as a value: Grain would add notes of its own, and keep its threads
            return error
        return batch

    options = grain.ReadOptions(num_threads=min(threads, prefetch), prefetch_buffer_size=prefetch)
    try:
        for batch in grain.MapDataset.range(start, stop).map(read_batch).to_iter_dataset(options):
            if isinstance(batch, InputError):
                raise batch
            yield batch
    finally:
        closed.set()
