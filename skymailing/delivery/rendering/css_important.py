"""Rules that cannot stand in a style attribute made to win over those that do.

A style attribute beats any style sheet. Once the plain rules stand there, those for phones, for dark
screens and for a pointer over a link would do nothing, unless they say `!important`.
"""

import re

# Strings and comments are passed over as a whole.
TOKEN = re.compile(r"""/\*.*?(?:\*/|\Z)|"[^"\n]*+"|'[^'\n]*+'|[{}();]""", re.DOTALL)
MEDIA = re.compile(r"@media\b", re.IGNORECASE)
AT_RULE = re.compile(r"\s*@")
STATE = re.compile(r":(?!root\b)[a-z-]+", re.IGNORECASE)
COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
IMPORTANT = re.compile(r"!\s{0,9}important\s*\Z", re.IGNORECASE)


def strengthen(css: str) -> str:
    """Return a style sheet whose rules for some screens or states say `!important`; else as it was."""
    pieces: list[str] = []
    blocks: list[bool] = []  # for each open block, whether declarations in it are made important
    position = begin = parentheses = 0
    for token in TOKEN.finditer(css):
        sign = token.group()
        if sign in "()":
            parentheses = max(0, parentheses + (1 if sign == "(" else -1))
        if sign not in "{};" or (parentheses and sign == ";"):
            continue
        if sign == "{":
            parentheses = 0
            blocks.append(is_special(css[begin : token.start()], blocks))
        elif blocks and blocks[-1] and is_weak(css[begin : token.start()]):
            end = begin + len(css[begin : token.start()].rstrip())
            pieces += css[position:end], " !important"
            position = end
        if sign == "}" and blocks:
            blocks.pop()
        begin = token.end()
    return "".join([*pieces, css[position:]])


def is_special(prelude: str, blocks: list[bool]) -> bool:
    prelude = COMMENT.sub("", prelude)
    if AT_RULE.match(prelude):
        return bool(MEDIA.search(prelude))
    return bool((blocks and blocks[-1]) or STATE.search(prelude))


def is_weak(declaration: str) -> bool:
    return ":" in declaration and not IMPORTANT.search(COMMENT.sub("", declaration))
