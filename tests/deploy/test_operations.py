"""Test that docs/operations.md mentions only existing commands, files, units and links."""

import re
import subprocess
from pathlib import Path

from skymailing.commands import COMMANDS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/operations.md").read_text()


def test_each_command_exists() -> None:
    command_lines = "\n".join(line for line in TEXT.splitlines() if line.startswith("    "))
    commands = set(re.findall(r"(?:^ {4}skymailing|exec web flask) (\w+)", command_lines, re.MULTILINE))

    assert {"doctor", "db", "users", "backup", "restore"} <= commands
    assert commands <= set(COMMANDS)


def test_each_named_file_exists() -> None:
    files = set(re.findall(r"(?<![\w/])(?:/opt/skymailing/current/)?(deploy/[\w./-]+\w)", TEXT))

    assert len(files) >= 4
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_each_enabled_unit_exists() -> None:
    units = {path.name.removesuffix(".service") for path in (ROOT / "deploy/systemd").iterdir()}
    enabled = {
        re.sub(r"@\d$", "@", name)
        for line in re.findall(r"systemctl enable --now (.+)", TEXT)
        for name in line.split()
    }

    assert len(enabled) >= 5
    assert enabled <= units


def test_each_link_leads_to_a_heading_or_a_file() -> None:
    headings = {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        file, _, anchor = target.partition("#")
        assert (ROOT / "docs" / file).exists() if file else anchor in headings, target


def test_stopping_the_service_waits_for_all_its_units() -> None:
    """If only the target were stopped, letters could still be sent after the backup for a server move."""
    stop_arguments = re.findall(r"^ {4}systemctl stop (.*skymailing\.target.*)$", TEXT, re.MULTILINE)

    assert len(stop_arguments) >= 2
    assert set(stop_arguments) == {"skymailing.target 'skymailing-*.service'"}


def test_the_wrapper_is_a_shell_script() -> None:
    subprocess.run(["sh", "-n", ROOT / "deploy/skymailing"], check=True)
