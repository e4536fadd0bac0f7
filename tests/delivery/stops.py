"""Stop a mailing in each possible way, and resume it."""

from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.mailings import services
from skymailing.models import Mailing


def stop(mailing: Mailing, how: str) -> None:
    match how:
        case "pause":
            services.pause_mailing(mailing, utcnow())
        case "cancel":
            services.cancel_mailing(mailing, utcnow())
        case "disable":
            services.disable_mailing(mailing, "complaints", utcnow(), current_actor())
        case "block":
            mailing.owner.blocked_at = utcnow()


def resume(mailing: Mailing, how: str) -> None:
    match how:
        case "pause":
            services.resume_mailing(mailing, utcnow(), current_actor())
        case "disable":
            services.enable_mailing(mailing, "looked into", current_actor())
        case "block":
            mailing.owner.blocked_at = None
