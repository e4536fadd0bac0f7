"""Test Dockerfile and compose.yaml, as far as possible without Docker."""

import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser  # type: ignore[import-untyped]  # it has no types
from ruamel.yaml import YAML

from config import load_config
from skymailing.commands import COMMANDS

ROOT = Path(__file__).parents[2]
COMMAND_NAMES = set(COMMANDS)
OUR_SERVICES = ("web", "worker", "scheduler", "migrate")


@pytest.fixture(scope="module")
def stages() -> list[list[dict[str, Any]]]:
    """Return the instructions in each stage."""
    stages: list[list[dict[str, Any]]] = []
    for step in DockerfileParser(path=str(ROOT / "Dockerfile")).structure:
        if step["instruction"] == "FROM":
            stages.append([])
        if step["instruction"] != "COMMENT":
            stages[-1].append(step)
    return stages


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = YAML(typ="safe").load(ROOT / "compose.yaml")["services"]
    return services


def list_values(stage: list[dict[str, Any]], instruction: str) -> list[str]:
    return [step["value"] for step in stage if step["instruction"] == instruction]


def test_copied_files_exist_and_are_not_ignored(stages: list[list[dict[str, Any]]]) -> None:
    not_ignored = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = [value.split()[:-1] for value in list_values(stages[0], "COPY")]

    assert {name for names in copied for name in names} == not_ignored
    assert all((ROOT / name).exists() for name in not_ignored)


def test_the_base_image_is_a_single_versioned_python(stages: list[list[dict[str, Any]]]) -> None:
    bases = {value.split()[0] for stage in stages for value in list_values(stage, "FROM")}

    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", bases.pop())


def test_the_final_image_has_no_build_tools_and_does_not_run_as_root(
    stages: list[list[dict[str, Any]]],
) -> None:
    final = stages[-1]
    run = " ".join(list_values(final, "RUN"))

    assert len(stages) == 2
    assert list_values(final, "USER") == ["skymailing"]
    assert "pip uninstall -y -q --root-user-action=ignore setuptools wheel pip" in run
    assert not re.search(r"pip install|gcc|build-essential|-dev\b|\bmake\b|\bgit\b|curl", run)
    assert "--no-install-recommends" in run
    assert "rm -rf /var/lib/apt/lists/*" in run
    order = [step["instruction"] for step in final]
    assert order.index("USER") > len(order) - 1 - order[::-1].index("RUN"), (
        "no command runs as root afterwards"
    )


def test_packages_are_verified_by_hash_and_translations_are_compiled(
    stages: list[list[dict[str, Any]]],
) -> None:
    run = " ".join(list_values(stages[0], "RUN"))

    assert "--require-hashes --no-deps" in run
    assert "-r requirements.lock" in run
    assert "compile -d skymailing/translations" in run


def test_the_image_starts_the_web_server_and_checks_its_health(stages: list[list[dict[str, Any]]]) -> None:
    final = stages[-1]
    (check,) = list_values(final, "HEALTHCHECK")

    assert list_values(final, "ENTRYPOINT") == ['["flask"]']
    assert list_values(final, "CMD") == ['["web"]']
    assert "web" in COMMAND_NAMES
    assert "http://127.0.0.1:8000/healthz" in check
    assert "PORT=8000" in " ".join(list_values(final, "ENV"))


def test_compose_file_matches_its_schema() -> None:
    """Check the file as `docker compose config` does, with the schema that Compose publishes."""
    result = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert result.returncode == 0, result.stdout


def test_compose_runs_existing_commands(services: dict[str, Any]) -> None:
    assert set(services) == {*OUR_SERVICES, "postgresql", "valkey"}
    for name in OUR_SERVICES:
        assert services[name]["command"][0] in COMMAND_NAMES
        check = services[name].get("healthcheck", {}).get("test")
        assert check is None or check[:3] == ["CMD", "flask", "doctor"]


def test_each_service_is_restarted_monitored_and_read_only(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["restart"] == ("on-failure" if name == "migrate" else "unless-stopped")
        assert service["read_only"] is True
        assert service["security_opt"] == ["no-new-privileges:true"]
        if name != "web":  # its image has a health check
            assert service["healthcheck"]
    for name in OUR_SERVICES:
        assert list_dependencies(services, name) <= set(services)
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["volumes"] == ["data:/data"]


def list_dependencies(services: dict[str, Any], name: str) -> set[str]:
    return set(services[name]["depends_on"])


def test_servers_receive_the_signal_from_docker_stop(services: dict[str, Any]) -> None:
    """A shell or a pipe around the server would not forward SIGTERM."""
    script = services["valkey"]["command"][-1]

    assert re.search(r"&& exec valkey-server \S+$", script.strip())
    assert "|" not in script
    assert "REDISCLI_AUTH" in script, "the password is not an argument"


def test_no_port_is_public(services: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert ports == {"web": ["127.0.0.1:8000:8000"]}


def test_each_compose_variable_is_in_the_example_and_has_no_default() -> None:
    text = re.sub(r"#.*", "", (ROOT / "compose.yaml").read_text())
    example = (ROOT / "deploy/compose.env.example").read_text()
    used = set(re.findall(r"(?<!\$)\$\{(\w+)([^}]*)\}", text))

    assert {name for name, _ in used} == {"POSTGRES_PASSWORD", "VALKEY_PASSWORD"}
    assert all(fallback == ":?set it in .env" for _, fallback in used)
    assert all(re.search(rf"^{name}=$", example, re.MULTILINE) for name, _ in used)


@pytest.mark.parametrize("example", ["skymailing.env.example", "compose.env.example"])
def test_the_examples_are_complete_except_for_secrets(
    example: str, services: dict[str, Any], tmp_path: Path
) -> None:
    lines = (ROOT / "deploy" / example).read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    composed = dict(services["web"]["environment"]) if example.startswith("compose") else {}
    composed = {name: re.sub(r"\$\{[^}]*\}", "password", value) for name, value in composed.items()}
    settings = {"SKYMAILING_ENV": "production"} | given | composed | {"DATA_DIR": str(tmp_path)}

    assert settings["SECRET_KEY"] == ""
    config = load_config(settings | {"SECRET_KEY": secrets.token_hex(32)})

    assert config.PORT == 8000
    assert config.SQLALCHEMY_DATABASE_URI.startswith("postgresql+psycopg://")
    assert not config.EMBEDDED_REDIS


def test_the_examples_contain_only_documented_settings() -> None:
    documented = set(re.findall(r"`([A-Z_]+)`", (ROOT / "README.md").read_text()))
    for example in ("skymailing.env.example", "compose.env.example"):
        named = set(re.findall(r"^([A-Z_]+)=", (ROOT / "deploy" / example).read_text(), re.MULTILINE))
        # These two settings are only for Compose.
        assert named - documented <= {"POSTGRES_PASSWORD", "VALKEY_PASSWORD"}
