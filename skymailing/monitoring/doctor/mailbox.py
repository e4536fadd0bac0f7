"""Check the mailbox for returned mail: sign in as the reader does."""

from contextlib import suppress

from skymailing.monitoring.checks import Check
from skymailing.returns.mailbox.base import MailboxFault
from skymailing.returns.mailbox.opening import open_mailbox
from skymailing.settings.returned_mail import returned_mail_settings


def check_mailbox() -> list[Check]:
    """Sign in to the mailbox, if one is set."""
    address = returned_mail_settings().mailbox
    if address is None:
        return []
    server = f"{address.host}:{address.port}"
    try:
        mailbox = open_mailbox(address)
    except MailboxFault as error:
        return [Check("mailbox", False, f"{server}: {error}", "Check RETURN_MAILBOX.")]
    with suppress(MailboxFault):
        mailbox.close()
    return [Check("mailbox", True, f"{server} accepts the sign-in")]
