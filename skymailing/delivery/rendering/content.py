"""Convert a message's content into the templates of a letter's subject, text and HTML.

Markdown and HTML are converted once, before any values are filled in: a client's data is never parsed as
Markdown, and the work is not repeated for each letter. Liquid tags are masked during the conversion.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from markdown_it import MarkdownIt

from skymailing.delivery.rendering.css_inlining import inline_styles
from skymailing.delivery.rendering.footer import Footer, add_html_footer, add_text_footer, decide_footer
from skymailing.delivery.rendering.languages import guess_language
from skymailing.delivery.rendering.liquid import Parsed, parse, render
from skymailing.delivery.rendering.liquid_tags import N_, TemplateError
from skymailing.delivery.rendering.markdown_page import lay_out
from skymailing.delivery.rendering.message_content import Content
from skymailing.delivery.rendering.page_head import fit_page
from skymailing.delivery.rendering.plaintext import html_to_text
from skymailing.delivery.rendering.preheader import remove_preheader
from skymailing.delivery.rendering.tag_masking import MaskedSource
from skymailing.delivery.rendering.tag_repair import repair_tags
from skymailing.models import MessageFormat
from skymailing.web.urls import EXAMPLE_BROWSER_URL, EXAMPLE_UNSUBSCRIBE_URL, preferences_url

__all__ = ["MAX_BODY", "Content", "TemplateError", "check_content", "compile_content", "find_placeholders"]

MAX_BODY = 500_000  # characters
MAX_MARKDOWN = 100_000  # characters; converting some texts takes quadratic time
# Keep line breaks, as people who write emails expect. The author's HTML is trusted, unlike values.
MARKDOWN = MarkdownIt("commonmark", {"html": True, "breaks": True}).enable(["table", "strikethrough"])

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Compiled:
    """The parsed templates of a letter; `html` is None for a plain-text message."""

    subject: Parsed
    text: Parsed
    text_footer: Footer
    html: Parsed | None = None
    html_footer: Footer = Footer.NEVER


PageEdit = Callable[[str], str]


def keep_page(page: str) -> str:
    return page


def clean(text: str) -> str:
    """Convert line endings to LF and remove control characters other than tabs."""
    return CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def prepare(text: str) -> str:
    """Return the text that is rendered: without control characters, and with tags as Liquid expects them."""
    return repair_tags(clean(text))


def check_length(body: str, format: MessageFormat) -> None:
    """Raise TemplateError if a body is too long to be saved, shown or converted."""
    _check_length(body, MAX_MARKDOWN if format is MessageFormat.MARKDOWN else MAX_BODY)


def _check_length(body: str, limit: int) -> None:
    if len(body) > limit:
        raise TemplateError(N_("The message is longer than %(limit)s characters"), limit=str(limit))


def compile_content(content: Content, edit_page: PageEdit = keep_page) -> Compiled:
    """Parse and convert the content; raises TemplateError.

    `edit_page` changes the source of the HTML part, which is complete except for the footer.
    """
    body = prepare(content.sent_body)
    _check_length(body, MAX_BODY)  # not MAX_MARKDOWN: earlier versions allowed longer Markdown bodies
    subject = parse(prepare(content.subject), escape=False)
    language = content.language or guess_language(body)
    if not content.has_footer:
        return Compiled(subject, *compile_without_footer(content, body, language, edit_page))
    if content.format is MessageFormat.HTML:
        page = edit_page(inline_styles(fit_page(body, content.language)))
        html = parse(page, escape=True)
        when = decide_footer(page, html, is_html=True)
        if when is not Footer.NEVER:
            html = parse(add_html_footer(page, when, language), escape=True)
        return Compiled(subject, *derive_text(body, language), html, when)
    masked = MaskedSource(remove_preheader(body))
    text, text_footer = add_footer_to_text(restore_text(masked.text, masked), language)
    if content.format is MessageFormat.TEXT:
        return Compiled(subject, text, text_footer)
    return Compiled(subject, text, text_footer, *compile_markdown(body, language, edit_page))


def compile_without_footer(
    content: Content, body: str, language: str, edit_page: PageEdit
) -> tuple[Parsed, Footer, Parsed | None]:
    """Return the templates of the text and the HTML part, neither of which gets a footer."""
    if content.format is MessageFormat.HTML:
        page = edit_page(inline_styles(fit_page(body, content.language)))
        return convert_to_text(body), Footer.NEVER, parse(page, escape=True)
    masked = MaskedSource(remove_preheader(body))
    text = parse(restore_text(masked.text, masked), escape=False)
    if content.format is MessageFormat.TEXT:
        return text, Footer.NEVER, None
    page = edit_page(lay_out(convert_markdown(body), language))
    return text, Footer.NEVER, parse(page, escape=True)


def compile_markdown(body: str, language: str, edit_page: PageEdit) -> tuple[Parsed, Footer]:
    """Return the HTML template of a Markdown body, and when its footer is shown."""
    converted = convert_markdown(body)
    page = edit_page(lay_out(converted, language))
    html = parse(page, escape=True)
    when = decide_footer(page, html, is_html=True)
    if when is not Footer.NEVER:
        page = lay_out(add_html_footer(converted, when, language), language)
        html = parse(edit_page(page), escape=True)
    return html, when


def add_footer_to_text(source: str, language: str) -> tuple[Parsed, Footer]:
    """Return the text part with its footer, and when the footer is shown."""
    text = parse(source, escape=False)
    when = decide_footer(source, text, is_html=False)
    if when is not Footer.NEVER:
        text = parse(add_text_footer(source, when, language), escape=False)
    return text, when


def trim_statements(text: str, masked: MaskedSource) -> str:
    """Remove the line breaks of lines that contain only statements, so that they leave no empty lines."""
    # If there are blank lines on both sides, remove one of them, too.
    alone = rf"(?m)(?P<blank>^\n|\A)?^[ ]{{0,9}}(?P<tags>{masked.statements})\n(?P<next>\n?)"

    def trim(line: re.Match[str]) -> str:
        if line["blank"] is None:
            return line["tags"] + line["next"]
        return line["blank"] + line["tags"]

    return re.sub(alone, trim, text)


def restore_text(text: str, masked: MaskedSource) -> str:
    """Return the Liquid source of a text part."""
    return masked.unmask_converted(trim_statements(text, masked), '{{ "{" }}')


def convert_markdown(body: str) -> str:
    """Convert a Markdown template to HTML."""
    masked = MaskedSource(body)
    statements, item = masked.statements, r"[ ]{0,3}(?:[-*+>#|]|\d+[.)])"

    def write_autolink(match: re.Match[str]) -> str:
        # The value is not known yet: only the name indicates whether <{{ ... }}> is a link.
        word = match.group(1)
        return f"[{word}]({word})" if "url" in masked.find_tag(word).text else f"&lt;{word}&gt;"

    source = re.sub(rf"<({masked.output})>", write_autolink, masked.text)
    # A loop around list items: move its tags out of the first and the last item.
    source = re.sub(rf"(?m)^[ ]{{0,9}}({statements})\n(?={item})", r"\n\1\n\n", source)
    source = re.sub(rf"(?m)^({item}.*\n)[ ]{{0,9}}({statements})$", r"\1\n\2\n", source)
    html = MARKDOWN.render(source)
    # A line that contains only statements does not appear in the letter.
    html = re.sub(rf"(?m)^((?:<p>)?{statements})<br />\n", r"\1", html)
    html = re.sub(rf"<p>({statements}(?:\n|<br />|{statements})*)</p>", r"\1", html)
    return masked.unmask_converted(html, "&#123;")


def derive_text(html: str, language: str) -> tuple[Parsed, Footer]:
    """Derive the text part from an HTML template, with its footer."""
    return add_footer_to_text(convert_to_text(html).source, language)


def convert_to_text(html: str) -> Parsed:
    """Derive the text part from an HTML template."""
    masked = MaskedSource(remove_preheader(html))
    text = html_to_text(masked.text)
    try:
        return parse(restore_text(text, masked), escape=False)
    except TemplateError:
        # One tag of a pair was in an attribute, which is not part of the text: keep only the values.
        text = re.sub(masked.statements, "", text)
        return parse(restore_text(text, masked), escape=False)


def find_placeholders(content: Content) -> list[tuple[str, ...]]:
    """Return the paths of all values that the content uses; raises TemplateError."""
    parsed = (parse(prepare(source), escape=False) for source in content.texts)
    return sorted(set().union(*(template.variables for template in parsed)))


# Letters are rendered without querying each client's tags.
TAGS = ("client", "tags")
# Links to the recipient's own pages, which a published letter omits.
EXAMPLE_LINKS = {
    "unsubscribe_url": EXAMPLE_UNSUBSCRIBE_URL,
    "preferences_url": preferences_url(EXAMPLE_UNSUBSCRIBE_URL),
    "browser_url": EXAMPLE_BROWSER_URL,
}
LINK_NAMES = tuple(EXAMPLE_LINKS)
EXAMPLE_VALUES = {
    "name": "Ann",
    "email": "ann@example.com",
    "client": {"name": "Ann", "full_name": "Ann", "email": "ann@example.com"},
    **EXAMPLE_LINKS,
    "sender_name": "Ann",
}


def check_preheader(content: Content) -> None:
    """Raise TemplateError, without a line, if the preheader cannot be rendered."""
    source = prepare(content.preheader)
    try:
        render(parse(source, escape=False), EXAMPLE_VALUES, source)
    except TemplateError as error:
        error.in_preheader, error.line = True, None
        raise


def check_content(content: Content) -> None:
    """Raise TemplateError, with the line in the body as typed, if the content cannot be rendered."""
    subject, body = prepare(content.subject), prepare(content.body)
    check_length(body, content.format)
    try:
        render(parse(subject, escape=False), EXAMPLE_VALUES, subject)
    except TemplateError as error:
        raise TemplateError(
            error.message, error.line, tag=error.tag, in_subject=True, **error.params
        ) from error
    check_preheader(content)
    render(parse(body, escape=False), EXAMPLE_VALUES, body)
    if TAGS in find_placeholders(content):
        raise TemplateError(
            N_("Tags cannot be used in emails. Use a custom field with another name instead of client.tags")
        )
    compiled = compile_content(content)
    for part in (compiled.text, compiled.html):
        if part is not None:
            render(part, EXAMPLE_VALUES)
