"""Add `!important` to the CSS rules that must remain in the style sheet when the other rules are inlined.

A style attribute overrides any style sheet. Once the plain rules are in style attributes, rules for phones,
dark mode or :hover have no effect unless they are marked `!important`.
"""

import re

# Strings and comments are matched whole and skipped.
TOKEN = re.compile(r"""/\*.*?(?:\*/|\Z)|"[^"\n]*+"|'[^'\n]*+'|[{}();]""", re.DOTALL)
MEDIA = re.compile(r"@media\b", re.IGNORECASE)
AT_RULE = re.compile(r"\s*@")
STATE = re.compile(r":(?!root\b)[a-z-]+", re.IGNORECASE)
COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
IMPORTANT_MARK = re.compile(r"!\s{0,9}important\s*\Z", re.IGNORECASE)


def add_important(css: str) -> str:
    """Add `!important` to the rules inside @media and with pseudo-classes; keep the rest unchanged."""
    pieces: list[str] = []
    blocks: list[bool] = []  # for each open block: whether its declarations get !important
    position = begin = parentheses = 0
    for token in TOKEN.finditer(css):
        symbol = token.group()
        if symbol in "()":
            parentheses = max(0, parentheses + (1 if symbol == "(" else -1))
        if symbol not in "{};" or (parentheses and symbol == ";"):
            continue
        if symbol == "{":
            parentheses = 0
            blocks.append(_needs_important(css[begin : token.start()], blocks))
        elif blocks and blocks[-1] and _lacks_important(css[begin : token.start()]):
            end = begin + len(css[begin : token.start()].rstrip())
            pieces += css[position:end], " !important"
            position = end
        if symbol == "}" and blocks:
            blocks.pop()
        begin = token.end()
    return "".join([*pieces, css[position:]])


def _needs_important(prelude: str, blocks: list[bool]) -> bool:
    prelude = COMMENT.sub("", prelude)
    if AT_RULE.match(prelude):
        return bool(MEDIA.search(prelude))
    return bool((blocks and blocks[-1]) or STATE.search(prelude))


def _lacks_important(declaration: str) -> bool:
    return ":" in declaration and not IMPORTANT_MARK.search(COMMENT.sub("", declaration))
