"""Data sets as others leave them on a disk."""

import gzip
import io
import json
import struct
from importlib import import_module

import numpy as np
from PIL import Image

from jaxgen.data import mnist_files


def png(array):
    """The bytes of an image file."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def idx(array, *, compress=False):
    """The bytes of an array in the format of the original MNIST."""
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    return gzip.compress(content) if compress else content


def write_mnist(root, *, compress=False, **splits):
    """Images uint8 [N, H, W] as the original MNIST files, whose labels go round."""
    root.mkdir(parents=True, exist_ok=True)
    for split, images in splits.items():
        arrays = images, (np.arange(len(images)) % 10).astype(np.uint8)
        for name, array in zip(mnist_files.FILES[split], arrays, strict=True):
            (root / f"{name}{'.gz' * compress}").write_bytes(idx(array, compress=compress))


def write_prepared(root, **splits):
    """Images uint8 [N, H, W, C] as TFDS prepares cifar10: two shards a split of array_record, and JSON about them."""
    proto = import_module("tensorflow_datasets.proto").tf_example_pb2
    writer = import_module("array_record.python.array_record_module").ArrayRecordWriter
    version = root / "cifar10" / "3.0.2"
    version.mkdir(parents=True)
    told = []
    for name, images in splits.items():
        shards = np.split(np.arange(len(images)), [len(images) * 2 // 3])
        for shard, numbers in enumerate(shards):
            file = writer(str(version / f"cifar10-{name}.array_record-{shard:05}-of-00002"), "group_size:1")
            for number in numbers:
                example = proto.Example()
                example.features.feature["image"].bytes_list.value.append(png(images[number]))
                example.features.feature["label"].int64_list.value.append(number % 10)
                file.write(example.SerializeToString())
            file.close()
        told.append(
            {
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "name": name,
                "shardLengths": [str(len(numbers)) for numbers in shards],
            }
        )
    info = {"fileFormat": "array_record", "name": "cifar10", "splits": told, "version": "3.0.2"}
    kinds = "tensorflow_datasets.core.features"
    shape = {"dimensions": [str(size) for size in next(iter(splits.values())).shape[1:]]}
    features = {
        "image": {"image": {"dtype": "uint8", "shape": shape}, "pythonClassName": f"{kinds}.image_feature.Image"},
        "label": {
            "classLabel": {"numClasses": "10"},
            "pythonClassName": f"{kinds}.class_label_feature.ClassLabel",
        },
    }
    (version / "dataset_info.json").write_text(json.dumps(info))
    (version / "features.json").write_text(
        json.dumps({"featuresDict": {"features": features}, "pythonClassName": f"{kinds}.features_dict.FeaturesDict"})
    )


def write_binarized(root, num=24):
    """Images of 28x28 black or white, as the likelihood benchmark packs them: so many to train on, 8 of the others."""
    bits = np.random.default_rng(0).random((num + 16, 784)) < np.linspace(0, 1, 784)
    parts = {"train": bits[:num], "valid": bits[num : num + 8], "test": bits[num + 8 :]}
    np.savez(root / "binarized_mnist.npz", **{name: np.packbits(part, axis=1) for name, part in parts.items()})


def write_captioned(root, captions):
    """A picture of noise for each caption, and metadata.jsonl."""
    rng, lines = np.random.default_rng(0), []
    for number, caption in enumerate(captions):
        name = f"{number:03}.png"
        (root / name).write_bytes(png(rng.integers(0, 256, (32, 32, 3), np.uint8)))
        lines.append(json.dumps({"file_name": name, "text": caption}))
    (root / "metadata.jsonl").write_text("\n".join(lines))
