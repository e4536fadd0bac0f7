"""Test what the replies of mail servers mean for a client."""

import pytest

from skymailing.returns.reports import Kind, Report
from skymailing.returns.verdicts import Verdict, judge

HARD, SOFT, POLICY = Verdict.HARD, Verdict.SOFT, Verdict.POLICY


@pytest.mark.parametrize(
    ("verdict", "status", "diagnostic"),
    [
        (HARD, "5.1.1", ""),
        (HARD, "5.0.0", "550 5.1.1 <a@b.example>: User unknown in virtual mailbox table"),
        (HARD, "", "550 No such user"),
        (HARD, "5.0.0", "550 Requested action not taken: mailbox unavailable"),
        (HARD, "5.5.0", "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302)"),
        (
            HARD,
            "5.1.10",
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
        ),
        (HARD, "5.1.1", "550-5.1.1 The email account that you tried to reach does not exist."),
        (HARD, "5.2.1", "550 5.2.1 The email account that you tried to reach is disabled."),
        (HARD, "5.4.4", "Host or domain name not found. Name service error for name=nowhere.example"),
        (
            HARD,
            "",
            "550 Message was not accepted -- invalid mailbox. Local mailbox a@b.example is unavailable",
        ),
        (HARD, "5.2.0", "550 Unknown user a@b.example"),
        (HARD, "", "User Ann (a@b.example) not listed in Domino Directory"),
        (HARD, "", "The recipient name is not recognized"),
        (HARD, "5.0.0", "because the address couldn't be found. Check for typos and try again."),
        (HARD, "5.0.0", "550 Mailbox is frozen"),
        (HARD, "5.4.4", "Name service error for name=b.example type=MX: Malformed name server reply"),
        (HARD, "", "550 <a@b.example> does not exist"),
        (SOFT, "", "after end of data: 553 our.example does not exist"),  # our own domain, perhaps
        (HARD, "", "550 Пользователь не найден"),
        (HARD, "", "550 5.1.1 Empfänger unbekannt"),
        (HARD, "", "550 L'adresse du destinataire n'existe pas"),
        (HARD, "", "550 spam-fan@b.example: user unknown"),  # the text of an address does not count
        (SOFT, "5.2.2", "552 5.2.2 The email account that you tried to reach is over quota"),
        (SOFT, "5.0.0", "550 Mailbox full, user does not exist any more for new letters"),
        (SOFT, "4.2.1", "450 4.2.1 The user you are trying to contact is receiving mail too quickly"),
        (SOFT, "5.4.1", "550 5.4.1 Recipient address rejected: Access denied"),
        (SOFT, "4.4.1", "connect to mx.example[192.0.2.1]:25: Connection timed out"),
        (SOFT, "5.0.0", "host mx.example [5.1.1.7]: connection refused"),  # an IP address is no status
        (SOFT, "5.3.0", "550 5.3.0 out of order"),
        (SOFT, "", ""),
        (POLICY, "5.1.1", "550 5.7.1 Message rejected as spam"),  # the diagnostic decides over the status
        (POLICY, "5.1.1", "554 Client host [192.0.2.1] blocked using zen.spamhaus.org"),
        (POLICY, "", "554 5.7.1 Relay access denied"),
        (POLICY, "5.7.26", "550-5.7.26 This mail has been blocked because the sender is unauthenticated."),
        (POLICY, "5.7.515", "550 5.7.515 Access denied, sending domain does not meet the required level"),
        (POLICY, "5.5.0", "554 A problem occurred. (Ask your postmaster for help.) (BL)"),
        (POLICY, "", "550 Insecure Mail Relay"),
        (POLICY, "", "SMTP error from remote mail server after MAIL FROM:<a@our.example>: 550 not today"),
        (SOFT, "4.4.2", "lost connection with mx.b.example while performing the HELO handshake"),
        (HARD, "5.1.351", "550 5.1.351 Remote server returned unknown recipient or mailbox unavailable"),
        (POLICY, "", "550 SC-004 Too many unwanted messages have been sent from this address"),
        (POLICY, "5.0.0", "554 Host network not allowed"),
        (POLICY, "4.7.1", "451 4.7.1 Greylisting in action"),
        (POLICY, "5.3.4", "552 5.3.4 Message too big"),
        (POLICY, "5.6.0", "550 5.6.0 Invalid header"),
        (POLICY, "", "550 Your account has been disabled"),  # of the mail server that we use
        (POLICY, "", "550 SMTP account disabled"),
        (POLICY, "5.0.0", "550 Your domain does not exist in DNS"),
        (POLICY, "", "550 Your host is unknown"),
        (POLICY, "", "550 Reverse lookup: domain not found"),
        (POLICY, "", "550 return address <news@our.example> does not exist"),
        (POLICY, "", "550 Invalid address in From header"),
        (POLICY, "", "550 the sending host does not exist"),
        (POLICY, "", "550 The sender's domain our.example does not exist"),
        (POLICY, "5.1.8", "550 5.1.8 Sender address rejected: Domain not found"),
        (POLICY, "", "550 sender domain does not exist"),
        (POLICY, "", "550 спам-сообщение отклонено"),
        (POLICY, "5.0.0", "550 no such user: blocked by policy"),
    ],
)
def test_a_reply_has_a_verdict(verdict: Verdict, status: str, diagnostic: str) -> None:
    assert judge(Report(Kind.BOUNCE, "a@b.example", "failed", status, diagnostic)) is verdict


def test_only_bounces_are_judged_by_their_text() -> None:
    verdicts = {
        kind: judge(Report(kind, "a@b.example", status="5.1.1", diagnostic="550 5.1.1 user unknown"))
        for kind in Kind
    }

    assert verdicts == {
        Kind.BOUNCE: Verdict.HARD,
        Kind.COMPLAINT: Verdict.COMPLAINT,
        Kind.UNSUBSCRIBE: Verdict.UNSUBSCRIBE,
        Kind.AUTO_REPLY: Verdict.IGNORED,
        Kind.DELAYED: Verdict.IGNORED,
        Kind.NOTICE: Verdict.IGNORED,
        Kind.PROBE: Verdict.IGNORED,
        Kind.UNCLEAR: Verdict.UNCLEAR,
    }
