"""Cut the visible part out of an article's image, in the shape of previews on social networks."""

import hashlib
from typing import NamedTuple

from PIL import Image

from skymailing.blog.images import ENCODING, MAX_SIDE
from skymailing.errors import UserError
from skymailing.web.images import decode, write_picture
from skymailing.web.picture_files import Picture, article_directory, lock_directory, parse_name

WIDTH, HEIGHT = 1200, 630  # pixels
MAX_ZOOM = 400  # percent


class Crop(NamedTuple):
    """The visible part, in percent: where it lies between the image's edges, and how much it is enlarged."""

    x: int = 50
    y: int = 50
    zoom: int = 100


def find_box(width: int, height: int, crop: Crop) -> tuple[int, int, int, int]:
    """Return the left, upper, right and lower edge of the visible part of an image, in pixels."""
    scale = min(width / WIDTH, height / HEIGHT) * 100 / crop.zoom
    shown_width = min(width, max(1, round(WIDTH * scale)))
    shown_height = min(height, max(1, round(HEIGHT * scale)))
    left = round((width - shown_width) * crop.x / 100)
    upper = round((height - shown_height) * crop.y / 100)
    return left, upper, left + shown_width, upper + shown_height


def store_cover(image_name: str, crop: Crop) -> str:
    """Store the visible part of a stored image and smaller copies, and return its file name.

    Raises UserError, also if the image's file is missing.
    """
    try:
        content = (article_directory() / image_name).read_bytes()
    except OSError as error:
        raise UserError("picture_unreadable") from error
    original = parse_name(image_name)
    assert original is not None
    with decode(content, MAX_SIDE) as image:
        part = image.crop(find_box(image.width, image.height, crop))
        if part.width > WIDTH:
            part = part.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        key = hashlib.sha256(ENCODING + repr((image_name, *crop)).encode()).hexdigest()[:32]
        cover = Picture(key, part.width, part.height, original.kind)
        with lock_directory(article_directory()) as directory:
            for copy in cover.sizes():
                write_picture(part, copy, directory)
    return cover.name
