"""Files as cameras, scanners, browsers and archivers leave them."""

import io
import struct
import tarfile
import zipfile
import zlib

from PIL import Image

from jaxgen.data import load


def read(path, **options):
    """A data set, and what reading it announced."""
    announced = []
    return load(str(path), announce=announced.append, **options), announced


def chunk(kind, content):
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(array, *, before=b"", after=b""):
    """A PNG of uint8 or uint16 [H, W, C], with chunks before and after the pixels."""
    height, width, channels = array.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8 * array.dtype.itemsize, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(array.dtype.newbyteorder(">")).tobytes() for row in array)
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + pixels + after + chunk(b"IEND", b"")


def tiff(array, *, order="<", compress=False, photometric=None, planes=1, alpha=2, sample=1, orientation=1):
    """A TIFF of [H, W, C] in one strip, or in one for each plane."""
    height, width, channels = array.shape
    parts = [array] if planes == 1 else [array[..., [channel]] for channel in range(channels)]
    strips = [part.astype(array.dtype.newbyteorder(order)).tobytes() for part in parts]
    strips = [zlib.compress(strip) for strip in strips] if compress else strips
    strips = [strip + b"\0" * (len(strip) % 2) for strip in strips]
    photometric = (2 if channels > 2 else 1) if photometric is None else photometric
    shorts = {256: [width], 257: [height], 258: [8 * array.dtype.itemsize] * channels, 259: [8 if compress else 1]}
    shorts |= {262: [photometric], 274: [orientation], 277: [channels], 278: [height], 284: [planes]}
    shorts |= {339: [sample] * channels} | ({338: [alpha]} if channels in (2, 4) else {})
    tags = {tag: ("H", 3, values) for tag, values in shorts.items()}
    tags[273] = "I", 4, [8 + sum(map(len, strips[:number])) for number in range(len(strips))]
    tags[279] = "I", 4, [len(strip) for strip in strips]
    start = 8 + sum(map(len, strips))
    entries, further = b"", b""
    for tag, (letter, kind, values) in sorted(tags.items()):
        content = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(content) > 4:
            place = start + 2 + 12 * len(tags) + 4 + len(further)
            further, content = further + content, struct.pack(f"{order}I", place)
        entries += struct.pack(f"{order}HHI", tag, kind, len(values)) + content.ljust(4, b"\0")
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + further
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", start)
    return head + b"".join(strips) + directory


def encoded(array, kind, *, orientation=None, **options):
    """An image file as Pillow writes it, perhaps with an EXIF orientation."""
    if orientation is not None:
        options["exif"] = exif(orientation)
    file = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(file, kind, **options)
    return file.getvalue()


def exif(orientation):
    """EXIF data with an orientation."""
    data = Image.Exif()
    data[274] = orientation
    return data.tobytes()


def write_tree(root, files):
    """Files by relative path under a folder."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def pack(path, files):
    """Files by name in an archive of the kind that the path names."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
