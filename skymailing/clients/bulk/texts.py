"""Say what an action on many clients does, and what it has done, in the current language."""

from collections.abc import Callable

from flask_babel import format_decimal, ngettext, pgettext
from flask_babel import gettext as _

from skymailing.models import BulkAction

# By action: what it does, with the name of the tag.
TITLES: dict[BulkAction, Callable[[str], str]] = {
    BulkAction.TAG: lambda tag: _("Add the tag “%(tag)s”", tag=tag),
    BulkAction.UNTAG: lambda tag: _("Remove the tag “%(tag)s”", tag=tag),
    BulkAction.SUPPRESS: lambda _tag: pgettext("title", "Stop mailings"),
    BulkAction.ALLOW: lambda _tag: pgettext("title", "Resume mailings"),
    BulkAction.DELETE: lambda _tag: _("Delete clients"),
}
# By action: what it has done with how many clients.
RESULTS: dict[BulkAction, Callable[[int, str], str]] = {
    BulkAction.TAG: lambda n, count: ngettext(
        "%(count)s client tagged.", "%(count)s clients tagged.", n, count=count
    ),
    BulkAction.UNTAG: lambda n, count: ngettext(
        "The tag was removed from %(count)s client.",
        "The tag was removed from %(count)s clients.",
        n,
        count=count,
    ),
    BulkAction.SUPPRESS: lambda n, count: ngettext(
        "%(count)s client no longer gets mailings.",
        "%(count)s clients no longer get mailings.",
        n,
        count=count,
    ),
    BulkAction.ALLOW: lambda n, count: ngettext(
        "%(count)s client gets mailings again.", "%(count)s clients get mailings again.", n, count=count
    ),
    BulkAction.DELETE: lambda n, count: ngettext(
        "%(count)s client deleted.", "%(count)s clients deleted.", n, count=count
    ),
}


def describe_action(action: BulkAction, tag: str) -> str:
    """Return what the action does."""
    return TITLES[action](tag)


def describe_result(action: BulkAction, count: int) -> str:
    """Return what the action has done with `count` clients."""
    return RESULTS[action](count, format_decimal(count))
