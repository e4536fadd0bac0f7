"""If several programs change the same version of an object at once, only one succeeds."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from skymailing.models import User
from tests.api.conftest import MakeProgram

PROGRAMS = 6
CASES = [
    ("/tags", "tag_id", "name"),
    ("/topics", "topic_id", "name"),
    ("/messages", "message_id", "subject"),
    ("/clients", "client_id", "full_name"),
]


@pytest.mark.parametrize(("path", "id", "field"), CASES)
def test_one_of_several_conditional_changes_succeeds(
    make_program: MakeProgram, user: User, arguments: dict[str, Any], path: str, id: str, field: str
) -> None:
    place = f"{path}/{arguments[id]}"
    programs = [make_program(user) for _number in range(PROGRAMS)]
    for attempt in range(5):
        etag = programs[0].get(place).headers["ETag"]

        def change(number: int, attempt: int = attempt, etag: str = etag) -> int:
            values = {field: f"n{attempt}-{number}"}
            return programs[number].send("PATCH", place, values, {"If-Match": etag}).status_code

        with ThreadPoolExecutor(PROGRAMS) as threads:
            statuses = sorted(threads.map(change, range(PROGRAMS)))
        assert statuses == [200] + [412] * (PROGRAMS - 1)
