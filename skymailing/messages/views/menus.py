"""The editor's menus: designs to start from, and placeholders to insert."""

from dataclasses import dataclass

from flask import current_app
from flask_babel import LazyString, force_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from skymailing.email_addresses import display_address
from skymailing.messages.placeholders import OWN_EMAIL, OWN_NAME, write_path


@dataclass(frozen=True, slots=True)
class Value:
    """A value that can be inserted: its name, its placeholder and a sample."""

    label: str
    text: str
    sample: str
    # Whether some clients may lack the value, so that a default is useful.
    may_be_missing: bool = True
    # The link's text, in each language of letters.
    words: dict[str, str] | None = None


def list_categories() -> dict[str, str]:
    """Return the names of the gallery's categories."""
    return {
        "general": _("For everyone"),
        "shop": _("Shops"),
        "food": _("Cafés and restaurants"),
        "courses": _("Courses"),
        "events": _("Events"),
        "services": _("Services"),
        "holidays": _("Holidays"),
    }


def list_kinds() -> list[tuple[str, str, str, str]]:
    """Return the key, icon, name and purpose of each way to write a new message."""
    return [
        ("blocks", "grid-1x2", _("Block editor"), _("images, buttons, columns: drag and drop")),
        ("text", "text-left", _("Text"), _("write as in a word processor, or in Markdown")),
        ("html", "code-slash", _("HTML"), _("paste or write your own source")),
        ("mjml", "braces", _("MJML"), _("source that becomes HTML for all mail programs")),
    ]


def list_values(attributes: list[str], samples: dict[str, str]) -> list[Value]:
    """Return the values that can be inserted; `samples` come from `queries.find_samples`."""
    email = display_address(samples.get(OWN_EMAIL, ""))
    return [
        Value(_("Full name"), "{{ name }}", samples.get(OWN_NAME, "")),
        Value(
            _("Email address"),
            "{{ email }}",
            email,
            may_be_missing=False,
        ),
        *(Value(name, write_path(("client", name)), samples.get(name, "")) for name in attributes),
        Value(_("My sender name"), "{{ sender_name }}", "", may_be_missing=False),
        _make_link(_("Unsubscribe link"), "{{ unsubscribe_url }}", _l("Unsubscribe")),
        _make_link(_("Link to choose topics"), "{{ preferences_url }}", _l("Choose topics")),
        _make_link(_("Link to view in a browser"), "{{ browser_url }}", _l("View in browser")),
    ]


def _make_link(label: str, text: str, words: LazyString) -> Value:
    by_language = {}
    for language in current_app.config["LANGUAGES"]:
        with force_locale(language):
            by_language[language] = str(words)
    return Value(label, text, "", may_be_missing=False, words=by_language)


def list_placeholders(attributes: list[str]) -> list[tuple[str, str]]:
    """Return all placeholders, each with a description of what it prints."""
    return [
        ("{{ name }}", _("the client's full name")),
        ("{{ email }}", _("the client's email address")),
        ("{{ sender_name }}", _("your sender name")),
        ("{{ unsubscribe_url }}", _("the unsubscribe link; added at the end if you omit it")),
        ("{{ preferences_url }}", _("the link to the page where clients choose topics")),
        ("{{ browser_url }}", _("a link that opens this email in a browser")),
        *((write_path(("client", name)), _("from your client list")) for name in attributes),
    ]
