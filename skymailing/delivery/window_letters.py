"""Render the letters of a window, one after the other."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from skymailing.clock import utcnow
from skymailing.delivery.audience.flags import find_for_deliveries
from skymailing.delivery.batch import Batch
from skymailing.delivery.dispatcher import Dispatcher
from skymailing.delivery.ledger.claims import Claimed
from skymailing.delivery.ledger.open_runs import OpenRun
from skymailing.delivery.rendering.flags import NO_FLAGS, Flags
from skymailing.delivery.rendering.letter import LetterTemplate, Recipient, TemplateError
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.models import StateReason
from skymailing.tokens import unsubscribe_tokens
from skymailing.web.urls import unsubscribe_url


@dataclass(frozen=True, slots=True)
class Outlet:
    """The route of the letters, with the return address and size limit that it implies."""

    route: str
    bounce_address: str  # to which the tokens of return paths are added; empty if unused
    largest_letter: float  # bytes


def render_letters(
    run: OpenRun, batch: Batch, confirmed: list[Claimed], dispatcher: Dispatcher, outlet: Outlet
) -> Iterator[Letter]:
    """Yield the letters that the rates allow, each rendered when a session is ready for it."""
    try:
        find_template = _compile_contents(run, dispatcher, confirmed)
        flags = _find_flags(run, find_template, confirmed)
    except TemplateError as error:
        batch.stop(StateReason.RENDER_FAILED, str(error))
        return
    now, rates = utcnow(), dispatcher.rates_of(run)
    base, make_token = unsubscribe_url(""), unsubscribe_tokens(run.owner_id, run.topic_id)
    limit, is_limited = outlet.largest_letter, rates.is_limited
    for claimed in confirmed:
        if is_limited and not rates.allow(outlet.route, run.mailing_id, claimed.email):
            if rates.was_held_back:
                return
            continue
        url = base + make_token(claimed.email_key)
        template = find_template(claimed.content_id if run.is_transactional else claimed.variant)
        if len(template.tail.content) > limit and not run.is_transactional:
            batch.stop(StateReason.TOO_LARGE, f"{len(template.tail.content)}/{limit}")
            return
        path = template.run.make_return_path(claimed.id, outlet.bounce_address)
        letter = Letter(claimed.id, claimed.attempts + 1, claimed.email, b"", path, template.tail.content)
        try:
            letter.content = template.render(claimed.id, _make_recipient(claimed, flags), url, now)
        except TemplateError as error:
            # This client's data breaks the letter; letters to other clients may be fine.
            if _fail_unsent(run, batch, dispatcher, letter, f"the letter cannot be rendered: {error}"):
                batch.stop(StateReason.RENDER_FAILED, str(error))
                return
            continue
        if letter.size > limit:
            reply = f"the letter has {letter.size} bytes, and the mail server accepts at most {limit}"
            if _fail_unsent(run, batch, dispatcher, letter, reply):
                batch.stop(StateReason.REJECTED, reply)
                return
            continue
        yield letter


def _compile_contents(
    run: OpenRun, dispatcher: Dispatcher, letters: Iterable[Claimed]
) -> Callable[[int | None], LetterTemplate]:
    """Return a function that finds a compiled content by variant, or by ID for transactional letters."""
    if run.is_transactional:
        ids = {claimed.content_id for claimed in letters if claimed.content_id is not None}
        return dispatcher.make_letter_templates(run, ids)
    numbers = {letter.variant for letter in letters}
    return {number: dispatcher.get_template(run, number) for number in numbers}.__getitem__


def _make_recipient(claimed: Claimed, flags: Mapping[int, Flags]) -> Recipient:
    values = claimed.email, claimed.full_name, claimed.attributes, claimed.counts_opens
    return Recipient(*values, flags=flags.get(claimed.id, NO_FLAGS))


def _find_flags(
    run: OpenRun, find_template: Callable[[int | None], LetterTemplate], letters: Collection[Claimed]
) -> Mapping[int, Flags]:
    """Return the conditions on tags and segments that hold, by delivery; raises TemplateError."""
    if run.is_transactional:  # their recipients need not be clients
        return {}
    variants = {letter.variant for letter in letters}
    used = sorted({flag for variant in variants for flag in find_template(variant).flags})
    return find_for_deliveries(run.owner_id, used, [letter.id for letter in letters]) if used else {}


def _fail_unsent(run: OpenRun, batch: Batch, dispatcher: Dispatcher, letter: Letter, reason: str) -> bool:
    """Fail a letter that cannot be sent; return whether the mailing should pause."""
    letter.content = b""
    result = Result(letter, Verdict.FAILED, None, reason)
    batch.results.append(result)
    return dispatcher.rejections.record(run.id, result) >= dispatcher.rejections.limit
