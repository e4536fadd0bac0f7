"""Pictures in letters: stored under URLs that cannot be guessed, for as long as they are in use."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import IO

from PIL import Image

from skymailing.extensions import db
from skymailing.models import MessagePicture
from skymailing.quotas.checks import require_room_for_pictures
from skymailing.web.images import decode, read_upload, write_picture
from skymailing.web.picture_files import Picture, letter_directory, lock_directory

MAX_SIDE = 1_200  # pixels: twice the width of a letter, for high-resolution screens
SHOWN_WIDTH = 520  # pixels: the width of a letter's text


@dataclass(frozen=True, slots=True)
class WrittenPicture:
    """A picture whose file has been written, but which has no row yet."""

    name: str
    size: int  # bytes


def write_file(file: IO[bytes]) -> WrittenPicture:
    """Decode an uploaded picture and write its file; raises UserError. May take seconds.

    If no row is added for it, `delete_orphans` deletes the file later.
    """
    content = read_upload(file)
    with decode(content, MAX_SIDE) as decoded:
        # Some mail programs cannot show WebP; all can show PNG.
        image = decoded.convert("RGB") if is_opaque(decoded) else decoded
        kind = "jpg" if image.mode == "RGB" else "png"
        picture = Picture(secrets.token_hex(16), image.width, image.height, kind)
        with lock_directory(letter_directory()) as directory:
            return WrittenPicture(picture.name, write_picture(image, picture, directory))


def add_picture(owner_id: int, written: WrittenPicture, now: datetime) -> MessagePicture:
    """Add the row of a written picture; raises LimitReached."""
    require_room_for_pictures(owner_id)
    row = MessagePicture(
        owner_id=owner_id,
        name=written.name,
        size=written.size,
        uploaded_at=now,
        seen_at=now,
        looked_at=now,
    )
    db.session.add(row)
    db.session.flush()
    return row


def is_opaque(image: Image.Image) -> bool:
    return image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255)
