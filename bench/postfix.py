"""Find or unpack Postfix's smtp-sink and smtp-source, and run the sink."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

UNPACKED = Path(__file__).parent / ".postfix"
BACKLOG = "1024"
COUNTERS = re.compile(rb"mesg=(\d+)")

ADVICE = """\
The benchmarks need smtp-sink and smtp-source, two test programs from Postfix.
On Debian and Ubuntu, `make bench` unpacks them automatically, but this failed: {problem}
To do it manually: apt-get download postfix && dpkg-deb -x postfix_*.deb bench/.postfix
On other systems, install the package postfix; its service need not run."""


class PostfixMissing(Exception):
    """The programs are not installed and cannot be unpacked."""


@dataclass(frozen=True)
class Postfix:
    """The two programs and their environment."""

    sink: str
    source: str
    environment: dict[str, str]


def find_postfix(unpacked: Path = UNPACKED) -> Postfix:
    """Find the programs in PATH, /usr/sbin or `unpacked`, or unpack them; may raise PostfixMissing."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    sink, source = (shutil.which(name, path=path) for name in ("smtp-sink", "smtp-source"))
    if sink and source:
        return Postfix(sink, source, dict(os.environ))
    directory = unpacked / "usr" / "sbin"
    if not (directory / "smtp-sink").exists():
        unpack_postfix(unpacked)
    libraries = [unpacked / "usr/lib/postfix", *sorted((unpacked / "usr/lib").glob("*-linux-gnu*"))]
    environment = os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries))}
    postfix = Postfix(str(directory / "smtp-sink"), str(directory / "smtp-source"), dict(environment))
    if missing := find_missing_libraries(postfix):
        download(unpacked, missing)
    return postfix


def unpack_postfix(directory: Path) -> None:
    """Download and unpack Debian's package without installing it; raise PostfixMissing on failure."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise PostfixMissing(ADVICE.format(problem="apt-get was not found"))
    download(directory, ["postfix"])


def download(directory: Path, packages: list[str]) -> None:
    """Download Debian packages and unpack them in `directory`; raise PostfixMissing on failure."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        for package in packages:
            # apt's sandbox user cannot write to the directory; its message about that is harmless.
            subprocess.run(
                ["apt-get", "download", package], cwd=directory, check=True, capture_output=True, text=True
            )
        for archive in directory.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", archive, directory], check=True, capture_output=True, text=True)
            archive.unlink()
    except subprocess.CalledProcessError as error:
        raise PostfixMissing(ADVICE.format(problem=error.stderr.strip())) from error


def find_missing_libraries(postfix: Postfix) -> list[str]:
    """Return the packages of shared libraries that the unpacked programs need and the system lacks."""
    packages = {"libdb": "libdb5.3", "libnsl": "libnsl2", "libicu": "libicu*", "libtirpc": "libtirpc3*"}
    listing = subprocess.run(["ldd", postfix.sink], env=postfix.environment, capture_output=True, text=True)
    missing = [line.split()[0] for line in listing.stdout.splitlines() if "not found" in line]
    return sorted({name for lib in missing for prefix, name in packages.items() if lib.startswith(prefix)})


class Sink:
    """A running smtp-sink, which accepts and counts all letters."""

    def __init__(self, postfix: Postfix, directory: Path) -> None:
        self.port = find_free_port()
        self._counters = directory / "smtp-sink.out"
        command = [postfix.sink, "-c", *list_user_options(), f"127.0.0.1:{self.port}", BACKLOG]
        with self._counters.open("wb") as output:
            self._process = subprocess.Popen(
                command, env=postfix.environment, stdout=output, stderr=subprocess.STDOUT
            )
        wait_for_port(self.port, self._process, self._counters)

    @property
    def letters(self) -> int:
        """The number of letters accepted so far."""
        with self._counters.open("rb") as file:
            file.seek(max(0, self._counters.stat().st_size - 200))
            found = COUNTERS.findall(file.read())
        return int(found[-1]) if found else 0

    def stop(self) -> None:
        """Stop the sink."""
        self._process.terminate()
        self._process.wait(10)


def list_user_options() -> list[str]:
    """Return the option for an unprivileged user, which smtp-sink requires when started by root."""
    return ["-u", "daemon"] if os.geteuid() == 0 else []


def find_free_port() -> int:
    """Return an unused TCP port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until `process` listens on `port`; raise RuntimeError with its output if it does not."""
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"{process.args!r} does not listen: {log.read_text(errors='replace')}")
        time.sleep(0.05)
