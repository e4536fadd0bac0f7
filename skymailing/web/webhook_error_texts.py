"""Define the texts of the errors of webhooks."""

from typing import Any

from flask_babel import lazy_gettext as _l

WEBHOOK_ERROR_TEXTS: dict[str, Any] = {
    "webhook_limit": _l("You can have up to %(limit)s webhooks. Delete those that you no longer need."),
    "webhook_test_limit": _l("You can send up to %(limit)s calls per hour yourself. Try again later."),
    "webhook_deleted": _l("This webhook has been deleted."),
    "webhook_disabled": _l("This webhook is off. Turn it on first."),
    "webhook_no_events": _l("Choose at least one event."),
    "webhook_event_unknown": _l("There is no event “%(type)s”."),
    "webhook_url_unreadable": _l("This is not a web address."),
    "webhook_url_not_https": _l("The address must begin with https://."),
    "webhook_url_userinfo": _l("The address must not contain a user name or password."),
    "webhook_url_host": _l("Enter an address with a host name, such as https://example.com/hook."),
    "webhook_url_port": _l("Use the usual port, 443, or one from %(port)s."),
    "webhook_url_too_long": _l("The address is longer than %(length)d characters."),
}
