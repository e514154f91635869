"""Batches of a data set that stays on disk, read ahead by Grain.

The only state is the number of the step: batch n is the examples `indices(n)`, whichever thread reads them and wherever
reading began.
"""

from collections.abc import Callable, Generator
from threading import Event, Lock

import numpy as np

from jaxgen.data.dataset import StreamedDataset
from jaxgen.io.errors import InputError

THREADS, PREFETCH = 8, 16
"""Decoding is shared by the cores and waiting for a distant disk by more threads than those; two batches for each."""


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
    """The batches of the steps from `start` to before `stop`: the examples `indices(step)[rows]`, in that order.

    {"image": uint8 [b, H, W, C], "label": int32 [b]}, as the data set's `fields` say.  `rows` is the share of one
    process of several.  Beside the batch that is handed out, at most `prefetch` are in memory, read in `threads`
    threads, a batch in each.  Closing the iterator stops them; a program that ends without that reads these to the end.

    Raises:
      InputError: an example is damaged; it is raised in the thread that asks for the batch.
    """
    import grain

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
