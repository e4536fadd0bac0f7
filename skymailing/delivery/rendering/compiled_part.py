"""Filling in values: what is constant in a template is encoded once, per letter only the rest."""

from collections.abc import Callable, Mapping

from liquid.ast import Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import OutputNode
from liquid.exceptions import LiquidError
from markupsafe import escape

from skymailing.delivery.rendering.content import clean
from skymailing.delivery.rendering.liquid import MAX_OUTPUT, Context, Parsed, explain
from skymailing.delivery.rendering.liquid_tags import N_, TemplateError

Values = Mapping[str, object]
# Values that are a text or None for every letter, so that a placeholder of the name alone needs no Liquid.
TEXTS = frozenset({"name", "email", "unsubscribe_url", "sender_name"})


def encode(text: str) -> bytes:
    """Return text as a part's bytes: UTF-8 with CRLF line ends and no control characters."""
    if not text.isprintable():
        text = clean(text).replace("\n", "\r\n")
    return text.encode("utf-8", "replace")


def find_path(node: Node, parsed: Parsed) -> tuple[str, ...] | None:
    """Return which value an output node prints as it is, None when Liquid has to say."""
    if type(node) is not OutputNode or type(node.expression) is not FilteredExpression:
        return None
    left = node.expression.left
    if node.expression.filters or type(left) is not Path or left.path[0] in parsed.locals:
        return None
    match left.path:
        case [str(name)] if name in TEXTS:
            return (name,)
        case ["client", str(name)] if name not in {"size", "first", "last"}:
            return ("client", name)
    return None


class Filler:
    """One part of a letter, compiled."""

    def __init__(self, parsed: Parsed, *, escape: bool) -> None:
        self.parsed = parsed
        self.pieces: list[bytes] = []
        # (place in pieces, path): values that are only looked up, encoded and put in.
        self.texts: list[tuple[int, str]] = []
        self.attributes: list[tuple[int, str]] = []
        # (place in pieces, node): what Liquid renders, in order and in one context.
        self.nodes: list[tuple[int, Node]] = []
        self.encode: Callable[[str], bytes] = encode_html if escape else encode
        for node in parsed.template.nodes:
            self.add(node)

    def add(self, node: Node) -> None:
        place = len(self.pieces)
        constant = encode(node.text) if type(node) is ContentNode else b""
        self.pieces.append(constant)
        path = find_path(node, self.parsed)
        if path is not None and len(path) == 1:
            self.texts.append((place, path[0]))
        elif path is not None:
            self.attributes.append((place, path[1]))
        elif type(node) is not ContentNode:
            self.nodes.append((place, node))

    def fill(self, values: Values) -> bytes:
        """Return the part with `values`; raises TemplateError."""
        pieces = self.pieces.copy()
        for place, name in self.texts:
            text: str | None = values[name]  # type: ignore[assignment]
            if text:
                pieces[place] = self.encode(text)
        if self.attributes:
            attributes: Mapping[str, object] = values["client"]  # type: ignore[assignment]
            for place, name in self.attributes:
                value = attributes.get(name)
                if value is not None:
                    pieces[place] = self.encode(str(value))
        if self.nodes:
            self.fill_nodes(pieces, values)
        result = b"".join(pieces)
        if len(result) > 2 * MAX_OUTPUT:
            raise TemplateError(N_("The letter becomes too long"))
        return result

    def fill_nodes(self, pieces: list[bytes], values: Values) -> None:
        template = self.parsed.template
        context = Context(template, values, self.parsed.tag_count)
        total = 0
        for place, node in self.nodes:
            buffer = template._get_buffer()
            try:
                node.render(context, buffer)
            except LiquidError as error:
                raise explain(error, "") from error
            except Exception as error:  # whatever odd values do to a filter concerns one letter only
                raise TemplateError(N_("The template cannot be rendered")) from error
            piece = pieces[place] = encode(buffer.getvalue())
            total += len(piece)
            if total > 2 * MAX_OUTPUT:
                raise TemplateError(N_("The letter becomes too long"))


def encode_html(text: str) -> bytes:
    """Return text as bytes that are only text in HTML, also inside a quoted attribute."""
    return encode(str(escape(text)))
