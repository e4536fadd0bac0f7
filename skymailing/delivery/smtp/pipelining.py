"""Find out whether a server that offers PIPELINING (RFC 2920) really supports it.

Some servers, or devices in between, drop the commands after the first one, or reply 503 or 554. In that case,
sessions continue without pipelining; if a letter is accepted that way, pipelining was at fault.
"""

from enum import Enum, auto

from skymailing.delivery.smtp.replies import Reply

# Codes in reply to commands that the server did not expect at this point.
OUT_OF_STEP = {503, 554}


class Trust(Enum):
    """The degree of trust in a server's pipelining."""

    UNPROVEN = auto()
    PROVEN = auto()
    DOUBTED = auto()
    BROKEN = auto()


class Pipelining:
    """What the sessions with a server know about its pipelining."""

    def __init__(self) -> None:
        self.trust = Trust.UNPROVEN
        self.reason = ""

    @property
    def is_usable(self) -> bool:
        return self.trust in (Trust.UNPROVEN, Trust.PROVEN)

    def prove(self) -> None:
        """Record that the server replied to commands that were sent ahead."""
        if self.trust is Trust.UNPROVEN:
            self.trust = Trust.PROVEN

    def doubts_reply(self, reply: Reply) -> bool:
        """Return whether this first refusal of an envelope may be due to pipelining; if so, stop using it."""
        return reply.code in OUT_OF_STEP and self.doubt(f"{reply.code} {reply.text}")

    def doubt(self, reason: str) -> bool:
        """Stop pipelining unless it is known to work; return whether it is in doubt now."""
        if self.trust is Trust.UNPROVEN:
            self.trust, self.reason = Trust.DOUBTED, reason
        return self.trust is Trust.DOUBTED

    def judge(self, is_accepted: bool, code: int | None) -> None:
        """Resolve a doubt with the reply to a letter that was sent step by step; None means no reply."""
        if self.trust is not Trust.DOUBTED:
            return
        if is_accepted:
            self.trust = Trust.BROKEN
        elif code is None or code in OUT_OF_STEP:
            self.trust = Trust.PROVEN  # the same happens without it
