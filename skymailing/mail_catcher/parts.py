"""Read the text of letters."""

from email.message import EmailMessage


def read_part(message: EmailMessage, subtype: str) -> str | None:
    """Return the text of the plain or HTML part; None if the letter has no such part."""
    part = message.get_body((subtype,))
    if part is None:
        return None
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    try:
        return content.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:  # an unknown charset
        return content.decode("ascii", "replace")
