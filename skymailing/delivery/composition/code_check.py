"""Check that the HTML of one block cannot change the letter around it."""

from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.rendering.html_pieces import IMPLIED_END_TAGS, PIECE, VOID, find_broken_tag
from skymailing.delivery.rendering.tag_masking import MaskedSource

# Elements of a whole page, and `plaintext`, which includes everything after it.
PAGE_ELEMENTS = frozenset("html head body title base frameset plaintext".split())
MAX_DEPTH = 50
MAX_NAME = 30  # characters of a tag's name in an error


def check_html(html: str, pointer: str) -> None:
    """Raise InvalidSource unless each element and comment that begins in the HTML also ends there."""
    source = MaskedSource(html).text
    opened: list[str] = []
    for piece in PIECE.finditer(source):
        if not piece["name"]:
            _check_raw(piece["raw"], piece[0], pointer)
            continue
        name = piece["name"].lower()
        if name in PAGE_ELEMENTS:
            raise InvalidSource("design_html_page", pointer, tag=name[:MAX_NAME])
        if piece["end"]:
            _close(opened, name, pointer)
        elif name not in VOID and not piece["attributes"].endswith("/"):
            opened.append(name)
            if len(opened) > MAX_DEPTH:
                raise InvalidSource("design_html_deep", pointer, limit=MAX_DEPTH)
    if broken := find_broken_tag(source):
        raise InvalidSource("design_html_unclosed", pointer, tag=broken["tag"][:MAX_NAME])
    for name in opened:
        if name not in IMPLIED_END_TAGS:
            raise InvalidSource("design_html_unclosed", pointer, tag=name[:MAX_NAME])


def _check_raw(name: str | None, piece: str, pointer: str) -> None:
    if name is None:
        # Browsers end a comment at "--!>", too.
        if len(piece) < 7 or not piece.endswith("-->") or "--!>" in piece:
            raise InvalidSource("design_html_comment", pointer)
    elif name.lower() in PAGE_ELEMENTS:
        raise InvalidSource("design_html_page", pointer, tag=name.lower())
    elif not piece.lower().endswith(f"</{name.lower()}"):
        raise InvalidSource("design_html_unclosed", pointer, tag=name.lower())


def _close(opened: list[str], name: str, pointer: str) -> None:
    if name in VOID:
        return
    while opened and opened[-1] != name and opened[-1] in IMPLIED_END_TAGS:
        opened.pop()
    if not opened or opened.pop() != name:
        raise InvalidSource("design_html_unopened", pointer, tag=name[:MAX_NAME])
