"""Show on which devices people clicked; totals per run, never per person."""

from dataclasses import dataclass

from flask_babel import gettext as _

from skymailing.models import Run
from skymailing.tracking.devices import Device
from skymailing.tracking.storing import DEVICE_COLUMNS

MIN_PEOPLE = 10  # fewer could reveal someone's device


@dataclass(frozen=True)
class DeviceShare:
    """A device type, and how many people first clicked with it."""

    name: str
    people: int


def count_devices(run: Run) -> dict[Device, int]:
    """Return how many people first clicked with each device; empty if too few."""
    # Removed clicks are subtracted from computers, so a count can become too small.
    counts = {device: max(0, getattr(run, column)) for device, column in DEVICE_COLUMNS.items()}
    return counts if sum(counts.values()) >= MIN_PEOPLE else {}


def list_devices(run: Run) -> list[DeviceShare]:
    """Return the devices, the most frequent first; empty if too few people clicked, or if none is known."""
    counts = count_devices(run)
    if not counts:
        return []
    names = {Device.PHONE: _("Phone"), Device.COMPUTER: _("Computer"), Device.TABLET: _("Tablet")}
    known = [DeviceShare(name, counts[device]) for device, name in names.items()]
    total = sum(counts.values())
    shown = sorted((device for device in known if device.people), key=lambda device: -device.people)
    unknown = run.clicked - total
    return [*shown, DeviceShare(_("Unknown device"), unknown)] if unknown > 0 else shown
