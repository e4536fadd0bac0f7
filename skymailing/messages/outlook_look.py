"""Show a letter roughly as classic Outlook for Windows does, which draws HTML with Word.

Word does not support rounded corners, shadows, background images, media queries or maximum widths, and
ignores padding except in table cells. It reads conditional comments (`[if mso]`) and VML.
"""

import re
from collections.abc import Callable

# No pattern spans more than one tag, so that malformed input takes only linear time (see `_replace_between`).
COMMENT = re.compile(r"<!--\[if ([^\]<>]{1,99})\]>")
COMMENT_END = re.compile(r"<!\[endif\]-->")
REVEALED = re.compile(COMMENT.pattern + r"<!--(?:-->|>)")
REVEALED_END = re.compile(r"<!--<!\[endif\]-->")
XML = re.compile(r"<xml>", re.IGNORECASE)
XML_END = re.compile(r"</xml>", re.IGNORECASE)
STYLE = re.compile(r"<style\b[^<>]*>", re.IGNORECASE)
STYLE_END = re.compile(r"</style>", re.IGNORECASE)
SHAPE = re.compile(r"<v:roundrect\b([^<>]*)>", re.IGNORECASE)
SHAPE_END = re.compile(r"</v:roundrect>", re.IGNORECASE)
OFFICE_TAG = re.compile(r"</?[vow]:[^<>]*>", re.IGNORECASE)
MSO_PADDING = re.compile(r"mso-padding-alt:([^;\"']{1,99})")
HEAD_END = re.compile(r"</head>", re.IGNORECASE)
BRACE = re.compile(r"[{}]")
ROUND = 8  # pixels; approximates the corners of our shapes
LOOK = """<style>
:root { color-scheme: light only; }
* { border-radius: 0 !important; box-shadow: none !important; text-shadow: none !important;
    background-image: none !important; max-width: none !important; animation: none !important; }
a, span, p, div, h1, h2, h3 { padding: 0 !important; }
</style>"""


def imitate_outlook(html: str) -> str:
    """Return the page of a letter roughly as Word would draw it."""
    html = _replace_between(html, REVEALED, REVEALED_END, _choose)
    html = _replace_between(html, COMMENT, COMMENT_END, _choose)
    html = _replace_between(html, XML, XML_END, lambda _start, _content: "")
    html = SHAPE_END.sub("</div>", SHAPE.sub(_draw_shape, html))
    html = OFFICE_TAG.sub("", html)
    html = MSO_PADDING.sub(r"padding:\1 !important", html)
    html = _replace_between(
        html, STYLE, STYLE_END, lambda start, content: f"{start[0]}{drop_media_rules(content)}</style>"
    )
    head_end = HEAD_END.search(html)
    position = head_end.start() if head_end else 0
    return html[:position] + LOOK + html[position:]


def is_for_outlook(condition: str) -> bool:
    """Return whether a condition such as `mso | IE` or `gte mso 9` holds in Outlook."""
    return "mso" in condition.lower() and "!" not in condition and "lt" not in condition.lower().split()


def drop_media_rules(css: str) -> str:
    """Return a stylesheet without its @media rules."""
    kept, position = [], 0
    while (start := css.find("@media", position)) >= 0:
        kept.append(css[position:start])
        position = _find_end(css, start)
    return "".join([*kept, css[position:]])


def _find_end(css: str, start: int) -> int:
    """Return the position after the block that begins at `start`; the end if the block is not closed."""
    depth = 0
    for brace in BRACE.finditer(css, start):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.end()
    return len(css)


def _replace_between(
    html: str, start: re.Pattern[str], end: re.Pattern[str], replace: Callable[[re.Match[str], str], str]
) -> str:
    """Replace each part from `start` to the next `end`.

    `replace` gets the match of `start` and the text between the two.
    """
    parts, position = [], 0
    while (opened := start.search(html, position)) and (closed := end.search(html, opened.end())):
        parts += [html[position : opened.start()], replace(opened, html[opened.end() : closed.start()])]
        position = closed.end()
    return "".join([*parts, html[position:]])


def _choose(start: re.Match[str], content: str) -> str:
    return content if is_for_outlook(start[1]) else ""


def _draw_shape(found: re.Match[str]) -> str:
    color = re.search(r"""fillcolor=["']?(#[0-9a-f]{3,8}|[a-z]+)""", found[1], re.IGNORECASE)
    size = re.findall(r"\b(width|height):(\d+)px", found[1])
    style = "".join(f"{name}:{pixels}px;" for name, pixels in size)
    background = f"background:{color[1]};" if color else ""
    return (
        f'<div style="display:inline-flex;align-items:center;justify-content:center;{style}{background}'
        f'border-radius:{ROUND}px !important">'
    )
