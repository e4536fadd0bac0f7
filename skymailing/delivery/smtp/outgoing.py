"""Prepare commands and bodies for writing: dots are doubled, and shared parts are not copied as a whole."""

PIECE = 262_144  # bytes of a shared part that a session copies at a time


class Queued:
    """Bytes to write after `outgoing`: a part that many letters share, and the commands that follow it."""

    __slots__ = ("pieces",)

    def __init__(self) -> None:
        self.pieces: list[memoryview] = []  # empty for letters without a shared part

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    def add(self, data: bytes) -> None:
        """Append bytes without copying them."""
        self.pieces.append(memoryview(data))

    def write_body(self, outgoing: bytearray, content: bytes, tail: bytes) -> None:
        """Append a letter with its final dot; its tail is not copied yet."""
        if not tail:
            outgoing += stuff_dots(content)
            return
        outgoing += double_dots(content)
        self.add(tail)
        self.add(b".\r\n")

    def refill(self, outgoing: bytearray) -> None:
        """Move bytes to `outgoing` until it has enough for the next write."""
        while self.pieces and len(outgoing) < PIECE:
            first = self.pieces[0]
            outgoing += first[:PIECE]
            if len(first) > PIECE:
                self.pieces[0] = first[PIECE:]
            else:
                del self.pieces[0]


def stuff_dots(content: bytes) -> bytes:
    """Return the content with dots doubled and the final dot added (RFC 5321, 4.5.2)."""
    content = double_dots(content)
    return content + (b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n")


def double_dots(content: bytes) -> bytes:
    """Return the content with dots at the beginning of lines doubled."""
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..")


def make_mail_from(sender: str, is_international: bool) -> bytes:
    """Return the command that begins a letter from `sender`; SMTPUTF8 is for international recipients."""
    parameter = b" SMTPUTF8" if is_international else b""
    return b"MAIL FROM:<%s>%s\r\n" % (sender.encode("ascii"), parameter)
