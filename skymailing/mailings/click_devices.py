"""Show on which devices people clicked; sums for a run, never for a person."""

from dataclasses import dataclass

from flask_babel import gettext as _

from skymailing.models import Run

MIN_PEOPLE = 10  # fewer could say which device someone uses


@dataclass(frozen=True)
class DeviceShare:
    """A kind of device, and the people who first clicked on it."""

    name: str
    people: int


def list_devices(run: Run) -> list[DeviceShare]:
    """Return the devices, the most frequent first; empty if too few people clicked, or if none is known."""
    counts = {
        _("Phone"): run.clicked_on_phone,
        _("Computer"): run.clicked_on_computer,
        _("Tablet"): run.clicked_on_tablet,
    }
    # Clicks that are taken back count as a computer's, so a number can become too small.
    known = [DeviceShare(name, max(0, people)) for name, people in counts.items()]
    total = sum(device.people for device in known)
    if total < MIN_PEOPLE:
        return []
    shown = sorted((device for device in known if device.people), key=lambda device: -device.people)
    unknown = run.clicked - total
    return [*shown, DeviceShare(_("Unknown device"), unknown)] if unknown > 0 else shown
