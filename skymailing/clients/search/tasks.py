"""Update the trigram index in the background."""

import time
from collections.abc import Callable

from skymailing.clients.search import attribute_names, index
from skymailing.clock import utcnow
from skymailing.db.engine import StopCheck, let_others_write
from skymailing.extensions import db


def update_index(should_stop: StopCheck) -> bool:
    """Index changed clients until all are done or `should_stop` returns True; return whether any are left."""
    started_at = time.monotonic()
    while True:
        batch_started = time.monotonic()
        count = index.index_batch()
        if not count:
            index.merge_pending()
            db.session.commit()
            return _check_names(lambda: should_stop(time.monotonic() - started_at))
        db.session.commit()
        if should_stop(time.monotonic() - started_at):
            return True
        let_others_write(time.monotonic() - batch_started)


def _check_names(should_stop: Callable[[], bool]) -> bool:
    """Check names of attributes until `should_stop` returns True; return whether any are left."""
    while attribute_names.check_next(utcnow()):
        db.session.commit()
        if should_stop():
            return True
    db.session.commit()
    return False
