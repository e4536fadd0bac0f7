"""The bytes that a session still has to write."""


class Outgoing:
    """A queue of bytes: the session's own, then at most one shared buffer, then its own again.

    The shared buffer is the part that is equal in many letters, such as attachments: it is never copied.
    """

    __slots__ = ("_after", "_own", "_shared")

    def __init__(self) -> None:
        self._own = bytearray()
        self._shared = memoryview(b"")
        self._after = bytearray()

    def __len__(self) -> int:
        return len(self._own) + len(self._shared) + len(self._after)

    def __iadd__(self, data: bytes) -> "Outgoing":
        if self._shared:
            self._after += data
        else:
            self._own += data
        return self

    def add_body(self, content: bytes, tail: bytes) -> None:
        """Append a letter with its final dot; `tail` is not copied. Only while no other tail is queued."""
        if not tail:
            self._own += stuff_dots(content)
            return
        self._own += double_dots(content)
        self._shared = memoryview(tail)
        self._after += b".\r\n"

    def view(self) -> memoryview:
        """Return the next bytes, which may be fewer than all; the caller releases the view."""
        return memoryview(self._own or self._shared)

    def confirm(self, count: int) -> None:
        """Remove `count` bytes of the last view."""
        if self._own:
            del self._own[:count]
            return
        self._shared = self._shared[count:]
        if not self._shared:
            self._own, self._after = self._after, self._own


def stuff_dots(content: bytes) -> bytes:
    """Return the content with dots doubled and the final dot added (RFC 5321, 4.5.2)."""
    content = double_dots(content)
    return content + (b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n")


def double_dots(content: bytes) -> bytes:
    """Return the content with dots at the beginning of lines doubled."""
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..")
