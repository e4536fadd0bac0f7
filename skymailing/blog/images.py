"""Store article images in several sizes, named by a hash of their content."""

import hashlib
from pathlib import Path
from typing import IO

from flask import current_app

from skymailing.web.images import decode, read_upload, write_picture
from skymailing.web.picture_files import Picture, lock_directory

SHOWN_WIDTH = 672  # pixels: the width of an article
MAX_SIDE = 1600  # pixels on the longer side
ENCODING = b"1"  # part of every hash; change it if images are encoded differently


def article_directory() -> Path:
    """Return the directory of article images."""
    return Path(current_app.config["DATA_DIR"]) / "media"


def store_image(file: IO[bytes]) -> str:
    """Store an uploaded image and smaller copies, and return its file name; raises UserError."""
    content = read_upload(file)
    with decode(content, MAX_SIDE) as image:
        kind = "webp" if image.mode == "RGBA" else "jpg"
        key = hashlib.sha256(ENCODING + content).hexdigest()[:32]
        picture = Picture(key, image.width, image.height, kind)
        with lock_directory(article_directory()) as directory:
            for copy in picture.sizes():
                write_picture(image, copy, directory)
    return picture.name
