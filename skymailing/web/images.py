"""Decode uploaded pictures and encode them again, which keeps only their pixels."""

import io
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from PIL import ExifTags, Image

from skymailing.errors import UserError
from skymailing.web.host_turns import take_host_turn
from skymailing.web.picture_files import TEMPORARY_PREFIX, Picture

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 16_000_000  # decoding them takes about 300 MB of memory, including copies
# A JPEG that is not progressive, like those of cameras and phones, is decoded at a reduced size.
MAX_JPEG_PIXELS = 50_000_000
# A progressive JPEG usually has about ten scans; decoding one takes as long as decoding a whole picture.
MAX_SCANS = 30
START_OF_SCAN = b"\xff\xda"
DECODING_WAIT = 3  # seconds
MIN_SIDE = 16  # pixels; anything smaller is a tracking pixel or a mistake
FORMATS = ("JPEG", "PNG", "WEBP")
RESIZABLE_MODES = ("L", "RGB", "RGBA", "CMYK")  # Pillow resizes these smoothly without converting them first
QUALITY = 82
# EXIF orientations, and the transformations that turn the pictures upright.
TRANSPOSES: dict[Any, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PicturesBusy(UserError):
    """The host is decoding other pictures; the user can try again."""

    def __init__(self) -> None:
        super().__init__("picture_busy")


def read_upload(file: IO[bytes]) -> bytes:
    """Return the content of an uploaded file; raises UserError `picture_file_too_large`."""
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UserError("picture_file_too_large", size=MAX_BYTES // 1024 // 1024)
    return content


@contextmanager
def decode(content: bytes, max_side: int) -> Iterator[Image.Image]:
    """Yield an uploaded picture, reduced to at most `max_side` pixels in width and height.

    A host decodes one picture at a time, which limits its memory use. Type and size come from the content,
    never from the file name. Metadata, such as a location, and data after the picture are dropped.

    Raises UserError `picture_unreadable`, `picture_too_small` or `picture_too_many_pixels`; PicturesBusy if
    other pictures take too long.
    """
    with take_host_turn("decoding", DECODING_WAIT, PicturesBusy()):
        yield _decode(content, max_side)


def _decode(content: bytes, max_side: int) -> Image.Image:
    """Return the upright picture in RGB, or in RGBA if it has transparency."""
    unreadable = UserError("picture_unreadable")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            if opened.format == "JPEG" and content.count(START_OF_SCAN) > MAX_SCANS:
                raise unreadable
            _check_size(opened, max_side)
            opened.load()
            if opened.mode in RESIZABLE_MODES:  # early, so that the copies below are small
                opened.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
            upright = _turn_upright(opened)
            if upright.mode.startswith("I"):  # 16-bit grey, which `convert` would clip at 255
                upright = upright.point(lambda grey: grey * (1 / 257)).convert("L")
            image = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels(MAX_PIXELS) from error
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
        # Pillow's decoders raise these for damaged files and for files that only look like pictures.
        raise unreadable from error
    image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    if min(image.size) < 1:
        raise unreadable
    image.info.clear()  # otherwise Pillow would copy comments and profiles into the new file
    return image


def _check_size(opened: Image.Image, max_side: int) -> None:
    """Check the size in the header before decoding; let Pillow decode a JPEG at about the size `max_side`."""
    is_photo = opened.format == "JPEG" and not opened.info.get("progressive")
    allowed = MAX_JPEG_PIXELS if is_photo else MAX_PIXELS
    if opened.width * opened.height > allowed:
        raise _too_many_pixels(allowed)
    if min(opened.size) < MIN_SIDE:
        raise UserError("picture_too_small")
    opened.draft("RGB", (max_side, max_side))
    if opened.width * opened.height > MAX_PIXELS:  # too narrow to be decoded at a smaller size
        raise _too_many_pixels(MAX_PIXELS)


def _turn_upright(image: Image.Image) -> Image.Image:
    """Return the picture, turned upright according to its EXIF orientation."""
    transpose = TRANSPOSES.get(image.getexif().get(ExifTags.Base.Orientation))
    return image if transpose is None else image.transpose(transpose)


def _too_many_pixels(allowed: int) -> UserError:
    return UserError("picture_too_many_pixels", count=allowed // 1_000_000)


def write_picture(image: Image.Image, picture: Picture, directory: Path) -> int:
    """Write the image to the picture's file, in the picture's size; return the number of bytes."""
    path = directory / picture.name
    size = (picture.width, picture.height)
    sized = image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY_PREFIX)
    try:
        with os.fdopen(handle, "wb") as output:
            if picture.kind == "jpg":
                sized.save(output, "JPEG", quality=QUALITY, optimize=True, progressive=True)
            elif picture.kind == "png":
                sized.save(output, "PNG", optimize=True)
            else:
                sized.save(output, "WEBP", quality=QUALITY, method=4)
            size_on_disk = output.tell()
        Path(temporary).replace(path)  # readers never see a partial file
    except BaseException:  # even Ctrl-C must leave no partial file behind
        Path(temporary).unlink(missing_ok=True)
        raise
    return size_on_disk
