"""The IDX format of the original MNIST files: big-endian sizes, then bytes; gzipped or not."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from jaxgen.io.errors import InputError

UINT8 = 0x08


def read_idx(path: Path) -> np.ndarray:
    """An array of bytes from an IDX file.

    Raises:
      InputError: the file is not readable, not IDX of unsigned bytes, or not whole.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}. If it was downloaded, delete it to retry.") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UINT8:
        raise InputError(f"{path} is no IDX file of unsigned bytes: it begins with {content[:4].hex() or 'nothing'}.")
    header = 4 + 4 * content[3]
    if len(content) < header:
        raise InputError(f"{path} is not whole: it ends in its header.")
    shape, values = np.frombuffer(content[4:header], ">u4"), np.frombuffer(content[header:], np.uint8)
    if values.size != np.prod(shape, dtype=np.int64):
        raise InputError(f"{path} is not whole: its header says {shape.tolist()} and {values.size} bytes follow.")
    return values.reshape(shape)
