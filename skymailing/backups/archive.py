"""The file of a backup: a tar with the database, uploaded pictures, and a note of what it is."""

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from skymailing.backups import databases
from skymailing.backups.databases import BackupError
from skymailing.blog.images import media_directory
from skymailing.messages.pictures import picture_directory
from skymailing.web.images import parse_name

FORMAT = 1
MANIFEST, DATABASE = "manifest.json", "database"
# Where pictures are kept, by the folder of the archive: those of articles, and those of letters.
PICTURES = {"media/": media_directory, "letter-pictures/": picture_directory}
PART = ".part"  # ends the name of a file that is being written


@dataclass(frozen=True)
class Manifest:
    """What a backup is: what came into the database after `made_at` is not in it."""

    format: int
    made_at: datetime
    database: str
    revision: str

    def to_json(self) -> bytes:
        return json.dumps(asdict(self) | {"made_at": self.made_at.isoformat()}, indent=2).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Manifest":
        """Read one; raises BackupError."""
        try:
            given = json.loads(text)
            made_at = datetime.fromisoformat(given["made_at"])
            manifest = cls(given["format"], made_at, given["database"], given["revision"])
        except (ValueError, KeyError, TypeError) as error:
            raise BackupError("This is no backup of SkyMailing.") from error
        if manifest.format != FORMAT:
            raise BackupError("This backup was made by another version of SkyMailing; use that one.")
        return manifest


def write(path: Path, manifest: Manifest) -> None:
    """Make a backup that only its owner may read; there under its name once it is whole."""
    part = path.with_name(path.name + PART)
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            _fill(file, path.parent, manifest)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _fill(file: IO[bytes], scratch: Path, manifest: Manifest) -> None:
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=scratch) as directory:
        dumped = Path(directory) / DATABASE
        databases.dump(dumped)
        with tarfile.open(fileobj=file, mode="w") as tar:
            content = manifest.to_json()
            entry = tarfile.TarInfo(MANIFEST)
            entry.size, entry.mtime, entry.mode = len(content), int(manifest.made_at.timestamp()), 0o600
            tar.addfile(entry, io.BytesIO(content))
            tar.add(dumped, DATABASE)
            for folder, directory_of in PICTURES.items():
                for picture in sorted(directory_of().glob("*")):
                    if parse_name(picture.name):
                        tar.add(picture, folder + picture.name)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Manifest, tarfile.TarFile]]:
    """Open a backup; raises BackupError when it is none."""
    try:
        with tarfile.open(path, "r:") as tar:
            yield Manifest.from_json(_read(tar, MANIFEST)), tar
    except tarfile.TarError as error:
        raise BackupError(f"This is no backup of SkyMailing, or it is damaged: {error}") from error
    except FileNotFoundError as error:
        raise BackupError(f"There is no file {error.filename}.") from error


def bring_back_database(tar: tarfile.TarFile, scratch: Path) -> None:
    """Fill the empty database; raises BackupError."""
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=scratch) as directory:
        path = Path(directory) / DATABASE
        _copy(tar, DATABASE, path)
        databases.load(path)


def bring_back_pictures(tar: tarfile.TarFile) -> int:
    """Write pictures where they are kept; return how many there were."""
    count = 0
    for entry in tar.getnames():
        folder, slash, name = entry.partition("/")
        directory_of = PICTURES.get(folder + slash)
        if directory_of and parse_name(name):  # nothing leads out of the directory
            directory_of().mkdir(mode=0o700, parents=True, exist_ok=True)
            _copy(tar, entry, directory_of() / name)
            count += 1
    return count


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    try:
        member = tar.extractfile(name)
    except KeyError as error:
        raise BackupError(f"This is no backup of SkyMailing: it has no {name}.") from error
    if member is None:
        raise BackupError(f"This is no backup of SkyMailing: {name} is no file in it.")
    with member:
        return member.read()


def _copy(tar: tarfile.TarFile, name: str, path: Path) -> None:
    try:
        member = tar.extractfile(name)
    except KeyError as error:
        raise BackupError(f"This backup is damaged: it has no {name}.") from error
    assert member is not None
    with member, path.open("wb") as file:
        while block := member.read(1 << 20):
            file.write(block)
