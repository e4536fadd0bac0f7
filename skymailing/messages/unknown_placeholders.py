"""Find placeholders that never print anything and merge tags of other services; suggest replacements."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from html import unescape

from skymailing.delivery.rendering.content import LINK_NAMES, Content, find_placeholders, prepare
from skymailing.delivery.rendering.flags import FLAG_NAMES
from skymailing.delivery.rendering.liquid_tags import TemplateError
from skymailing.delivery.rendering.tag_masking import MaskedSource
from skymailing.messages.placeholders import write_path

Path = tuple[str, ...]

STANDARD_ATTRIBUTES = ("name", "full_name", "email")
STANDARD_NAMES = ("name", "email", "client", *LINK_NAMES, "sender_name", "now", "today")
MAX_SHOWN = 10
# The merge tags of Mailchimp, GetResponse, Constant Contact, Salesforce, ActiveCampaign, Mailgun, MailerLite,
# AWeber and others.
MERGE_TAG = re.compile(
    r"\*\|[\w:.,/ -]{1,60}\|\*"
    r"|\[\[ ?\w[\w. -]{0,40}\]\]"
    r"|%%\w[\w. -]{0,40}%%"
    r"|%recipient\.\w{1,40}%"
    r"|%[A-Z][A-Z_]{2,30}%"
    r"|\{\$[\w.]{1,40}\}|\$\{[\w.]{1,40}\}|\{![\w. ]{1,40}\}"
    r"|(?:<<|&lt;&lt;)[\w ]{1,40}(?:>>|&gt;&gt;)"
    r"|(?<!\{)\{ ?(?:(?:first|last|full)?_?name|email|unsubscribe(?:_?(?:url|link))?|имя|фио) ?\}(?!\})",
    re.IGNORECASE,
)
CAPITALS = re.compile(r"%[A-Z_]+%")
# For other services' names of a value, in letters and digits only: matching attributes, and our placeholder.
MEANINGS: dict[tuple[str, ...], tuple[tuple[str, ...], Path]] = {
    ("fname", "firstname", "first", "givenname", "имя", "имяклиента", "vorname", "username"): (
        ("first_name", "имя"),
        ("name",),
    ),
    ("lname", "lastname", "last", "surname", "familyname", "фамилия", "nachname"): (
        ("last_name", "фамилия"),
        ("name",),
    ),
    ("name", "fullname", "фио", "contactname", "displayname", "клиент"): ((), ("name",)),
    ("email", "emailaddress", "mail", "почта", "эпочта", "емейл", "subscriberemail"): ((), ("email",)),
    (
        *("unsub", "unsubscribe", "unsubscribeurl", "unsubscribelink", "unsuburl", "optout"),
        *("отписаться", "отписка"),
    ): ((), ("unsubscribe_url",)),
    (
        *("archive", "viewonline", "viewinbrowser", "webcopy", "webversion", "weblink", "browserlink"),
        *("onlineversion", "viewasawebpage", "viewemailurl", "вебверсия", "вбраузере"),
    ): ((), ("browser_url",)),
    ("company", "listcompany", "sendername", "fromname", "отправитель"): (("company",), ("sender_name",)),
}
BY_NAME = {name: meaning for names, meaning in MEANINGS.items() for name in names}


@dataclass(frozen=True, slots=True)
class UnknownPlaceholder:
    """A placeholder as written in the message, and the one that its author probably meant."""

    text: str
    suggestion: str | None
    path: Path = ()  # empty for another service's tag

    @property
    def is_foreign(self) -> bool:
        """Whether this is another service's tag, which is sent as is; our own placeholder prints nothing."""
        return not self.path


def find_unknown(content: Content, attributes: Collection[str]) -> list[UnknownPlaceholder]:
    """Return placeholders that do not work; empty if parsing fails. `attributes` are those of all clients."""
    try:
        foreign = find_merge_tags(content)
        paths = find_placeholders(content)
    except TemplateError:  # the caller reports the error when it renders the letter
        return []
    known = {*STANDARD_ATTRIBUTES, *attributes}
    unknown = [
        UnknownPlaceholder(write_path(path), write_suggestion(suggest(path, known)), path)
        for path in paths
        if not is_known(path, known)
    ]
    unknown += [
        UnknownPlaceholder(text, write_suggestion(find_meaning(simplify(text), known))) for text in foreign
    ]
    return unknown[:MAX_SHOWN]


def find_merge_tags(content: Content) -> list[str]:
    """Return other services' merge tags, without duplicates; raises TemplateError."""
    found: dict[str, None] = {}
    for source in content.texts:
        for match in MERGE_TAG.finditer(MaskedSource(prepare(source)).text):
            # %NAME% is a tag, but %d0% is part of a URL.
            if not match[0].startswith("%") or match[0][1] in "%rR" or CAPITALS.fullmatch(match[0]):
                found.setdefault(match[0])
    return list(found)


def is_known(path: Path, attributes: Collection[str]) -> bool:
    """Return whether any client may have a value at the path."""
    if path[0] != "client" or len(path) == 1:
        return path[0] in STANDARD_NAMES or path[0] in FLAG_NAMES
    return path[1] in attributes


def suggest(path: Path, attributes: Collection[str]) -> Path | None:
    """Return an existing placeholder that means the same or is spelled similarly."""
    if meant := find_meaning(simplify(path[-1]), attributes):
        return meant
    candidates: dict[str, Path] = {name.lower(): ("client", name) for name in sorted(attributes)}
    candidates |= {name: (name,) for name in STANDARD_NAMES if path[0] != "client" and name != "client"}
    close = get_close_matches(path[-1].lower(), candidates, n=1, cutoff=0.6)
    return candidates[close[0]] if close else None


def find_meaning(foreign_name: str, attributes: Collection[str]) -> Path | None:
    """Return our placeholder for the value with this simplified name at other services."""
    for name in sorted(attributes):
        if simplify(name) == foreign_name and name not in STANDARD_ATTRIBUTES:
            return ("client", name)
    if foreign_name not in BY_NAME:
        return None
    preferred, fallback = BY_NAME[foreign_name]
    return next((("client", name) for name in preferred if name in attributes), fallback)


def simplify(text: str) -> str:
    """Return the name in a tag, in lowercase and without symbols; only the last part of a path."""
    return re.sub(r"[\W_]+", "", unescape(text).rpartition(".")[2].lower())


def write_suggestion(path: Path | None) -> str | None:
    return write_path(path) if path else None
