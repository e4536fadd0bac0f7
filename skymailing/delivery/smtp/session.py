"""One SMTP session, pipelined if the server supports it.

A session has no socket and no timer: `Pipeline` passes bytes in and out and aborts it on a timeout.
Sources: RFC 5321 (replies), RFC 2920 (pipelining), RFC 6531 (SMTPUTF8).
"""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from skymailing.delivery.smtp.outgoing import Queued, make_mail_from
from skymailing.delivery.smtp.pipelining import Pipelining
from skymailing.delivery.smtp.replies import Reply, ReplyReader, SessionLost
from skymailing.delivery.smtp.verdicts import ENDS_SESSION, ROUTE_FAULT_CODES, Stage, Verdict, classify

CLOSING = 421


@dataclass(slots=True)
class Letter:
    """One recipient's letter, rendered; `content` has CRLF line endings.

    `content` is emptied once written: results hold their letters until the whole window is recorded.
    """

    delivery_id: int
    number: int
    recipient: str
    content: bytes
    # The envelope sender, if it differs from the session's.
    return_path: str = ""
    # The end of the content that many letters share, such as attachments. It ends with a line ending, follows
    # one in `content`, and none of its lines begins with a dot.
    tail: bytes = b""

    @property
    def size(self) -> int:
        return len(self.content) + len(self.tail)


class Result(NamedTuple):
    """The outcome of handing over one letter, with the server's reply."""

    letter: Letter
    verdict: Verdict
    code: int | None = None
    answer: str = ""
    # The command that the server replied to; None if there was no reply.
    stage: "Stage | None" = None
    seconds: float = 0.0  # since the session started this letter
    content_seconds: float | None = None  # since the body was started; None if it was not


class Journal(Protocol):
    """Record each letter before its body is sent, and its result, so that a crash loses neither."""

    def begin(self, letter: Letter) -> None: ...

    def end(self, result: Result) -> None: ...


class Session:
    """The protocol on one connection: hands over letters until `next_letter` returns None.

    `outgoing` holds the bytes to write. The owner of the socket calls `confirm_written`, `receive` and
    `abort`, and checks `is_idle`.
    """

    def __init__(self, sender: str, offers_pipelining: bool, known: Pipelining) -> None:
        self.set_sender(sender)
        self.pipelining = offers_pipelining and known.is_usable
        self._known = known
        self.outgoing = bytearray()
        self._queued = Queued()
        self.is_idle = True
        self.letters_done = 0
        self._reader = ReplyReader()
        # Bytes still to be written up to and including the current body's final dot.
        self._body_left = 0
        self._following: Letter | None = None
        # Bytes of `outgoing` that may still be unwritten when the next reply arrives: those after its
        # command.
        self._behind = 0
        self._switch_to(None)

    def set_sender(self, sender: str) -> None:
        """Use this address in the envelopes of further letters; only while idle."""
        self._mail_from = make_mail_from(sender, is_international=False)
        self._mail_from_utf8 = make_mail_from(sender, is_international=True)

    def start(
        self,
        next_letter: Callable[[], Letter | None],
        report: Callable[[Result], None],
        journal: Journal,
    ) -> None:
        """Start handing over letters from `next_letter`; report each of them exactly once."""
        self._next_letter, self._report, self._journal = next_letter, report, journal
        self.is_idle = False
        self._conversation = self._converse()
        self._advance(None)

    @property
    def letter(self) -> Letter | None:
        """The letter whose replies are awaited."""
        return self._current

    @property
    def body_left(self) -> int | None:
        """The bytes of the current letter's body that are not written yet; None before it is started."""
        return self._body_left if self._has_started_body else None

    def confirm_written(self, count: int) -> None:
        """Remove `count` bytes of `outgoing`, which have been written."""
        del self.outgoing[:count]
        self._body_left = max(0, self._body_left - count)
        if self._queued.pieces:
            self._queued.refill(self.outgoing)

    def receive(self, data: bytes) -> None:
        """Process data from the server; raises SessionLost if it violates the protocol."""
        for reply in self._reader.feed(data):
            if self.is_idle:
                raise SessionLost(f"{reply.code} {reply.text}")
            self._has_replied = True
            is_early = len(self.outgoing) > self._behind or bool(self._queued.pieces)
            if is_early and reply.code < 400:
                raise SessionLost(f"the server replied {reply.code} too early")
            self._advance(reply)
            if is_early:
                # A refusal counts, but later replies can no longer be matched to commands.
                raise SessionLost(f"{reply.code} {reply.text}")

    def abort(self, reason: str, *, is_interrupted: bool = False, is_silent: bool = False) -> None:
        """Report the letters of a session that cannot continue.

        The current letter is unknown if all of it was written, otherwise deferred. `is_silent` means that
        the server stopped replying: it may have dropped commands that were sent ahead. `is_interrupted`
        means that our own process failed, perhaps between a write and its confirmation: the letter is
        unknown if its body was started, otherwise released.
        """
        letter, following, refused = self._current, self._following, self._refused
        if letter and self._has_started_body and (self._body_left == 0 or is_interrupted):
            verdict = Verdict.UNKNOWN
        elif is_silent and self._may_have_dropped_commands() and self._known.doubt(reason):
            verdict = Verdict.RELEASED
        elif self.letters_done and not self._has_replied:
            # A server may end a session between two letters; it has not replied to this one.
            verdict = Verdict.RELEASED
        else:
            verdict = Verdict.RELEASED if is_interrupted else Verdict.DEFERRED
        seconds, content_seconds = self._measure_times()
        self._following = None
        self._switch_to(None)
        self.is_idle = True
        if letter and not self.pipelining:
            self._known.judge(False, None)
        if letter and refused:
            # The refusal is final, although the transaction was not ended.
            self._finish(refused._replace(seconds=seconds))
        elif letter:
            self._finish(Result(letter, verdict, None, reason, None, seconds, content_seconds))
        if following:
            self._finish(Result(following, Verdict.RELEASED, None, reason))

    def _may_have_dropped_commands(self) -> bool:
        """Return whether the server replied to the command before those that were sent ahead."""
        return self.pipelining and not self._has_started_body and (self._has_replied or self.letters_done > 0)

    def _advance(self, reply: Reply | None) -> None:
        try:
            if reply is None:
                next(self._conversation)
            else:
                self._conversation.send(reply)
        except StopIteration:
            self.is_idle = True

    def _switch_to(self, letter: Letter | None) -> None:
        self._current = letter
        self._switched_at = time.monotonic()
        self._has_started_body = False  # whether the letter's body was started
        self._body_at = self._switched_at  # when that was
        self._has_replied = False  # whether the server has replied to it
        self._refused: Result | None = None  # the result, if it was refused before the body

    def _converse(self) -> Generator[None, Reply, None]:
        self._switch_to(self._next_letter())
        ahead = False  # whether this letter's envelope has already been sent after the previous body
        while (letter := self._current) is not None:
            result = yield from self._send_envelope(letter, ahead)
            ahead = result is None and self._write_body(letter)
            result = result or self._classify_reply(letter, Stage.DOT, (yield))
            self._switch_to(self._following)
            self._following = None
            self._finish(result)
            code = result.code or 0
            if not self.pipelining:
                self._known.judge(result.verdict is Verdict.SENT, result.code)
            is_over = self.pipelining and not self._known.is_usable
            if is_over or result.verdict in ENDS_SESSION or code == CLOSING or code // 100 not in (2, 4, 5):
                raise SessionLost(f"{code} {result.answer}")
            if not ahead:
                self._switch_to(self._next_letter())

    def _classify_reply(self, letter: Letter, stage: Stage, reply: Reply) -> Result:
        verdict = classify(stage, reply.code, reply.text, not letter.recipient.isascii())
        if stage is Stage.MAIL and reply.code == CLOSING and self.letters_done:
            # The server limits the number of letters per session; the next session sends this one.
            verdict = Verdict.RELEASED
        return Result(letter, verdict, reply.code, reply.text, stage, *self._measure_times())

    def _measure_times(self) -> tuple[float, float | None]:
        """Return the seconds since the current letter began, and since its body began."""
        now = time.monotonic()
        return now - self._switched_at, now - self._body_at if self._has_started_body else None

    def _send_envelope(self, letter: Letter, ahead: bool) -> Generator[None, Reply, Result | None]:
        """Send the envelope; return None if the server waits for the body, or the result of a refusal."""
        commands = self._make_commands(letter)
        if self.pipelining and not ahead:
            self.outgoing += b"".join(commands)
        self._behind = sum(map(len, commands)) if self.pipelining else 0
        is_body_expected = False
        for stage, command in zip((Stage.MAIL, Stage.RCPT, Stage.DATA), commands, strict=True):
            if self.pipelining:
                self._behind -= len(command)
            elif self._refused:
                break
            else:
                self.outgoing += command
            reply = yield
            is_body_expected = stage is Stage.DATA and reply.code == 354
            is_accepted = is_body_expected if stage is Stage.DATA else 200 <= reply.code < 300
            if self._refused is None and not is_accepted:
                self._refused = self._classify_reply(letter, stage, reply)
                if self.pipelining and self._known.doubts_reply(reply):
                    self._refused = self._refused._replace(verdict=Verdict.RELEASED)
                    return self._refused
                if reply.code in ROUTE_FAULT_CODES or self._refused.verdict in ENDS_SESSION:
                    return self._refused
        # After a refused MAIL there is no transaction to end, and servers limit commands like RSET.
        if ahead and is_body_expected:
            self._known.prove()
        if self._refused and (is_body_expected or self._refused.stage is not Stage.MAIL):
            yield from self._reset_transaction(is_body_expected)
        return self._refused

    def _reset_transaction(self, is_body_expected: bool) -> Generator[None, Reply, None]:
        """End the transaction of a letter that was refused."""
        # RFC 2920: a server may reply 354 although it refused the recipient; an empty letter ends that.
        self.outgoing += b".\r\n" if is_body_expected else b"RSET\r\n"
        reply = yield
        if not is_body_expected and reply.code // 100 != 2:
            raise SessionLost(f"{reply.code} {reply.text}")  # RSET cannot fail: replies are out of step

    def _make_commands(self, letter: Letter) -> tuple[bytes, bytes, bytes]:
        is_international = not letter.recipient.isascii()
        if letter.return_path:
            mail_from = make_mail_from(letter.return_path, is_international)
        else:
            mail_from = self._mail_from_utf8 if is_international else self._mail_from
        return (
            mail_from,
            b"RCPT TO:<%s>\r\n" % letter.recipient.encode("utf-8"),
            b"DATA\r\n",
        )

    def _write_body(self, letter: Letter) -> bool:
        """Write the body and, with pipelining, the next envelope after it."""
        self._journal.begin(letter)
        self._has_started_body = True
        self._body_at = time.monotonic()
        self._queued.write_body(self.outgoing, letter.content, letter.tail)
        letter.content = b""
        self._body_left = len(self.outgoing) + len(self._queued)
        self._behind = 0
        if not self.pipelining:
            return False
        self._following = self._next_letter()
        render_seconds = time.monotonic() - self._body_at  # for the next letter, not the server's time
        self._switched_at += render_seconds
        self._body_at += render_seconds
        if self._following is None:
            return False
        commands = b"".join(self._make_commands(self._following))
        self._behind = len(commands)
        if self._queued.pieces:
            self._queued.add(commands)
        else:
            self.outgoing += commands
        return True

    def _finish(self, result: Result) -> None:
        self._journal.end(result)
        self.letters_done += 1
        self._report(result)
