"""Pictures that the page sends.  They are kept in memory, and only the last ones: nothing is written."""

import hashlib
import io
import threading
from dataclasses import replace
from pathlib import PurePath

import numpy as np

from jaxgen.data.image_file import decode
from jaxgen.data.image_options import AS_STORED, ImageOptions
from jaxgen.explore.views import View
from jaxgen.io.errors import InputError

MOST_BYTES, MOST_PICTURES = 20_000_000, 16
"""Of a picture's file, and the number that are kept."""

FIELDS = ("picture", "mask", "style")
"""The fields of a view that name pictures."""


class Uploads:
    """The last pictures that were sent, by the digest of their bytes."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, bytes]] = {}
        self._lock = threading.Lock()

    def keep(self, content: bytes, name: str) -> str:
        """Keeps the bytes of an image file, and returns the name that views call it by.

        Raises:
          InputError: it is no image that can be read.
        """
        shown = PurePath(name.replace("\\", "/")).name[:100] or "picture.png"
        decode(io.BytesIO(content), shown, AS_STORED)
        digest = hashlib.sha256(content).hexdigest()[:16]
        with self._lock:
            others = [(kept, file) for kept, file in self._kept.items() if kept != digest]
            self._kept = dict([*others, (digest, (shown, content))][-MOST_PICTURES:])
        return digest

    def read(self, picture: str, options: ImageOptions) -> np.ndarray:
        """A picture that is kept, uint8 [H, W, C].

        Raises:
          InputError: it is not kept, or it cannot be read as the options say.
        """
        kept = self._kept.get(picture)
        if kept is None:
            raise InputError("The picture is no longer here: choose it again.")
        name, content = kept
        return decode(io.BytesIO(content), name, options)

    def named(self, view: View) -> View:
        """The view with the names that the pictures' files have where they came from."""
        chosen = {field: kept[0] for field in FIELDS if (kept := self._kept.get(getattr(view, field)))}
        return replace(view, **chosen)
