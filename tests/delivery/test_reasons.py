"""Test that mail servers' replies are assigned to the reasons that pages show."""

import pytest

from skymailing.delivery.smtp.reasons import RefusalReason, find_reason

pytestmark = pytest.mark.one_engine

NO_ADDRESS, NO_DOMAIN, FULL = RefusalReason.NO_ADDRESS, RefusalReason.NO_DOMAIN, RefusalReason.FULL_MAILBOX
SPAM, SENDER, TOO_LARGE = RefusalReason.SPAM, RefusalReason.SENDER, RefusalReason.TOO_LARGE
TOO_MANY, UNAVAILABLE, OTHER = RefusalReason.TOO_MANY, RefusalReason.UNAVAILABLE, RefusalReason.OTHER


@pytest.mark.parametrize(
    ("reason", "reply"),
    [
        (NO_ADDRESS, "5.1.1 … user unknown"),
        (NO_ADDRESS, "5.1.1 <anna@example.org>: Recipient address rejected"),
        (NO_ADDRESS, "5.2.1 The email account that you tried to reach is disabled."),
        (NO_ADDRESS, "5.4.1 Recipient address rejected: Access denied."),
        (NO_ADDRESS, "No such user here"),
        (NO_ADDRESS, "Requested action not taken: mailbox unavailable"),
        (NO_ADDRESS, "Пользователь не найден"),
        (NO_ADDRESS, "spam-fan@b.example: user unknown"),  # the text of an address does not count
        (NO_DOMAIN, "5.1.2 Host unknown"),
        (NO_DOMAIN, "5.1.10 Recipient address has null MX"),
        (NO_DOMAIN, "Host or domain name not found. Name service error for name=nowhere.example"),
        (FULL, "5.2.2 mailbox full"),
        (FULL, "4.2.2 The email account that you tried to reach is over quota"),
        (FULL, "5.0.0 Ящик переполнен"),
        (SPAM, "5.7.1 Message rejected as spam"),
        (SPAM, "Client host […] blocked using zen.spamhaus.org"),
        (SPAM, "5.7.1 спам-сообщение отклонено"),
        (SENDER, "5.7.26 Unauthenticated email from … is not accepted due to domain's DMARC policy."),
        (SENDER, "5.7.26 This mail has been blocked because the sender is unauthenticated."),
        (SENDER, "5.7.25 The IP address sending this message does not have a PTR record, blocked as spam."),
        (SENDER, "5.7.515 Access denied, b.example does not pass authentication (spam policy)"),
        (SENDER, "5.1.8 Sender address rejected: Domain not found"),
        (SENDER, "Sender address rejected: Domain not found"),
        (SENDER, "5.7.1 Relay access denied"),
        (TOO_LARGE, "5.3.4 Message too big"),
        (TOO_LARGE, "Message size exceeds fixed limit"),
        (TOO_MANY, "4.2.1 The user you are trying to contact is receiving mail too quickly"),
        (UNAVAILABLE, "4.4.1 Connection timed out"),
        (UNAVAILABLE, "4.2.0 Greylisted, try again in 5 min"),
        (UNAVAILABLE, "4.7.1 Greylisting in action"),
        (UNAVAILABLE, "4.3.2 System not accepting network messages"),
        (UNAVAILABLE, "Temporary local problem"),
        (OTHER, "5.3.0 out of order"),
        (OTHER, "…"),
        (OTHER, ""),
    ],
)
def test_a_reply_has_a_reason(reason: RefusalReason, reply: str) -> None:
    assert find_reason(reply) is reason


def test_the_code_before_a_status_is_ignored() -> None:
    assert find_reason("550 5.1.1 refused") is NO_ADDRESS
    assert find_reason("552-5.2.2 refused") is FULL
