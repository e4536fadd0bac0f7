"""Build the headers and boundaries around the bodies of a letter."""

from dataclasses import dataclass

from skymailing.delivery.rendering import mime


@dataclass(frozen=True, slots=True)
class Frame:
    """The bytes before, between and after the bodies, each of which begins with its transfer encoding."""

    before_text: bytes
    between: bytes  # empty without an HTML body
    after: bytes


def make_frame(boundary: bytes, files_boundary: bytes, *, has_html: bool) -> Frame:
    """Return the frame of a letter; with a `files_boundary`, attachments follow it."""
    start = b""
    if files_boundary:
        start = (
            b'Content-Type: multipart/mixed;\r\n boundary="' + files_boundary + b'"\r\n\r\n'
            b"--" + files_boundary + b"\r\n"
        )
    if not has_html:
        return Frame(start + mime.format_part_headers("plain"), b"", b"\r\n")
    start += (
        b'Content-Type: multipart/alternative;\r\n boundary="' + boundary + b'"\r\n\r\n'
        b"--" + boundary + b"\r\n"
    )
    between = b"\r\n--" + boundary + b"\r\n" + mime.format_part_headers("html")
    return Frame(start + mime.format_part_headers("plain"), between, b"\r\n--" + boundary + b"--\r\n")
