"""List the service's processes, and write the supervisor's configuration for them."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skymailing.processes.embedded_redis import redis_command

WEB_PROCESSES = 2
WEB_THREADS = 8
UP_GRACE_SECONDS = 5  # `flask up` stops its programs one after another, within 20 s in total under load
LOG_SIZE = "10MB"
LOG_BACKUPS = 3


@dataclass(frozen=True)
class Program:
    """One process, or `copies` of it; the lowest `order` starts first and stops last."""

    name: str
    command: list[str]
    order: int
    stop_seconds: int  # between SIGTERM and SIGKILL
    copies: int = 1


def list_programs(config: dict[str, Any]) -> list[Program]:
    """Return the programs to run with these settings; create the directories of the bundled Valkey server."""
    programs = []
    if config["EMBEDDED_REDIS"]:
        programs.append(Program("redis", redis_command(config["DATA_DIR"]), order=10, stop_seconds=15))
    if config["MAIL_CATCHER"]:
        programs.append(Program("catcher", _flask_command("catcher"), order=20, stop_seconds=5))
    if config["WORKERS"]:
        # A worker finishes the window of letters that it has started.
        programs.append(
            Program("worker", _flask_command("worker"), order=30, stop_seconds=40, copies=config["WORKERS"])
        )
    programs.append(Program("scheduler", _flask_command("scheduler"), order=40, stop_seconds=5))
    programs.append(Program("web", build_web_command(config, UP_GRACE_SECONDS), order=50, stop_seconds=10))
    return programs


def build_configuration(programs: list[Program]) -> str:
    """Return the configuration file for a supervisor that runs in the log directory.

    Log files are named without a directory, because supervisor would interpret `%`, `;` and `#` in it.
    """
    parts = [
        _write_section(
            "supervisord",
            nodaemon="true",
            silent="true",
            identifier="skymailing",
            pidfile="supervisor.pid",
            childlogdir=".",
            nocleanup="true",
            **_log("supervisor", ""),
        )
    ]
    parts += [_write_program_section(program) for program in programs]
    return "\n".join(parts)


def bind_address(host: str, port: int) -> str:
    """Return host:port for gunicorn and URLs, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def build_web_command(config: dict[str, Any], grace_seconds: int = 10) -> list[str]:
    """Return the command line of the web server; GUNICORN_CMD_ARGS can add options.

    After SIGTERM, requests get `grace_seconds` to finish.
    """
    options = {
        "bind": bind_address(config["HOST"], config["PORT"]),
        "worker-class": "gthread",
        "workers": str(WEB_PROCESSES),
        "threads": str(WEB_THREADS),
        "graceful-timeout": str(grace_seconds),
        # Otherwise a request's SCRIPT_NAME header could change every link on its page.
        "forwarder-headers": "",
        "log-level": "warning",
        "logger-class": "skymailing.logs.gunicorn.Logger",
    }
    command = [sys.executable, "-m", "gunicorn", "wsgi:app", "--preload", "--no-control-socket"]
    return command + [f"--{name}={value}" for name, value in options.items()]


def get_logs_directory(data_dir: Path) -> Path:
    """Return the directory for the logs of all processes."""
    return data_dir / "logs"


def _flask_command(command: str) -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "wsgi", command]


def _write_program_section(program: Program) -> str:
    numbered = program.copies > 1
    return _write_section(
        f"program:{program.name}",
        command=_quote(program.command),
        process_name="%(program_name)s-%(process_num)d" if numbered else "%(program_name)s",
        numprocs=program.copies,
        numprocs_start=1,
        priority=program.order,
        autorestart="true",
        startsecs=1,
        # Retry forever: the cause of a failed start may be fixed at any time.
        startretries=1_000_000_000,
        stopsignal="TERM",
        stopwaitsecs=program.stop_seconds,
        killasgroup="true",
        redirect_stderr="true",
        **_log(program.name + ("-%(process_num)d" if numbered else ""), "stdout_"),
    )


def _log(name: str, prefix: str) -> dict[str, object]:
    return {
        f"{prefix}logfile": f"{name}.log",
        f"{prefix}logfile_maxbytes": LOG_SIZE,
        f"{prefix}logfile_backups": LOG_BACKUPS,
    }


def _quote(command: list[str]) -> str:
    quoted = shlex.join(command).replace("%", "%%")
    # Even within quotes, a space before # or ; starts a comment, so '' separates them.
    return quoted.replace(" #", " ''#").replace(" ;", " '';")


def _write_section(name: str, **options: object) -> str:
    return "\n".join([f"[{name}]", *(f"{key}={value}" for key, value in options.items()), ""])
