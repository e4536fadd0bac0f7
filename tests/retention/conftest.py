"""Give each sweep the time that it needs on a busy machine."""

import pytest

from skymailing.retention import sweep


@pytest.fixture(autouse=True)
def _long_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise the default of one second, after which the next sweep continues."""
    monkeypatch.setattr(sweep.remove_old, "__defaults__", (600.0, None))
