"""Compile an author's MJML to the HTML template of a letter."""

import re

from mjml import mjml2html

from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.composition.mjml_outline import read_outline
from skymailing.delivery.rendering.content import MAX_BODY, prepare
from skymailing.delivery.rendering.liquid import parse
from skymailing.delivery.rendering.liquid_tags import TemplateError, line_at
from skymailing.delivery.rendering.tag_masking import MaskedSource
from skymailing.web.urls import public_url

MAX_SIZE = 256 * 1024  # characters
# The icons that the compiler uses if a source names no others.
NETWORK_ICONS = frozenset(
    "dribbble facebook github google-plus instagram linkedin medium pinterest snapchat soundcloud tumblr "
    "twitter twitter-x vimeo web xing youtube".split()
)
ICONS = {"bIXv1bk": "unfold", "w4uTygT": "fold", "xTh3hln": "previous", "os7o9kz": "next"}
FOREIGN_ICON = re.compile(
    r"https://www\.mailjet\.com/images/theme/v1/icons/ico-social/"
    rf"(?P<network>{'|'.join(sorted(NETWORK_ICONS, reverse=True))})\.png"
    rf"|https://i\.imgur\.com/(?P<name>{'|'.join(ICONS)})\.png"
)
POSITION = re.compile(r"at position (\d+):\d+")


def compile_mjml(source: str, language: str) -> str:
    """Return the HTML of an MJML source; raises InvalidSource."""
    if len(source) > MAX_SIZE:
        raise InvalidSource("design_too_large", limit=MAX_SIZE // 1024)
    source = prepare(source)
    try:
        parse(source, escape=False)
        masked = MaskedSource(source)
    except TemplateError as error:
        raise InvalidSource("design_template", line=error.line, template=error) from error
    outline = read_outline(keep_lines(masked))
    # Without known fonts, the compiler adds no links to fonts.
    try:
        html = mjml2html(outline.source, fonts={})
    except ValueError as error:
        place = POSITION.search(str(error))
        line = line_at(outline.source, int(place[1])) if place else None
        raise InvalidSource("mjml_unreadable", line=line) from error
    if len(html) > 2 * MAX_BODY:  # the next steps copy it several times
        raise InvalidSource("design_letter_too_long", limit=MAX_BODY)
    html = html.replace(' lang="und"', f' lang="{language}"')
    return masked.unmask(outline.restore(serve_icons(html)))


def serve_icons(html: str) -> str:
    """Return the letter with our icons instead of the compiler's, which are on third-party servers."""

    def find_own(icon: re.Match[str]) -> str:
        name = icon["network"] or ICONS[icon["name"]]
        return public_url("messages.starter_picture", name=f"icon-{name}.png")

    return FOREIGN_ICON.sub(find_own, html)


def keep_lines(masked: MaskedSource) -> str:
    """Return the masked source, with as many line breaks as before, so that errors have the right line."""
    return re.sub(
        masked.mark + r"[os]\d+q",
        lambda word: word[0] + "\n" * masked.find_tag(word[0]).text.count("\n"),
        masked.text,
    )
