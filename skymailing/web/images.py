"""Uploaded pictures: decoded and encoded anew, so that nothing of an upload is left but the picture."""

import fcntl
import io
import os
import re
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from flask_babel import gettext as _
from PIL import ExifTags, Image

from skymailing.errors import SkyMailingError

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 40_000_000  # more than a good camera takes; decoded these are 160 MB
MIN_SIDE = 16  # pixels; less than that is a counting pixel or a mistake
FORMATS = ("JPEG", "PNG", "WEBP")
WIDTHS = (400, 800, 1200)  # pixels; smaller copies for phones and cards
QUALITY = 82
TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
# What EXIF's orientation asks for.
TURNS: dict[Any, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
NEW = ".new-"  # begins the name of a file that is being written
NAME = re.compile(r"(?P<key>[0-9a-f]{32})-(?P<width>\d{1,4})x(?P<height>\d{1,4})\.(?P<kind>jpg|png|webp)")

# One picture at a time in a process, which bounds the memory that uploads can take together.
_decoding = threading.Lock()


class ImageError(SkyMailingError):
    """An uploaded file is not a picture that we take; the message says what would be one."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored picture as its file name describes it: `<hash>-<width>x<height>.<kind>`."""

    key: str
    width: int
    height: int
    kind: str

    @property
    def name(self) -> str:
        return f"{self.key}-{self.width}x{self.height}.{self.kind}"

    @property
    def type(self) -> str:
        return TYPES[self.kind]

    def sizes(self) -> list["Picture"]:
        """Return the copies of this picture that pages choose from, the smallest first, itself last."""
        smaller = [width for width in WIDTHS if width < self.width]
        copies = [
            Picture(self.key, width, max(1, round(self.height * width / self.width)), self.kind)
            for width in smaller
        ]
        return [*copies, self]


def parse_name(name: str) -> Picture | None:
    """Return the picture with this file name; None for a name that is not ours."""
    found = NAME.fullmatch(name)
    if found is None or not int(found["width"]) or not int(found["height"]):
        return None
    return Picture(found["key"], int(found["width"]), int(found["height"]), found["kind"])


def read_upload(file: IO[bytes]) -> bytes:
    """Return the content of an uploaded file; raises ImageError when it is too large."""
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ImageError(_("This picture is larger than %(size)s MB.", size=MAX_BYTES // 1024 // 1024))
    return content


@contextmanager
def decode(content: bytes, largest: int) -> Iterator[Image.Image]:
    """Yield an uploaded picture, at most `largest` pixels a side, no other being decoded; raises ImageError.

    Type and size are read from the content, never from a name. Nothing but the pixels is left: no
    metadata, no place, no second file behind the first.
    """
    with _decoding:
        yield _decode(content, largest)


@contextmanager
def hold(directory: Path) -> Iterator[Path]:
    """Let no other process write or drop pictures in `directory` meanwhile; makes it when it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # given back when the file is closed, however that comes
        yield directory


def _decode(content: bytes, largest: int) -> Image.Image:
    """Return the pixels, upright, in RGB or, where see-through, RGBA."""
    wrong = ImageError(_("This is not a picture that can be read. Choose a JPEG, PNG or WebP file."))
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            # Known from the file's head, before any pixel is unpacked.
            if opened.width * opened.height > MAX_PIXELS:
                raise _too_many_pixels()
            if min(opened.size) < MIN_SIDE:
                raise ImageError(_("This picture is too small to be seen."))
            opened.draft("RGB", (largest, largest))  # a JPEG is decoded near the size that is needed
            opened.load()
            upright = _turn(opened)
            if upright.mode.startswith("I"):  # 16 bits of grey, which `convert` would cut off at 255
                upright = upright.point(lambda grey: grey * (1 / 257)).convert("L")
            image = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        MemoryError,
        struct.error,
    ) as error:
        # What Pillow's decoders raise on files that are damaged or only look like pictures.
        raise wrong from error
    image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    if min(image.size) < 1:
        raise wrong
    image.info.clear()  # or comments and profiles would be written again
    return image


def _turn(image: Image.Image) -> Image.Image:
    """Return the picture as its camera was held; the note about it may stand among nonsense."""
    turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    return image if turn is None else image.transpose(turn)


def _too_many_pixels() -> ImageError:
    return ImageError(
        _("This picture has more than %(count)s million pixels.", count=MAX_PIXELS // 1_000_000)
    )


def write(image: Image.Image, picture: Picture, directory: Path) -> int:
    """Write a picture's file, in the size that its name says; return its bytes."""
    path = directory / picture.name
    size = (picture.width, picture.height)
    sized = image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=NEW)
    try:
        with os.fdopen(handle, "wb") as output:
            if picture.kind == "jpg":
                sized.save(output, "JPEG", quality=QUALITY, optimize=True, progressive=True)
            elif picture.kind == "png":
                sized.save(output, "PNG", optimize=True)
            else:
                sized.save(output, "WEBP", quality=QUALITY, method=4)
            size_on_disk = output.tell()
        Path(temporary).replace(path)  # whoever asks for the file sees all of it or nothing
    except BaseException:
        # Whatever ended it, also Ctrl-C: no half a picture stays behind.
        Path(temporary).unlink(missing_ok=True)
        raise
    return size_on_disk
