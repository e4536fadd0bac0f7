"""One SMTP session, pipelined where the server offers it, and what its replies mean.

A session is a conversation without a clock or a socket of its own will: `Exchange` feeds it bytes
and tells it when time is up. Sources: RFC 5321 (replies), RFC 2920 (pipelining).
"""

import re
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from skymailing.delivery.smtp.replies import Reply, ReplyReader, SessionLost

# Sessions and credentials, not letters, are what these codes complain about.
ROUTE_FAULT_CODES = {421, 454, 530, 535}
GOODBYE = 421
# RFC 3463: the sender's address is at fault, which some servers say only when they hear the recipient's.
SENDERS_ADDRESS = re.compile(r"5\.1\.[78]\b")


class Verdict(StrEnum):
    """What became of one letter in one session."""

    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNKNOWN = "unknown"
    # Not the letter's doing; it goes back to pending and no attempt is counted.
    RELEASED = "released"
    ROUTE_FAULT = "route-fault"
    SENDER_REFUSED = "sender-refused"


# After these there is nothing more to hand over in this session.
ENDS_SESSION = {Verdict.ROUTE_FAULT, Verdict.SENDER_REFUSED}


class Stage(StrEnum):
    """Which command a reply answers."""

    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    DOT = "after the dot"


@dataclass(slots=True)
class Letter:
    """One recipient's letter, ready to be handed over; `content` has CRLF line ends.

    Emptied once it is written: results keep their letters until the whole window is recorded.
    """

    delivery_id: int
    number: int
    recipient: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Result:
    """How handing over one letter ended, with the server's own words."""

    letter: Letter
    verdict: Verdict
    code: int | None = None
    answer: str = ""
    # What the server answered to; unknown when it said nothing.
    stage: "Stage | None" = None
    seconds: float = 0.0  # since it was this letter's turn in its session
    content_seconds: float | None = None  # of these, since its body was on the way, if it came to that


class Journal(Protocol):
    """Where a session notes, before it is too late to ask, what it is about to do and what came back."""

    def begin(self, letter: Letter) -> None: ...

    def end(self, result: Result) -> None: ...


def classify(stage: Stage, code: int, text: str = "") -> Verdict:
    """Return what a reply to `stage` means for the letter; DATA's 354 is not asked about."""
    if code in ROUTE_FAULT_CODES:
        return Verdict.ROUTE_FAULT
    if 400 <= code < 500:
        return Verdict.DEFERRED
    if 500 <= code < 600:
        is_senders = stage is Stage.MAIL or SENDERS_ADDRESS.match(text)
        return Verdict.SENDER_REFUSED if is_senders else Verdict.FAILED
    if 200 <= code < 300 and stage is Stage.DOT:
        return Verdict.SENT
    # A code that no server should give here says nothing about the letter.
    return Verdict.UNKNOWN if stage is Stage.DOT else Verdict.DEFERRED


class Session:
    """The conversation over one connection: takes letters as long as `take` gives any.

    `outgoing` is what waits to be written; the owner reports progress with `sent`, `receive`
    and `lose`, and reads `idle`.
    """

    def __init__(self, sender: str, pipelining: bool) -> None:
        self._mail_from = b"MAIL FROM:<%s>\r\n" % sender.encode("ascii")
        self.pipelining = pipelining
        self.outgoing = bytearray()
        self.idle = True
        self.letters_done = 0
        self._reader = ReplyReader()
        # Bytes still to be written before the current body's final dot has left this process.
        self._body_left = 0
        self._following: Letter | None = None
        # Bytes of `outgoing` that may be unwritten when the next reply comes: what rides behind its command.
        self._behind = 0
        self._turn_to(None)

    def start(
        self,
        take: Callable[[], Letter | None],
        report: Callable[[Result], None],
        journal: Journal,
    ) -> None:
        """Begin handing over letters from `take`, reporting each taken one exactly once."""
        self._take, self._report, self._journal = take, report, journal
        self.idle = False
        self._conversation = self._converse()
        self._advance(None)

    @property
    def letter(self) -> Letter | None:
        """The letter whose replies are awaited."""
        return self._current

    def sent(self, count: int) -> None:
        """Note that `count` bytes of `outgoing` have been written."""
        del self.outgoing[:count]
        self._body_left = max(0, self._body_left - count)

    def receive(self, data: bytes) -> None:
        """Take what the server said; raises SessionLost when it makes no sense."""
        for reply in self._reader.feed(data):
            if self.idle:
                raise SessionLost(f"{reply.code} {reply.text}")
            self._answered = True
            is_early = len(self.outgoing) > self._behind
            if is_early and reply.code < 400:
                raise SessionLost(f"the server answered {reply.code} before it was asked")
            self._advance(reply)
            if is_early:
                # A refusal counts, as not all was written; but who knows what the next answer will be to.
                raise SessionLost(f"{reply.code} {reply.text}")

    def lose(self, reason: str, *, is_interrupted: bool = False) -> None:
        """Report the letters of a conversation that cannot go on.

        The current one is unknown when all of it has been written, and else deferred. When it was we
        who were interrupted, perhaps between writing and counting what was written, it is unknown
        once begun, and else nobody's fault.
        """
        letter, following, refused = self._current, self._following, self._refused
        if letter and self._begun and (self._body_left == 0 or is_interrupted):
            verdict = Verdict.UNKNOWN
        elif self.letters_done and not self._answered:
            # A server may end a session between two letters; this one was never looked at.
            verdict = Verdict.RELEASED
        else:
            verdict = Verdict.RELEASED if is_interrupted else Verdict.DEFERRED
        seconds, content_seconds = self._times()
        self._following = None
        self._turn_to(None)
        self.idle = True
        if letter and refused:
            # What had been said of it stands; only the courtesies after it are missing.
            self._finish(replace(refused, seconds=seconds))
        elif letter:
            told = Result(letter, verdict, None, reason, None, seconds, content_seconds)
            self._finish(told)
        if following:
            self._finish(Result(following, Verdict.RELEASED, None, reason))

    def _advance(self, reply: Reply | None) -> None:
        try:
            if reply is None:
                next(self._conversation)
            else:
                self._conversation.send(reply)
        except StopIteration:
            self.idle = True

    def _turn_to(self, letter: Letter | None) -> None:
        self._current = letter
        self._turned_at = time.monotonic()
        self._begun = False  # whether its body is on the way
        self._body_at = self._turned_at  # since when
        self._answered = False  # whether the server said anything about it
        self._refused: Result | None = None  # what it said before the body, if that was no

    def _converse(self) -> Generator[None, Reply, None]:
        self._turn_to(self._take())
        ahead = False  # whether the current letter's envelope already went out behind a body
        while (letter := self._current) is not None:
            result = yield from self._envelope(letter, ahead)
            ahead = result is None and self._write_body(letter)
            result = result or self._judge(letter, Stage.DOT, (yield))
            self._turn_to(self._following)
            self._following = None
            self._finish(result)
            code = result.code or 0
            if result.verdict in ENDS_SESSION or code == GOODBYE or code // 100 not in (2, 4, 5):
                raise SessionLost(f"{code} {result.answer}")
            if not ahead:
                self._turn_to(self._take())

    def _judge(self, letter: Letter, stage: Stage, reply: Reply) -> Result:
        verdict = classify(stage, reply.code, reply.text)
        if stage is Stage.MAIL and reply.code == GOODBYE and self.letters_done:
            # Servers take so many letters in a session and no more; the next one takes this one.
            verdict = Verdict.RELEASED
        return Result(letter, verdict, reply.code, reply.text, stage, *self._times())

    def _times(self) -> tuple[float, float | None]:
        """Return for how long it has been the current letter's turn, and its body's."""
        now = time.monotonic()
        return now - self._turned_at, now - self._body_at if self._begun else None

    def _envelope(self, letter: Letter, ahead: bool) -> Generator[None, Reply, Result | None]:
        """Bring the server to the point where it waits for the body, or return how it refused the letter."""
        commands = self._commands(letter)
        if self.pipelining and not ahead:
            self.outgoing += b"".join(commands)
        self._behind = sum(map(len, commands)) if self.pipelining else 0
        accepted = False
        for stage, command in zip((Stage.MAIL, Stage.RCPT, Stage.DATA), commands, strict=True):
            if self.pipelining:
                self._behind -= len(command)
            elif self._refused:
                break
            else:
                self.outgoing += command
            reply = yield
            accepted = stage is Stage.DATA and reply.code == 354
            agreed = accepted if stage is Stage.DATA else 200 <= reply.code < 300
            if self._refused is None and not agreed:
                self._refused = self._judge(letter, stage, reply)
                if reply.code in ROUTE_FAULT_CODES or self._refused.verdict in ENDS_SESSION:
                    return self._refused
        if self._refused:
            yield from self._take_back(accepted)
        return self._refused

    def _take_back(self, accepted: bool) -> Generator[None, Reply, None]:
        """End the transaction of a letter that was refused."""
        # RFC 2920: a server may say 354 although it refused the recipient; an empty letter ends that.
        self.outgoing += b".\r\n" if accepted else b"RSET\r\n"
        reply = yield
        if not accepted and reply.code // 100 != 2:
            raise SessionLost(f"{reply.code} {reply.text}")  # nobody says no to RSET: it is out of step

    def _commands(self, letter: Letter) -> tuple[bytes, bytes, bytes]:
        return (
            self._mail_from,
            b"RCPT TO:<%s>\r\n" % letter.recipient.encode("ascii"),
            b"DATA\r\n",
        )

    def _write_body(self, letter: Letter) -> bool:
        """Write the body and, when the server lets us, the next envelope behind it."""
        self._journal.begin(letter)
        self._begun = True
        self._body_at = time.monotonic()
        self.outgoing += dot_stuffed(letter.content)
        letter.content = b""
        self._body_left = len(self.outgoing)
        self._behind = 0
        if not self.pipelining:
            return False
        self._following = self._take()
        ours = time.monotonic() - self._body_at  # the next letter was written meanwhile
        self._turned_at += ours
        self._body_at += ours
        if self._following is None:
            return False
        self.outgoing += b"".join(self._commands(self._following))
        self._behind = len(self.outgoing) - self._body_left
        return True

    def _finish(self, result: Result) -> None:
        self._journal.end(result)
        self.letters_done += 1
        self._report(result)


def dot_stuffed(content: bytes) -> bytes:
    """Return the content as it goes over the wire, the final dot included (RFC 5321, 4.5.2)."""
    if content.startswith(b"."):
        content = b"." + content
    content = content.replace(b"\r\n.", b"\r\n..")
    return content + (b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n")
