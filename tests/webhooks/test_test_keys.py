"""Test that events of test keys say so, and that their letters are not reported."""

from collections.abc import Callable
from datetime import timedelta

from skymailing.clock import utcnow
from skymailing.models import EventType
from tests.api.conftest import Program, make_program, tester  # noqa: F401 - fixtures
from tests.support.factories import ClientFactory, MessageFactory
from tests.webhooks.conftest import Hooks

TYPES = (
    *(EventType.MAILING_STARTED, EventType.MAILING_PAUSED, EventType.MAILING_FINISHED),
    *(EventType.RUN_FINISHED, EventType.LETTERS_CHANGED),
)


def test_events_of_a_test_keys_mailing_are_marked(
    hooks: Hooks,
    tester: Program,  # noqa: F811
    work: Callable[[], None],
) -> None:
    ClientFactory.create(owner=hooks.user)
    hooks.make_endpoint(hooks.user, hooks.receiver.port, *TYPES)
    values = {
        "name": "Trial",
        "message_id": MessageFactory.create(owner=hooks.user).id,
        "audience": "all",
        "ends_at": (utcnow() + timedelta(days=1)).isoformat(),
    }
    mailing = tester.write("POST", "/mailings", values, 201)
    tester.write("POST", f"/mailings/{mailing['id']}/pause")
    tester.write("POST", f"/mailings/{mailing['id']}/resume")
    work()
    hooks.send_calls()
    events = [request.event for request in hooks.receiver.requests]
    assert {event["type"] for event in events} == {
        type_.value for type_ in TYPES if type_ is not EventType.LETTERS_CHANGED
    }
    assert all(event["data"]["test"] is True for event in events)
    assert all(event["data"]["mailing"]["name"] == "Trial" for event in events)
