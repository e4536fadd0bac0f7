"""Test that returned letters are read: real ones by Postfix and Exim, other formats, and hostile ones."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymailing.returns import reader
from skymailing.returns.letter import Envelope, OpenedLetter
from skymailing.returns.reader import read_return
from skymailing.returns.reports import Kind, Report
from skymailing.returns.verdicts import Verdict, judge
from tests.returns.letters import (
    ENGLISH_VACATION,
    OUR_ID,
    OUR_LINK,
    RUSSIAN_VACATION,
    make_complaint,
    make_exim_prose,
    make_qmail_prose,
    make_status,
)

SAMPLES = Path(__file__).parent.parent / "data" / "dsn"
GONE = ("gone@example.org", Verdict.HARD)
FULL = ("full@example.org", Verdict.SOFT)
# The address that each letter is about, and the verdict for the client.
EXPECTED = {
    "exim-00": {GONE},
    "exim-01": {FULL},
    "exim-02": {("blocked@example.org", Verdict.POLICY)},
    "exim-04": {("x@nowhere.example", Verdict.HARD)},
    "exim-05": {GONE},
    "exim-06": {("spammy@example.org", Verdict.POLICY)},
    "exim-08": {GONE},
    "exim-09": {GONE, FULL},
    "exim-10": {("greylisted@example.org", Verdict.POLICY)},
    "exim-11": {("later@example.org", Verdict.SOFT)},
    "postfix-00": {("blocked@example.org", Verdict.POLICY)},
    "postfix-01": {GONE},
    "postfix-02": {FULL},
    "postfix-04": {GONE},
    "postfix-05": {("toolarge@example.org", Verdict.POLICY)},
    "postfix-06": {GONE, FULL},
    "postfix-08": {("spammy@example.org", Verdict.POLICY)},
    "postfix-09": {("greylisted@example.org", Verdict.IGNORED)},  # a warning
    "postfix-10": {("later@example.org", Verdict.IGNORED)},
    "postfix-11": {("later@example.org", Verdict.SOFT)},
    "postfix-12": {("greylisted@example.org", Verdict.POLICY)},
}


# Notices of servers that use no standard format, and a client's reply.
NOTICES = Path(__file__).parent.parent / "data" / "notices"
ANN_IS_GONE = {("ann@example.org", Verdict.HARD)}
EXPECTED_NOTICES = {
    "domino": ANN_IS_GONE,
    "dragonfly": ANN_IS_GONE,
    "exchange": ANN_IS_GONE,
    "opensmtpd": ANN_IS_GONE | {("bob@example.org", Verdict.SOFT)},
    "reply": {("", Verdict.UNCLEAR)},
    "sendmail5": ANN_IS_GONE,
    "unsplit": ANN_IS_GONE,
    "warning": {("ann@example.org", Verdict.IGNORED)},
    "workmail": {("ann@example.org", Verdict.SOFT)},
    "zoho": ANN_IS_GONE,
}


def read_one(raw: bytes) -> Report:
    [report] = read_return(raw)
    return report


def test_letters_of_real_servers_are_read_with_address_verdict_and_our_headers() -> None:
    letters = {path.stem: path.read_bytes() for path in SAMPLES.glob("*.eml")}
    assert letters.keys() == EXPECTED.keys()

    for name, raw in letters.items():
        for changed in (raw, raw.replace(b"\n", b"\r\n"), b"From MAILER-DAEMON Sat Nov 28\n" + raw):
            reports = read_return(changed)
            assert {(report.recipient, judge(report)) for report in reports} == EXPECTED[name], name
            assert all(report.quoted.message_id.endswith("@example.com>") for report in reports), name
            assert all("/u/eyJhbGciOiJIUzI1NiJ9" in report.quoted.list_unsubscribe for report in reports)


def test_notices_in_any_wording_are_read_and_clients_replies_are_not() -> None:
    letters = {path.stem: path.read_bytes() for path in NOTICES.glob("*.eml")}
    assert letters.keys() == EXPECTED_NOTICES.keys()

    for name, raw in letters.items():
        reports = read_return(raw)
        assert {(report.recipient, judge(report)) for report in reports} == EXPECTED_NOTICES[name], name
        assert {report.quoted.message_id for report in reports} == {OUR_ID}, name


def test_each_field_of_a_standard_report_is_read() -> None:
    report = read_one(make_status("Ann@example.org", "5.1.1", "550 5.1.1 no\n    such user"))

    assert (report.kind, report.recipient, report.action) == (Kind.BOUNCE, "Ann@example.org", "failed")
    assert (report.status, report.diagnostic) == ("5.1.1", "550 5.1.1 no such user")
    assert (report.remote_mta, report.quoted.message_id) == ("mx.example.org", OUR_ID)
    assert report.quoted.feedback_id == "m1:u2:mailing:skymailing"


def test_the_address_that_we_wrote_to_wins_over_the_one_where_letters_are_forwarded() -> None:
    raw = make_status(
        "inbox@isp.example", "5.1.1", "550", extra="Original-Recipient: rfc822;ann@example.org\n"
    )

    assert read_one(raw).recipient == "ann@example.org"


def test_a_subject_in_an_impossible_encoding_stops_nothing() -> None:
    for charset in ("\u00fc", "x" * 70, "utf-7", "\0", ""):
        subject = f"Subject: =?{charset}?q?x?=\n".encode()
        assert read_one(subject + b"\nCall me").kind is Kind.UNCLEAR, charset
        assert read_one(subject + make_status("ann@example.org", "5.1.1", "550")).kind is Kind.BOUNCE


def test_a_bug_in_a_format_makes_a_letter_unclear(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_letter: OpenedLetter) -> list[Report]:
        raise IndexError

    monkeypatch.setattr(reader, "FORMATS", (read,))

    assert read_one(make_status("ann@example.org", "5.1.1", "550")).kind is Kind.UNCLEAR


def test_the_envelope_shows_that_a_server_wrote_a_notice() -> None:
    body = b"Subject: Your email\n\nann@example.org: unable to deliver, no such user\n"
    by_server = b"From: Mail <robot@example.org>\n" + body

    assert read_one(by_server).kind is Kind.UNCLEAR, "anyone can write this text"
    assert read_one(b"Return-Path: <>\n" + by_server).kind is Kind.BOUNCE
    [report] = read_return(by_server, Envelope(""))
    assert (report.kind, report.recipient) == (Kind.BOUNCE, "ann@example.org")
    [report] = read_return(b"Return-Path: <>\n" + by_server, Envelope("robot@example.org"))
    assert report.kind is Kind.UNCLEAR, "the server did not write this header"


def test_an_international_address_is_decoded() -> None:
    raw = make_status("x", "5.1.1", "550").replace(b"rfc822; x", rb"utf-8; \x{43F}\x{43E}@example.org")

    assert read_one(raw).recipient == "по@example.org"


@pytest.mark.parametrize("make", [make_exim_prose, make_qmail_prose])
def test_a_report_in_sentences_is_read(make: Callable[[], bytes]) -> None:
    report = read_one(make())

    assert (report.kind, report.recipient, judge(report)) == (Kind.BOUNCE, "ann@example.org", Verdict.HARD)
    assert (report.quoted.message_id, report.quoted.list_unsubscribe) == (OUR_ID, OUR_LINK)


def test_a_complaint_is_read_even_if_its_recipient_is_removed() -> None:
    named, anonymous = read_one(make_complaint("ann@example.org")), read_one(make_complaint(""))

    assert (named.kind, named.recipient) == (Kind.COMPLAINT, "ann@example.org")
    assert (anonymous.kind, anonymous.recipient) == (Kind.COMPLAINT, "")
    assert anonymous.quoted.list_unsubscribe == OUR_LINK
    assert read_one(make_complaint("", type="not-spam")).kind is Kind.NOTICE
    assert read_one(make_complaint("", type="virus")).kind is Kind.UNCLEAR


def test_automatic_replies_and_unknown_letters_are_not_bounces() -> None:
    replies = [read_one(ENGLISH_VACATION), read_one(RUSSIAN_VACATION)]
    assert [reply.kind for reply in replies] == [Kind.AUTO_REPLY] * 2
    assert replies[0].quoted.message_id == OUR_ID

    question = b"From: ann@example.org\nSubject: When?\n\nCould you call me? bob@example.org\n"
    assert read_one(question) == Report(Kind.UNCLEAR)


def test_no_letter_raises_an_error() -> None:
    samples = [path.read_bytes() for path in SAMPLES.glob("*.eml")]
    samples += [path.read_bytes() for path in NOTICES.glob("*.eml")]
    samples += [make_complaint("ann@example.org"), make_exim_prose(), make_qmail_prose(), RUSSIAN_VACATION]

    @settings(max_examples=300, deadline=None, database=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        raw = data.draw(st.sampled_from([b"", *samples]))
        for _ in range(data.draw(st.integers(1, 4))):
            start = data.draw(st.integers(0, len(raw)))
            end = data.draw(st.integers(start, len(raw)))
            raw = raw[:start] + data.draw(st.binary(max_size=40)) + raw[end:]
        reports = read_return(raw)
        assert reports
        assert all(judge(report) in Verdict for report in reports)

    check()


def nest(depth: int) -> bytes:
    """Return parts in parts, each with its own boundary."""
    boundaries = [b"b%d" % number for number in range(depth)]
    return (
        b"".join(
            b'Content-Type: multipart/mixed; boundary="%s"\n\n--%s\n' % (boundary, boundary)
            for boundary in boundaries
        )
        + b"\n\nend\n"
        + b"".join(b"--%s--\n" % boundary for boundary in reversed(boundaries))
    )


HOSTILE = {
    "parts in parts": nest(20_000),
    "letters in letters": b"Content-Type: message/rfc822\n\n" * 30_000,
    "a million parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n" * 200_000,
    "a million headers": b"a: b\n" * 200_000 + b"\n",
    "a long header": b"Subject: " + b"=?utf-8?q?a?= " * 60_000 + b"\n\n",
    "folded lines": b"Content-Type: multipart/mixed;\n" + b" boundary\n" * 100_000 + b"\n",
    "many recipients": make_status("a@b.example", "5.1.1", "550").replace(
        b"Final-Recipient",
        b"Action: failed\n\nFinal-Recipient: rfc822; a@b.example\n" * 20_000 + b"Final-Recipient",
    ),
    "50 MB": make_status("ann@example.org", "5.1.1", "550 5.1.1") + b"x" * 50_000_000,
    "one line": b"\n" + b"<a@b.c" * 170_000,
    "spaces": b"\n" + b"Message-ID:" + b" \n" * 500_000,
}


def test_hostile_letters_take_little_time() -> None:
    for name, raw in HOSTILE.items():
        start = time.process_time()
        reports = read_return(raw)
        assert time.process_time() - start < 1.5, name
        assert 1 <= len(reports) <= 500, name
        assert all(len(report.diagnostic) <= 1000 for report in reports), name
    assert read_one(HOSTILE["50 MB"]).recipient == "ann@example.org"
