"""Test that every dependency is pinned, locked by hash, and documented with its purpose."""

import importlib.metadata
import re
from collections import defaultdict
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKED = re.compile(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==(\S+?)(?: ; (.+?))? \\$", re.MULTILINE)


def read_requirements(file: str) -> list[Requirement]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-r")]


def read_locked_versions() -> dict[str, set[str]]:
    """Return the versions of each package; there can be several, for different Python versions."""
    versions: dict[str, set[str]] = defaultdict(set)
    for name, version, _marker in LOCKED.findall(read_lock()):
        versions[name].add(version)
    return versions


def read_lock() -> str:
    return (ROOT / "requirements.lock").read_text()


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_each_direct_dependency_is_pinned_to_one_version(file: str) -> None:
    for requirement in read_requirements(file):
        assert re.fullmatch(r"==[\d.]+(post\d+)?", str(requirement.specifier)), requirement


def test_the_lock_has_each_direct_dependency_in_the_same_version() -> None:
    """After changing requirements.txt, run `make lock`."""
    expected = {
        canonicalize_name(item.name): {str(item.specifier)[2:]}
        for item in read_requirements("requirements.txt")
    }

    assert expected == {name: read_locked_versions()[name] for name in expected}


def test_the_lock_has_all_indirect_dependencies() -> None:
    versions = read_locked_versions()
    queue = [(item.name, item.extras) for item in read_requirements("requirements.txt")]
    seen = set()
    while queue:
        name, extras = queue.pop()
        assert canonicalize_name(name) in versions, f"{name} is not in the lock: make lock"
        for line in importlib.metadata.requires(name) or []:
            dependency = Requirement(line)
            if dependency.marker and not any(
                dependency.marker.evaluate({"extra": extra}) for extra in {"", *extras}
            ):
                continue
            locked = versions[canonicalize_name(dependency.name)]
            assert any(map(dependency.specifier.contains, locked)), f"{name} needs {dependency}: make lock"
            if dependency.name not in seen:
                seen.add(dependency.name)
                queue.append((dependency.name, dependency.extras))


def test_each_locked_package_has_hashes_but_no_url() -> None:
    packages = re.split(r"\n(?=[a-z0-9])", read_lock())[1:]

    assert len(packages) == sum(map(len, read_locked_versions().values())) > 50
    assert all("--hash=sha256:" in package for package in packages)
    assert not re.search(r"https?://|index-url|find-links", read_lock())


def test_each_direct_dependency_is_documented() -> None:
    lines = (ROOT / "docs" / "dependencies.md").read_text().lower().splitlines()
    rows = [line.split("|")[1:3] for line in lines if line.startswith("|")]
    explained = {
        name.strip() for names, reason in rows if len(reason.split()) > 1 for name in names.split(",")
    }
    requirements = [*read_requirements("requirements.txt"), *read_requirements("requirements-dev.txt")]

    assert {requirement.name.lower() for requirement in requirements} - explained == set()
