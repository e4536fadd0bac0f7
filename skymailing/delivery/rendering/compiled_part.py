"""Compile a template so that its constant text is encoded only once, and its values for each letter."""

from collections.abc import Callable, Mapping

from liquid.ast import Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import OutputNode
from liquid.exceptions import LiquidError
from markupsafe import escape

from skymailing.delivery.rendering.content import LINK_NAMES, clean
from skymailing.delivery.rendering.footer import HIDDEN_URL, Footer, is_shown
from skymailing.delivery.rendering.liquid import MAX_OUTPUT, Context, Parsed
from skymailing.delivery.rendering.liquid_errors import explain
from skymailing.delivery.rendering.liquid_tags import N_, TemplateError
from skymailing.delivery.rendering.tracked_links import LINK_TOKEN, TRACKING_IMAGE_URL
from skymailing.delivery.rendering.values import DEFAULT_FORMATS, ValueFormats

Values = Mapping[str, object]
# Links to this site with signed tokens, and the token itself: nothing in them has to be escaped.
LINKS = frozenset({*LINK_NAMES, LINK_TOKEN, TRACKING_IMAGE_URL})
# Values that are always text or None: a placeholder with only such a name does not need Liquid.
TEXTS = LINKS | {"name", "email", "sender_name"}


def encode(text: str) -> bytes:
    """Encode text for a letter: UTF-8 with CRLF line endings and without control characters."""
    if not text.isprintable():
        text = clean(text).replace("\n", "\r\n")
    return text.encode("utf-8", "replace")


def find_path(node: Node, parsed: Parsed) -> tuple[str, ...] | None:
    """Return the path of the value that an output node prints unchanged; None if Liquid must render it."""
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


class CompiledPart:
    """The compiled template of a subject or body."""

    def __init__(self, parsed: Parsed, *, escape: bool, formats: ValueFormats = DEFAULT_FORMATS) -> None:
        self.parsed = parsed
        self.formats = formats
        self.pieces: list[bytes] = []
        # Values that are inserted without Liquid, by name: the index of each piece that contains the value,
        # and the constant texts around the value. A separate piece for each link would slow down letters with
        # many tracked links.
        self.texts: dict[str, list[tuple[int, list[bytes]]]] = {}
        self.attributes: list[tuple[int, str]] = []
        # (index in pieces, node): nodes that Liquid renders, in order and in one context.
        self.nodes: list[tuple[int, Node]] = []
        self.encode: Callable[[str], bytes] = encode_html if escape else encode
        last = ""  # the name of the value in the last piece
        for node in parsed.template.nodes:
            last = self._add(node, last)
        for groups in self.texts.values():
            for place, constants in groups:
                self.pieces[place] = b"".join(constants)
        self.fillings = [
            (name, str.encode if name in LINKS else self.encode, groups)
            for name, groups in self.texts.items()
        ]

    def _add(self, node: Node, last: str) -> str:
        """Add a node; return the name of the value in the last piece, to which later nodes can be added."""
        if type(node) is ContentNode:
            constant = encode(node.text)
            if last:
                self.texts[last][-1][1][-1] += constant
            else:
                self.pieces.append(constant)
            return last
        path = find_path(node, self.parsed)
        if path is not None and len(path) == 1:
            return self._add_text(path[0], last)
        if path is not None:
            self.attributes.append((len(self.pieces), path[1]))
        else:
            self.nodes.append((len(self.pieces), node))
        self.pieces.append(b"")
        return ""

    def _add_text(self, name: str, last: str) -> str:
        if name == last:
            self.texts[name][-1][1].append(b"")
        else:
            self.texts.setdefault(name, []).append((len(self.pieces), [b"", b""]))
            self.pieces.append(b"")
        return name

    def fill(self, values: Values) -> bytes:
        """Render the part with `values`; raises TemplateError."""
        pieces = self.pieces.copy()
        for name, encode_text, groups in self.fillings:
            text: str | None = values.get(name)  # type: ignore[assignment]
            if text:
                encoded = encode_text(text)
                for place, constants in groups:
                    pieces[place] = encoded.join(constants)
        if self.attributes:
            attributes: Mapping[str, object] = values["client"]  # type: ignore[assignment]
            for place, name in self.attributes:
                value = attributes.get(name)
                if value is not None:
                    pieces[place] = self.encode(str(value))
        if self.nodes:
            self._fill_nodes(pieces, values)
        result = b"".join(pieces)
        if len(result) > 2 * MAX_OUTPUT:
            raise TemplateError(N_("The message is too long once filled in"))
        return result

    def _fill_nodes(self, pieces: list[bytes], values: Values) -> None:
        template = self.parsed.template
        context = Context(template, values, self.parsed.tag_count, self.formats)
        total = 0
        for place, node in self.nodes:
            buffer = template._get_buffer()
            try:
                node.render(context, buffer)
            except LiquidError as error:
                raise explain(error, self.parsed.source, is_typed=False) from error
            except Exception as error:  # unusual values may break a filter in any way; only this letter fails
                raise TemplateError(N_("The placeholders cannot be filled in")) from error
            piece = pieces[place] = encode(buffer.getvalue())
            total += len(piece)
            if total > 2 * MAX_OUTPUT:
                raise TemplateError(N_("The message is too long once filled in"))


def encode_html(text: str) -> bytes:
    """Encode text with HTML special characters escaped, including quotes, for use in attributes."""
    return encode(str(escape(text)))


def make_part(parsed: Parsed, footer: Footer, formats: ValueFormats, *, is_html: bool) -> CompiledPart:
    kind = CheckedPart if footer is Footer.IF_HIDDEN else CompiledPart
    return kind(parsed, escape=is_html, formats=formats)


class CheckedPart(CompiledPart):
    """A body whose unsubscribe link may be hidden: the footer is added to a letter that shows no link."""

    def __init__(self, parsed: Parsed, *, escape: bool, formats: ValueFormats) -> None:
        super().__init__(parsed, escape=escape, formats=formats)
        self.is_html = escape

    def fill(self, values: Mapping[str, object]) -> bytes:
        """Render the part with `values`; raises TemplateError."""
        body = super().fill(values)
        url = values["unsubscribe_url"]
        if is_shown(body.decode("utf-8"), str(url), is_html=self.is_html):
            return body
        return super().fill({**values, HIDDEN_URL: url})
