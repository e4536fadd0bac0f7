"""Describe events, why endpoints are off, and why calls failed, in words."""

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from skymailing.models import DisabledReason, EventType, WebhookCall
from skymailing.webhooks.sending import NOT_FOUND, NOT_HTTP, NOT_PUBLIC, TOO_LONG, TOO_SLOW

EVENT_WORDS: dict[str, LazyString] = {
    EventType.CLIENT_CONFIRMED: _l("someone confirmed a subscription"),
    EventType.CLIENT_UNSUBSCRIBED: _l("someone unsubscribed or left a topic"),
    EventType.CLIENT_RESUBSCRIBED: _l("someone subscribed again within a day"),
    EventType.CLIENT_COMPLAINED: _l("someone marked an email as spam"),
    EventType.CLIENT_SUPPRESSED: _l("an address is no longer emailed: you excluded it, or it does not exist"),
    EventType.BOUNCE_RECEIVED: _l("an email came back"),
    EventType.MAILING_STARTED: _l("a mailing has started"),
    EventType.MAILING_PAUSED: _l("a mailing was paused"),
    EventType.MAILING_FINISHED: _l("a mailing is finished"),
    EventType.RUN_FINISHED: _l("all emails of a run have a result"),
    EventType.TEST_DECIDED: _l("the winner of an A/B test was chosen"),
    EventType.SEQUENCE_ENTERED: _l("clients have entered a sequence, up to 500 in one call"),
    EventType.SEQUENCE_FINISHED: _l("clients have completed a sequence, up to 500 in one call"),
    EventType.SEQUENCE_LEFT: _l("clients have left a sequence, up to 500 in one call"),
    EventType.CLICKS_COUNTED: _l("clients clicked links, up to 500 in one call"),
    EventType.LETTERS_CHANGED: _l("results of emails, up to 500 in one call"),
    EventType.WEBHOOK_TEST: _l("a test"),
}
DISABLED_WORDS: dict[str, LazyString] = {
    DisabledReason.OWNER: _l("You turned it off."),
    DisabledReason.GONE: _l("Turned off: the address responded that it no longer exists (410)."),
    DisabledReason.FAULTS: _l("Turned off: it has not accepted a call for days."),
}
FAULT_WORDS: dict[str, LazyString] = {
    NOT_PUBLIC: _l("There is no public address for this host name."),
    NOT_FOUND: _l("The host was not found."),
    TOO_SLOW: _l("No response within 10 seconds."),
    NOT_HTTP: _l("The response is not valid HTTP."),
    TOO_LONG: _l("The response is too long."),
}


def describe_response(call: WebhookCall) -> str:
    """Return the endpoint's last response, or the reason why there was none, in the current language."""
    is_ours = call.last_code is None
    return str(FAULT_WORDS.get(call.last_response, call.last_response)) if is_ours else call.last_response
