"""Everything that a person owns, as one ZIP file that is made while it is downloaded.

Nothing of it is kept anywhere: web and workers may run on hosts that share no disk, and a file with
all of somebody's data is best not left lying about. A slow download holds no transaction open and
takes no more memory than a fast one.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import force_locale, get_locale
from flask_babel import gettext as _

from skymailing.auth import export_queries
from skymailing.clients.exports import export_rows
from skymailing.extensions import db
from skymailing.mailings.log_queries import LogFilter, export_attempts, format_time
from skymailing.models import User
from skymailing.web.csv import stream_csv

Pieces = Iterable[str]


class Pipe(io.RawIOBase):
    """Where the ZIP is written to and taken from; it cannot go back, like any download."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


@dataclass(frozen=True)
class File:
    """One file of the archive: its name, what it holds, and its text."""

    name: str
    about: str
    pieces: Callable[[], Pieces]


def export_account(user: User, now: datetime) -> Iterator[bytes]:
    """Yield the archive piece by piece; ends the transaction that the caller is in."""
    user_id, email, locale = user.id, user.email, user.locale or str(get_locale() or "en")
    profile = export_queries.profile_of(user)
    db.session.rollback()
    with force_locale(locale):
        files = list_files(user_id, profile)
        readme = "\n".join(_readme(email, now, files))
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in [File("readme.txt", "", lambda: [readme]), *files]:
            info = zipfile.ZipInfo(file.name, now.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            # What may grow past four gigabytes has to say so beforehand.
            with archive.open(info, "w", force_zip64=True) as entry:
                for piece in file.pieces():
                    entry.write(piece.encode())
                    if made := pipe.take():
                        yield made
    yield pipe.take()


def list_files(user_id: int, profile: dict[str, Any]) -> list[File]:
    """Return what the archive is made of."""

    def file(name: str, about: str, source: Callable[[int], Iterable[Any]]) -> File:
        write: Callable[[Iterable[Any]], Pieces] = stream_csv if name.endswith(".csv") else json_list
        return File(name, about, lambda: write(source(user_id)))

    def attempts(owner_id: int) -> Iterable[Any]:
        return export_attempts(LogFilter(owner_id=owner_id))

    return [
        File("profile.json", _("your account"), lambda: [json_text(profile)]),
        file("clients.csv", _("your address book"), export_rows),
        file(
            "never-mailed.csv",
            _("addresses that you do not write to any more, and why"),
            export_queries.suppressions,
        ),
        file("messages.json", _("your messages"), export_queries.messages),
        file("mailings.json", _("your mailings"), export_queries.mailings),
        file(
            "mailing-clients.csv", _("clients that were chosen by hand for a mailing"), export_queries.members
        ),
        file("runs.json", _("each run with its numbers and its text"), export_queries.runs),
        file("letters.csv", _("each letter of each run and what became of it"), export_queries.letters),
        file("log.csv", _("each attempt with the mail server's answer"), attempts),
        file("imports.csv", _("your imports of clients"), export_queries.imports),
        file("articles.json", _("your articles in the blog"), export_queries.articles),
        file("account-letters.csv", _("letters of the service to you"), export_queries.account_letters),
        file("audit.csv", _("what was written down of you and your account"), export_queries.audit_lines),
    ]


def _readme(email: str, now: datetime, files: list[File]) -> Iterator[str]:
    yield _("Everything that SkyMailing holds of %(email)s", email=email)
    yield _("Taken on %(time)s. All times are in UTC.", time=format_time(now))
    yield ""
    width = max(len(file.name) for file in files)
    for file in files:
        yield f"{file.name:{width}}  {file.about}"
    yield ""
    yield _("Tables are CSV in UTF-8. A cell that a spreadsheet would take for a formula begins with '.")
    yield _("What was removed after its time, such as the log of old runs, is not in here.")
    yield _("Neither are your password, which nobody can read, nor other secrets of your account.")
    yield ""


def json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=export_queries.plain)


def json_list(values: Iterable[dict[str, Any]]) -> Iterator[str]:
    separator = "["
    for value in values:
        yield separator + "\n" + json_text(value)
        separator = ","
    yield "[]\n" if separator == "[" else "\n]\n"
