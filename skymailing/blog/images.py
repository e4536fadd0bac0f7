"""Pictures of articles, kept in several sizes under a name that their content gives."""

import hashlib
from pathlib import Path
from typing import IO

from flask import current_app

from skymailing.web.images import Picture, decode, lock_directory, read_upload, write_picture

LARGEST = 1600  # pixels; the longer side of what is kept
RECIPE = b"1"  # part of every name: another way of encoding must give other names


def media_directory() -> Path:
    """Return where pictures of articles are kept."""
    return Path(current_app.config["DATA_DIR"]) / "media"


def store_image(file: IO[bytes]) -> str:
    """Keep an uploaded picture and its smaller copies; return its file name; raises UserError."""
    content = read_upload(file)
    with decode(content, LARGEST) as image:
        kind = "webp" if image.mode == "RGBA" else "jpg"
        key = hashlib.sha256(RECIPE + content).hexdigest()[:32]
        picture = Picture(key, image.width, image.height, kind)
        with lock_directory(media_directory()) as directory:
            for copy in picture.sizes():
                write_picture(image, copy, directory)
    return picture.name
