"""Read the files in the body of a letter, and describe those of letters and messages."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from skymailing.api.problems import InvalidField
from skymailing.errors import UserError
from skymailing.letters.files import Attachment
from skymailing.messages import files
from skymailing.models import LetterFile, Message, MessageFile


def read_attachments(message: Message | None, given: Sequence[dict[str, Any]]) -> list[Attachment]:
    """Return the files of a letter: its message's, and those in the body; raises InvalidField."""
    attached = [Attachment.of_message(file) for file in files.list_files(message)]
    attached += [read_attachment(values, number) for number, values in enumerate(given)]
    try:
        files.check_total([file.size for file in attached])
    except UserError as error:
        raise InvalidField("/attachments", error) from error
    return attached


def read_attachment(values: dict[str, Any], number: int) -> Attachment:
    try:
        content = base64.b64decode("".join(values["content"].split()), validate=True)
    except binascii.Error as error:
        raise InvalidField(f"/attachments/{number}/content", UserError("file_not_base64")) from error
    try:
        return Attachment.of_program(files.check_file(values["name"], content))
    except UserError as error:
        raise InvalidField(f"/attachments/{number}", error) from error


def describe_file(file: MessageFile | LetterFile) -> dict[str, Any]:
    """Return a file for the schema."""
    return {
        "name": file.name,
        "content_type": file.content_type,
        "size": file.file.size,
        "sha256": file.file.digest,
    }
