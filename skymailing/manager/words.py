"""Name the reasons to look at a user."""

from flask_babel import LazyString, lazy_pgettext

from skymailing.manager.suspicion import Suspicion

SUSPICION_WORDS: dict[Suspicion, LazyString] = {
    Suspicion.PAUSED: lazy_pgettext("suspicion", "mailings paused"),
    Suspicion.COMPLAINTS: lazy_pgettext("suspicion", "spam complaints"),
    Suspicion.BOUNCES: lazy_pgettext("suspicion", "many addresses that do not exist"),
    Suspicion.NEW: lazy_pgettext("suspicion", "new and very active"),
    Suspicion.QUESTIONS: lazy_pgettext("suspicion", "test emails to strangers"),
    Suspicion.LIMIT: lazy_pgettext("suspicion", "limit reached"),
}


def suspicion_label(reason: Suspicion) -> LazyString:
    """Return the words for a reason."""
    return SUSPICION_WORDS[reason]
