"""Find programs, or unpack their Debian packages into .cache/, without root and without installing them."""

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "mail-servers"


class PackagesMissing(Exception):
    """The packages are not available on this system."""


@dataclass(frozen=True)
class Program:
    """A program's path, and the environment with the libraries that were unpacked with it."""

    path: str
    environment: dict[str, str]


@cache
def find_program(name: str, package: str) -> Program:
    """Return the installed program, or one from a Debian package; raises PackagesMissing."""
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
    if installed := shutil.which(name, path=path):
        return Program(installed, dict(os.environ))
    directory = unpack(package)
    libraries = sorted({str(library.parent) for library in directory.rglob("*.so*")})
    environment = os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(libraries)}
    return Program(str(next(directory.glob(f"usr/*bin/{name}"))), environment)


def unpack(package: str, *others: str) -> Path:
    """Return the folder with the unpacked packages and the dependencies that the system lacks.

    Raises PackagesMissing without apt or a network.
    """
    directory = CACHE / package
    if (directory / "complete").exists():
        return directory
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise PackagesMissing(f"{package} is unpacked from Debian's package, but there is no apt-get here")
    for folder in ("lists/partial", "archives/partial"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    _run_apt(directory, "update")
    _run_apt(directory, "install", "-y", "--download-only", "--no-install-recommends", package, *others)
    for archive in (directory / "archives").glob("*.deb"):
        _run("dpkg", "-x", str(archive), str(directory))
    for folder in ("lists", "archives"):
        shutil.rmtree(directory / folder)
    for file in directory.rglob("*"):
        if file.is_file() and not file.is_symlink():
            # Programs with set-user-ID ignore LD_LIBRARY_PATH.
            file.chmod(file.stat().st_mode & ~(stat.S_ISUID | stat.S_ISGID))
    (directory / "complete").touch()
    return directory


def _run_apt(directory: Path, *arguments: str) -> None:
    """Run apt-get with its own lists and packages; it reads only the system's list of sources."""
    options = {
        "Debug::NoLocking": "1",
        "APT::Sandbox::User": "",
        "Dir::State::lists": directory / "lists",
        "Dir::Cache": directory,
        "Dir::Cache::archives": directory / "archives",
        "Dir::Log": directory,
    }
    flags = [flag for name, value in options.items() for flag in ("-o", f"{name}={value}")]
    _run("apt-get", "-q", *flags, *arguments)


def _run(*command: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise PackagesMissing(f"{' '.join(command[-3:])} failed: {done.stderr.strip()[-500:]}")
