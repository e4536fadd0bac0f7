"""Show the subjects of messages without a particular client, with readable words in place of placeholders."""

import re

from flask_babel import gettext as _

OUTPUT = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
BRANCH = re.compile(r"\{%-?\s*(?:else|elsif|when)\b.*?%\}", re.DOTALL)
TAG = re.compile(r"\{%.*?%\}", re.DOTALL)
# The last part of a path, such as the city of client.city or client["city"].
LAST_PART = re.compile(r"""\[\s*["'](.+?)["']\s*\]$|["'](.+)["']$|([\w-]+)$""")


def readable_subject(text: str) -> str:
    """Return a subject with words such as [first name] in place of its placeholders."""
    if "{" not in text:
        return text
    text = OUTPUT.sub(lambda found: f"[{_name(found[1])}]", text)
    return " ".join(TAG.sub("", BRANCH.sub("/", text)).split())


def _name(expression: str) -> str:
    """Return a readable name for the value of a placeholder, without its filters."""
    path = expression.split("|")[0].strip()
    found = LAST_PART.search(path)
    name = next(filter(None, found.groups()), path) if found else path
    names = {
        "name": _("Name"),
        "full_name": _("Full name"),
        "first_name": _("First name"),
        "middle_name": _("Middle name"),
        "last_name": _("Last name"),
        "email": _("Email address"),
        "sender_name": _("Sender name"),
    }
    return str(names[name]).lower() if name in names else name.replace("_", " ")
