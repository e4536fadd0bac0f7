"""Define the texts of errors about articles, test emails and checks of links, as `error_texts` shows them."""

from typing import Any

from flask_babel import lazy_gettext as _l

EDITOR_ERROR_TEXTS: dict[str, Any] = {
    "article_changed": _l("This article has been saved in another window."),
    "article_draft_elsewhere": _l("This article is being edited in another window."),
    "article_newer_draft": _l("This article has a newer draft, which was kept."),
    "link_not_allowed": _l("This address cannot be checked."),
    "link_check_running": _l("Links are being checked. Wait for the result."),
    "link_check_no_links": _l("There are no links to check."),
    "link_check_limit": _l("You can check links up to %(limit)s times per hour. Try again later."),
    "reviewer_exists": _l("You have already added this address."),
    "reviewer_is_owner": _l("Test emails can always be sent to your own address."),
    "reviewer_limit": _l("You can have up to %(limit)s addresses for test emails."),
    "reviewer_suppressed": _l(
        "You no longer send to %(address)s: the person unsubscribed, or the address does not exist."
    ),
    "reviewer_unconfirmed": _l("%(address)s has not agreed to get test emails."),
    "reviewer_too_many_recipients": _l("Choose up to %(limit)s addresses."),
    "reviewer_gone": _l("This address no longer gets test emails."),
    "test_letter_limit": _l("You can send up to %(limit)s test emails per hour. Try again later."),
    "test_letter_letters_used_up": _l("You have reached your limit of %(limit)s emails. Try again later."),
}
