"""Links and letters of runs whose clicks are counted."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Delivery, Run, RunLink


def add_links(session: Session, run: Run) -> Run:
    """Give the letters of a run five links; return the run."""
    for number in range(1, 6):
        session.add(RunLink(run_id=run.id, number=number, url=f"https://shop.example/{number}"))
    session.flush()
    return run


def list_letter_ids(session: Session, run: Run) -> list[int]:
    return list(session.scalars(select(Delivery.id).where(Delivery.run_id == run.id).order_by(Delivery.id)))
