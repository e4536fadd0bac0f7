"""Write and read backup files: tar archives with a manifest, the database and the uploaded images."""

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
from skymailing.web.picture_files import article_directory, letter_directory, parse_name

FORMAT = 1
MANIFEST, DATABASE = "manifest.json", "database"
# Folders in the archive, mapped to the directories that they are copied from: article and message images.
IMAGES = {"media/": article_directory, "letter-pictures/": letter_directory}
PART = ".part"  # suffix of an incomplete file


@dataclass(frozen=True)
class Manifest:
    """The description of a backup, which contains no changes after `made_at`."""

    format: int
    made_at: datetime
    database: str
    revision: str

    def to_json(self) -> bytes:
        return json.dumps(asdict(self) | {"made_at": self.made_at.isoformat()}, indent=2).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Manifest":
        """Parse a manifest; raises BackupError."""
        try:
            values = json.loads(text)
            made_at = datetime.fromisoformat(values["made_at"])
            manifest = cls(values["format"], made_at, values["database"], values["revision"])
        except (ValueError, KeyError, TypeError) as error:
            raise BackupError("This is not a SkyMailing backup.") from error
        if manifest.format != FORMAT:
            raise BackupError("This backup was made by another version of SkyMailing; use that version.")
        return manifest


def write(path: Path, manifest: Manifest) -> None:
    """Write a backup that only its owner can read. The file is renamed once it is complete."""
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
            for folder, get_directory in IMAGES.items():
                for image in sorted(get_directory().glob("*")):
                    if parse_name(image.name):
                        tar.add(image, folder + image.name)


@contextmanager
def open_backup(path: Path) -> Iterator[tuple[Manifest, tarfile.TarFile]]:
    """Open a backup; raises BackupError if the file is not one."""
    try:
        with tarfile.open(path, "r:") as tar:
            yield Manifest.from_json(_read(tar, MANIFEST)), tar
    except tarfile.TarError as error:
        raise BackupError(f"This is not a SkyMailing backup, or it is damaged: {error}") from error
    except FileNotFoundError as error:
        raise BackupError(f"There is no file {error.filename}.") from error


def restore_database(tar: tarfile.TarFile, scratch: Path) -> None:
    """Load the backup into the empty database; raises BackupError."""
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=scratch) as directory:
        path = Path(directory) / DATABASE
        _copy(tar, DATABASE, path)
        databases.load(path)


def restore_images(tar: tarfile.TarFile) -> int:
    """Write the images to their directories; return their number."""
    count = 0
    for entry in tar.getnames():
        folder, slash, name = entry.partition("/")
        get_directory = IMAGES.get(folder + slash)
        if get_directory and parse_name(name):  # otherwise an entry could be written anywhere
            get_directory().mkdir(mode=0o700, parents=True, exist_ok=True)
            _copy(tar, entry, get_directory() / name)
            count += 1
    return count


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    try:
        member = tar.extractfile(name)
    except KeyError as error:
        raise BackupError(f"This is not a SkyMailing backup: {name} is missing.") from error
    if member is None:
        raise BackupError(f"This is not a SkyMailing backup: {name} is not a file.")
    with member:
        return member.read()


def _copy(tar: tarfile.TarFile, name: str, path: Path) -> None:
    try:
        member = tar.extractfile(name)
    except KeyError as error:
        raise BackupError(f"This backup is damaged: {name} is missing.") from error
    assert member is not None
    with member, path.open("wb") as file:
        while block := member.read(1 << 20):
            file.write(block)
