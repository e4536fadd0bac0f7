"""Describe an action on many clients, and its result, in the current language."""

from collections.abc import Callable

from flask_babel import format_decimal, ngettext
from flask_babel import gettext as _

from skymailing.clients.cleaning import MAX_ATTRIBUTES
from skymailing.errors import UserError
from skymailing.models import UNFINISHED_BULK_STATES, BulkAction, BulkJob, BulkState
from skymailing.web.error_texts import explain

# The title of each action, given the name of the tag or field.
TITLES: dict[BulkAction, Callable[[str], str]] = {
    BulkAction.TAG: lambda tag: _("Add the tag “%(tag)s”", tag=tag),
    BulkAction.UNTAG: lambda tag: _("Remove the tag “%(tag)s”", tag=tag),
    BulkAction.SUPPRESS: lambda _tag: _("Stop emailing clients"),
    BulkAction.ALLOW: lambda _tag: _("Resume emailing clients"),
    BulkAction.DELETE: lambda _tag: _("Delete clients"),
    BulkAction.SET: lambda field: _("Change “%(field)s”", field=field),
}
# The result of each action, given the number of clients.
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
    BulkAction.SET: lambda n, count: ngettext(
        "%(count)s client updated.", "%(count)s clients updated.", n, count=count
    ),
}


def describe_action(job: BulkJob) -> str:
    """Return the title of a job's action."""
    return TITLES[job.action](job.tag or job.field)


def describe_result(action: BulkAction, count: int, skipped: int = 0) -> str:
    """Return the action's result for `count` clients, and how many others it skipped."""
    result = RESULTS[action](count, format_decimal(count))
    if not skipped:
        return result
    number = format_decimal(skipped)
    others = ngettext(
        "%(count)s client already has %(limit)s custom fields and was skipped.",
        "%(count)s clients already have %(limit)s custom fields and were skipped.",
        skipped,
        count=number,
        limit=MAX_ATTRIBUTES,
    )
    return f"{result} {others}"


def describe_undo(count: int) -> str:
    """Return the result of an undo that changed `count` clients back."""
    if not count:
        return explain(UserError("bulk_nothing_to_undo"))
    number = format_decimal(count)
    text: str = ngettext("Undone for %(count)s client.", "Undone for %(count)s clients.", count, count=number)
    return text


def describe_job(job: BulkJob) -> str:
    """Return the title of an unfinished job, or the result of one that has ended."""
    if job.state in UNFINISHED_BULK_STATES:
        return describe_action(job)
    if job.state is BulkState.UNDONE:
        return describe_undo(job.total - job.changed)
    return describe_result(job.action, job.changed, job.skipped)
