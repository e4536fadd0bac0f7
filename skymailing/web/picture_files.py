"""The directories and file names of stored pictures. Does not import Pillow, which is large."""

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import current_app

WIDTHS = (400, 800, 1200)  # pixels; smaller copies for phones and cards
TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
TEMPORARY_PREFIX = ".new-"  # of a file that is being written
NAME = re.compile(r"(?P<key>[0-9a-f]{32})-(?P<width>\d{1,4})x(?P<height>\d{1,4})\.(?P<kind>jpg|png|webp)")


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored picture; its file name is `<hash>-<width>x<height>.<kind>`."""

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
        """Return the copies of this picture in all sizes, the smallest first and the picture itself last."""
        smaller = [width for width in WIDTHS if width < self.width]
        copies = [
            Picture(self.key, width, max(1, round(self.height * width / self.width)), self.kind)
            for width in smaller
        ]
        return [*copies, self]


def parse_name(name: str) -> Picture | None:
    """Return the picture with this file name; None if it is not the name of a picture."""
    found = NAME.fullmatch(name)
    if found is None or not int(found["width"]) or not int(found["height"]):
        return None
    return Picture(found["key"], int(found["width"]), int(found["height"]), found["kind"])


def article_directory() -> Path:
    """Return the directory of article images."""
    return Path(current_app.config["DATA_DIR"]) / "media"


def letter_directory() -> Path:
    """Return the directory of pictures in letters."""
    return Path(current_app.config["DATA_DIR"]) / "letter-pictures"


@contextmanager
def lock_directory(directory: Path) -> Iterator[Path]:
    """Keep other processes from writing or deleting pictures in `directory`; create it if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed
        yield directory
