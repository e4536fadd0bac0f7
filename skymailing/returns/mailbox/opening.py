"""Open the mailbox for returned mail."""

from skymailing.returns.mailbox.base import Mailbox
from skymailing.returns.mailbox.imap import ImapMailbox
from skymailing.returns.mailbox.pop3 import Pop3Mailbox
from skymailing.settings.returned_mail import MailboxAddress


def open_mailbox(address: MailboxAddress) -> Mailbox:
    """Sign in to the mailbox; raises MailboxFault."""
    return ImapMailbox(address) if address.is_imap else Pop3Mailbox(address)
