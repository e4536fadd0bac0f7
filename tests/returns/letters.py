"""Create returned letters in formats that the samples of real servers do not cover."""

OUR_ID = "<42.abcdef@sky.example>"
OUR_LINK = "<https://sky.example/u/token>"


def quote_headers(message_id: str = OUR_ID, link: str = OUR_LINK, to: str = "ann@example.org") -> str:
    """Return the headers of one of our letters, as servers quote them."""
    return (
        f"From: News <letters@sky.example>\nTo: {to}\nSubject: News\nMessage-ID: {message_id}\n"
        f"List-Unsubscribe: {link}\nFeedback-ID: m1:u2:mailing:skymailing\n"
    )


def make_status(
    recipient: str, status: str, diagnostic: str, *, action: str = "failed", extra: str = "", quoted: str = ""
) -> bytes:
    """Return a delivery status notification (RFC 3464); `extra` contains more fields for the recipient."""
    return f"""From: MAILER-DAEMON@relay.example
To: bounces@sky.example
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=_b"

--=_b
Content-Type: text/plain

Could not be delivered.

--=_b
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example

Final-Recipient: rfc822; {recipient}
{extra}Action: {action}
Status: {status}
Remote-MTA: dns; mx.example.org
Diagnostic-Code: smtp; {diagnostic}

--=_b
Content-Type: text/rfc822-headers

{quoted or quote_headers()}
--=_b--
""".encode()


def make_complaint(recipient: str, type: str = "abuse", quoted: str = "") -> bytes:
    """Return a complaint (RFC 5965); providers often remove the recipient."""
    recipient_field = f"Original-Rcpt-To: <{recipient}>\n" if recipient else ""
    return f"""From: feedback@provider.example
To: abuse@sky.example
Subject: FW: News
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="=_c"

--=_c
Content-Type: text/plain

This is an email abuse report.

--=_c
Content-Type: message/feedback-report

Feedback-Type: {type}
User-Agent: Loop/1.0
Version: 1
{recipient_field}
--=_c
Content-Type: message/rfc822

{quoted or quote_headers()}
Hello
--=_c--
""".encode()


def make_exim_prose() -> bytes:
    """Return a report by an old Exim, which has no standard part."""
    return f"""From: Mail Delivery System <Mailer-Daemon@relay.example>
X-Failed-Recipients: ann@example.org
Auto-Submitted: auto-replied
Subject: Mail delivery failed: returning message to sender

The following address(es) failed:

  ann@example.org
    SMTP error from remote mail server after RCPT TO:<ann@example.org>:
    host mx.example.org [192.0.2.1]: 550 No such user here

------ This is a copy of the message, including all the headers. ------

{quote_headers()}
Hello
""".encode()


def make_qmail_prose() -> bytes:
    """Return a report by qmail."""
    return f"""Return-Path: <>
From: MAILER-DAEMON@relay.example
Subject: failure notice

Hi. This is the qmail-send program at relay.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ann@example.org>:
192.0.2.1 does not like recipient.
Remote host said: 550 5.1.1 unknown user
Giving up on 192.0.2.1.

--- Below this line is a copy of the message.

{quote_headers()}
Hello
""".encode()


ENGLISH_VACATION = f"""From: Ann <ann@example.org>
In-Reply-To: {OUR_ID}
Subject: Out of office
Auto-Submitted: auto-replied

Back on Monday. For urgent matters: bob@example.org
""".encode()
RUSSIAN_VACATION = """From: ann@example.org
Subject: =?utf-8?b?0JDQstGC0L7QvtGC0LLQtdGCOiDQsiDQvtGC0L/Rg9GB0LrQtQ==?=

Вернусь в понедельник.
""".encode()
