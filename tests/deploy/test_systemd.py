"""Test the units in deploy/systemd/ with systemd's own tools, and the commands that they run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from skymailing.commands import COMMANDS
from skymailing.processes.programs import list_programs
from tests.support.debian_packages import Program, find_program

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "deploy/systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
RELEASE = "/opt/skymailing/current"
# The unit is tenths, as in `systemd-analyze security`: 0 is fully restricted, 96 is unrestricted.
MAX_EXPOSURE = 20


@pytest.fixture(scope="module")
def analyze() -> Program:
    """Return systemd's tool that checks units."""
    return find_program("systemd-analyze", "systemd")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Install the units and the release into a temporary directory; return it."""
    programs = tmp_path / "current/.venv/bin"
    programs.mkdir(parents=True)
    (programs / "flask").symlink_to(Path(sys.executable).parent / "flask")
    (tmp_path / "current/docs").symlink_to(ROOT / "docs")
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace(RELEASE, str(tmp_path / "current")))
    return tmp_path


def test_systemd_accepts_the_units(installed: Path, analyze: Program) -> None:
    names = [unit.name.replace("@.", "@1.") for unit in UNITS]
    (installed / "skymailing-worker@1.service").symlink_to(installed / "skymailing-worker@.service")
    root = Path(analyze.path).parents[2]  # has the units that ours depend on
    folders = (installed, root / "lib/systemd/system", root / "usr/lib/systemd/system")

    result = subprocess.run(
        [analyze.path, "verify", "--man=no", *(str(installed / name) for name in names)],
        capture_output=True,
        text=True,
        env=analyze.environment | {"SYSTEMD_UNIT_PATH": ":".join(map(str, folders))},
    )

    our_errors = [line for line in result.stderr.splitlines() if "skymailing" in line]
    assert not our_errors
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_is_restricted(installed: Path, analyze: Program, unit: Path) -> None:
    result = subprocess.run(
        [
            analyze.path,
            "security",
            "--offline=true",
            f"--threshold={MAX_EXPOSURE}",
            str(installed / unit.name),
        ],
        capture_output=True,
        text=True,
        env=analyze.environment,
    )

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_runs_an_existing_command(unit: Path) -> None:
    commands = re.findall(rf"{RELEASE}/\.venv/bin/flask --app wsgi (\w+)", unit.read_text())

    assert commands
    assert set(commands) <= set(COMMANDS)


def test_units_allow_at_least_as_much_time_for_stopping_as_flask_up(tmp_path: Path) -> None:
    config = {"EMBEDDED_REDIS": False, "MAIL_CATCHER": False, "WORKERS": 1, "HOST": "127.0.0.1", "PORT": 1}

    for program in list_programs(config | {"DATA_DIR": tmp_path}):
        name = f"skymailing-{program.name}{'@' if program.name == 'worker' else ''}.service"
        text = (ROOT / "deploy/systemd" / name).read_text()
        seconds = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
        assert seconds
        assert int(seconds[1]) >= program.stop_seconds
        assert "\nKillMode=mixed\n" in text
        assert "\nRestart=always\n" in text
