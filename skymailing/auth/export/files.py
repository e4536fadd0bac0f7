"""Export all data of an account as one ZIP file, which is created while it is being downloaded.

The file is never stored: the web server and workers may run on hosts without a shared disk, and a file with
all of a person's data should not be left behind. A slow download keeps no transaction open and uses no more
memory than a fast one.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from flask import current_app
from flask_babel import force_locale
from sqlalchemy import select

from skymailing.auth.export import (
    access,
    account,
    attachments,
    clicks,
    letters,
    messages,
    notes,
    purchases,
    sequences,
    signups,
    topics,
    webhooks,
)
from skymailing.auth.export.rows import to_text
from skymailing.clients.exports import export_rows
from skymailing.extensions import db
from skymailing.mailings.log_queries import LogFilter, export_attempts, format_time
from skymailing.models import MergedAddress, User
from skymailing.returns.queries import ReturnFilter, export_returns
from skymailing.web.csv import stream_csv

README = "account/export-readme.txt"  # describes every file listed below

Pieces = Iterable[str | bytes]


class OutputBuffer(io.RawIOBase):
    """A file that cannot be rewound, like a download; `pop` returns and removes what has been written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def pop(self) -> bytes:
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content


@dataclass(frozen=True)
class ArchiveFile:
    """A file in the archive: its name, and a function that returns its content in pieces."""

    name: str
    pieces: Callable[[], Pieces]


MakeFile = Callable[[str, Callable[[int], Iterable[Any]]], ArchiveFile]


def export_account(user: User, now: datetime, locale: str) -> Iterator[bytes]:
    """Yield the archive piece by piece, with a readme in the given language.

    Rolls back the caller's transaction.
    """
    user_id, email = user.id, user.email
    profile = account.read_profile(user)
    db.session.rollback()
    readme = _render_readme(email, now, locale)
    buffer = OutputBuffer()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in [ArchiveFile("readme.txt", lambda: [readme]), *list_files(user_id, profile, locale)]:
            info = zipfile.ZipInfo(file.name, now.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            # A file that may exceed four gigabytes must be marked in advance.
            with archive.open(info, "w", force_zip64=True) as entry:
                for piece in file.pieces():
                    entry.write(piece.encode() if isinstance(piece, str) else piece)
                    if written := buffer.pop():
                        yield written
    yield buffer.pop()


def list_files(user_id: int, profile: dict[str, Any], locale: str) -> list[ArchiveFile]:
    """Return the files of the archive except the readme."""

    def make_file(name: str, read: Callable[[int], Iterable[Any]]) -> ArchiveFile:
        return ArchiveFile(name, lambda: _choose_writer(name)(read(user_id)))

    return [
        ArchiveFile("profile.json", lambda: [_json_text(profile)]),
        make_file("clients.csv", export_rows),
        make_file("notes.csv", notes.read_notes),
        make_file("not-the-same.csv", notes.read_distinct_clients),
        make_file("tags.csv", account.read_tags),
        make_file("never-mailed.csv", account.read_suppressions),
        make_file("topics.json", topics.read_topics),
        make_file("topic-choices.csv", topics.read_topic_choices),
        make_file("unsubscriptions.csv", topics.read_opt_outs),
        make_file("merged-addresses.csv", read_merged_addresses),
        make_file("consents.csv", account.read_consents),
        make_file("forms.json", signups.read_forms),
        make_file("sign-ups.csv", signups.read_signups),
        make_file("segments.json", account.read_segments),
        *(make_file(name, read) for name, read in messages.FILES),
        make_file("attachments.csv", attachments.read_uses),
        make_file("senders.json", account.read_senders),
        make_file("domains.json", account.read_domains),
        make_file("mail-servers.json", account.read_servers),
        make_file("mailings.json", account.read_mailings),
        make_file("mailing-clients.csv", account.read_selected_clients),
        make_file("runs.json", account.read_runs),
        *(make_file(name, read) for name, read in letters.FILES),
        *(make_file(name, read) for name, read in sequences.FILES),
        make_file("archive.json", account.read_archive),
        make_file("letters.csv", account.read_letters),
        make_file("links.csv", clicks.read_links),
        make_file("clicks.csv", clicks.read_clicks),
        make_file("purchases.csv", purchases.read_purchases),
        *list_logs(make_file, locale),
        *list_attachments(user_id),
    ]


def list_attachments(user_id: int) -> Iterator[ArchiveFile]:
    """Yield the files that the user has attached or linked to."""
    for digest in attachments.list_digests(user_id):
        content = partial(attachments.read_content, user_id, digest)
        yield ArchiveFile(attachments.FOLDER + digest, content)


def list_logs(make_file: MakeFile, locale: str) -> list[ArchiveFile]:
    """Return the files with logs and history; `make_file` takes a name and a function that reads the rows."""
    return [
        make_file("log.csv", lambda owner_id: export_attempts(LogFilter(owner_id=owner_id))),
        make_file("returned.csv", lambda owner_id: export_returns(ReturnFilter(owner_id))),
        make_file("imports.csv", lambda owner_id: account.read_imports(owner_id, locale)),
        make_file("bulk-actions.csv", account.read_bulk_jobs),
        make_file("webhooks.json", webhooks.read_endpoints),
        make_file("webhook-calls.csv", webhooks.read_calls),
        make_file("articles.json", account.read_articles),
        make_file("article-drafts.json", account.read_article_drafts),
        make_file("account-letters.csv", account.read_account_letters),
        make_file("api-keys.csv", access.read_api_keys),
        make_file("passkeys.csv", access.read_passkeys),
        make_file("sign-in-accounts.csv", access.read_identities),
        make_file("audit.csv", account.read_audit_entries),
    ]


def _choose_writer(name: str) -> Callable[[Iterable[Any]], Pieces]:
    return stream_csv if name.endswith(".csv") else _json_list


def read_merged_addresses(user_id: int) -> Iterator[Sequence[str]]:
    """Yield the addresses of clients who were merged into other clients: few, since merging is manual."""
    yield ("email", "kept_email", "since")
    columns = (MergedAddress.email_key, MergedAddress.kept_key, MergedAddress.created_at)
    rows = db.session.execute(select(*columns).where(MergedAddress.owner_id == user_id)).tuples().all()
    db.session.rollback()
    yield from ((email, kept_email, format_time(at)) for email, kept_email, at in rows)


def _render_readme(email: str, now: datetime, locale: str) -> str:
    with force_locale(locale):
        # Not render_template(): its context processors need a request, which a command does not have.
        return current_app.jinja_env.get_template(README).render(email=email, time=format_time(now)) + "\n"


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=to_text)


def _json_list(values: Iterable[dict[str, Any]]) -> Iterator[str]:
    separator = "["
    for value in values:
        yield separator + "\n" + _json_text(value)
        separator = ","
    yield "[]\n" if separator == "[" else "\n]\n"
