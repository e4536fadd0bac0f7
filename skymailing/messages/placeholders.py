"""Write placeholders in the form in which authors type them."""

import re

# Sample keys for the client's own name and address; no attribute can have these keys.
OWN_NAME, OWN_EMAIL = "\0name", "\0email"
# Names that Liquid accepts after a dot; other names are written in brackets.
PLAIN_NAME = re.compile(r"[^\W\d][\w-]*")


def write_path(path: tuple[str, ...]) -> str:
    """Return the placeholder that prints the value at `path`."""
    text = path[0]
    for segment in path[1:]:
        if PLAIN_NAME.fullmatch(segment):
            text += f".{segment}"
        else:
            quote = "'" if '"' in segment else '"'
            text += f"[{quote}{segment}{quote}]"
    return f"{{{{ {text} }}}}"
