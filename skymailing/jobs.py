"""What rq workers run: each takes ids, calls one service, and may run twice without harm."""

import functools
from collections.abc import Callable
from typing import ParamSpec

from flask import current_app

P = ParamSpec("P")


def job(function: Callable[P, None]) -> Callable[P, None]:
    """Give a job an application context, and so a database session, of its own."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with current_app.app_context():
            function(*args, **kwargs)

    return run
