"""Make sure that every letter shows a way to unsubscribe: add a footer to a letter that does not."""

import re
from enum import Enum
from html import escape

from skymailing.delivery.rendering.liquid import Parsed
from skymailing.delivery.rendering.liquid_tags import NAME
from skymailing.delivery.rendering.tag_masking import MaskedSource
from skymailing.delivery.rendering.visibility import Masks, find_end, shows

LABELS = {"en": "Unsubscribe", "ru": "Отписаться"}
TEXT_FOOTER = "\n\n-- \n{label}: {{{{ unsubscribe_url }}}}\n"
HTML_FOOTER = (
    '<p style="margin-top:32px;font-size:13px;color:#72777e">'
    '<a href="{{{{ unsubscribe_url }}}}" style="color:#72777e">{label}</a></p>\n'
)
# The value with the link's URL when a letter is rendered a second time because it showed no link.
HIDDEN_URL = "hidden_unsubscribe_url"
PLAIN_LINK = re.compile(r"\{\{-?\s{0,49}unsubscribe_url\s{0,49}-?\}\}")
BLOCKS = frozenset("if unless case for capture ifchanged comment".split())


class Footer(Enum):
    """The cases in which a part needs the footer."""

    NEVER = "never"
    ALWAYS = "always"
    # For some clients a condition or a filter may hide the author's link: each letter is checked.
    IF_HIDDEN = "if hidden"


def decide_footer(source: str, parsed: Parsed, *, is_html: bool) -> Footer:
    """Return when a template needs the footer."""
    if "unsubscribe_url" in parsed.locals:  # the author has replaced it
        return Footer.IF_HIDDEN
    if all(path[0] != "unsubscribe_url" for path in parsed.variables):
        return Footer.ALWAYS
    masked = MaskedSource(source)
    certain = find_certain_links(masked)
    if not certain:
        return Footer.IF_HIDDEN
    needle = re.compile("|".join(certain))
    if not is_html:
        return Footer.NEVER
    masks = Masks(re.compile(masked.mark + r"s\d+q"), re.compile(masked.mark + r"[os]\d+q"))
    return Footer.NEVER if shows(masked.text, needle, masks) else Footer.IF_HIDDEN


def find_certain_links(masked: MaskedSource) -> list[str]:
    """Return the masking words of the links that are printed unchanged and outside all blocks."""
    depth, words = 0, []
    for number, tag in enumerate(masked.tags):
        name = NAME.match(tag.text)
        if name:
            depth += (name[1] in BLOCKS) - name[1].startswith("end")
        elif depth == 0 and PLAIN_LINK.fullmatch(tag.text):
            words.append(f"{masked.mark}o{number}q")
    return words


def wrap(footer: str, when: Footer) -> str:
    """Return the footer's template for a part."""
    if when is Footer.IF_HIDDEN:
        return f"{{% if {HIDDEN_URL} %}}{footer.replace('unsubscribe_url', HIDDEN_URL)}{{% endif %}}"
    return footer if when is Footer.ALWAYS else ""


def add_text_footer(source: str, when: Footer, language: str) -> str:
    """Return the source of a text part with its footer."""
    footer = wrap(TEXT_FOOTER.format(label=LABELS[language]), when)
    return source.rstrip("\n") + footer if footer else source


def add_html_footer(source: str, when: Footer, language: str) -> str:
    """Return an HTML source with the footer below everything else that a reader sees."""
    if when is Footer.NEVER:
        return source
    masked = MaskedSource(source)
    place, closing = find_end(masked.text)
    footer = wrap(closing + HTML_FOOTER.format(label=LABELS[language]), when)
    return masked.unmask(masked.text[:place]) + footer + masked.unmask(masked.text[place:])


def is_shown(rendered: str, url: str, *, is_html: bool) -> bool:
    """Return whether the reader of a rendered part sees the link."""
    if not is_html:
        return url in rendered
    return shows(rendered, re.compile(re.escape(escape(url)) + "|" + re.escape(url)))
