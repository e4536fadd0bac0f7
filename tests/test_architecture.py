"""Check which modules may import which. The layer of a module follows from its file and folder names.

A module may import modules of its own layer and of the layers below it (docs/architecture.md).
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "skymailing"

# The layers, from top to bottom.
LAYERS = (
    "start",  # wsgi.py and create_app
    "commands",
    "views",
    "tasks",
    "services",
    "engine",
    "models",
    "base",
)
# A folder or file directly under skymailing/ is a feature unless it is named here.
SHARED_FOLDERS = {
    "commands": "commands",
    "dispatch": "tasks",
    "jobs": "tasks",
    "periodic": "tasks",
    "delivery": "engine",
    "events": "engine",
    "outbox": "engine",
    "quotas": "engine",
    "security": "engine",
    "audit": "engine",
    "models": "models",
    "queue": "models",
    "worker": "models",
    "hints": "models",
    "turns": "models",
    "tokens": "models",
    "caching": "models",
    "web": "models",
    "counters": "models",
    "logs": "base",
    "db": "base",
    "settings": "base",
    "extensions": "base",
    "clock": "base",
    "encryption": "base",
    "errors": "base",
    "email_addresses": "base",
}
# In any folder, a file or folder with one of these names is in that layer.
LAYER_OF_NAME = {"views": "views", "tasks": "tasks"}
# Folders and files in which a transaction may be committed: entry points, tasks and the engine.
COMMITTING = {"views", "commands", "dispatch", "jobs", "periodic", "tasks", "delivery", "api"}
# Gunicorn creates its logger before the app, so this module reads the configuration like wsgi.py.
ENTRY_POINTS = {"wsgi", "skymailing.logs.gunicorn"}


def get_module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    get_module_name(path): path for path in [*PACKAGE.rglob("*.py"), ROOT / "wsgi.py", ROOT / "config.py"]
}


@cache
def parse_modules() -> dict[str, ast.Module]:
    """Return the syntax tree of each module.

    Parsing takes seconds, so it is done only when a test in this file needs it.
    """
    return {name: ast.parse(path.read_text()) for name, path in MODULES.items()}


def list_imports(name: str) -> Iterator[str]:
    """Yield the names of our modules that a module imports, even inside functions."""
    for node in ast.walk(parse_modules()[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                full_name = f"{node.module}.{alias.name}"
                if full_name in MODULES:
                    yield full_name
                elif node.module in MODULES:
                    yield node.module


@cache
def find_imports() -> dict[str, set[str]]:
    """Return the names of our modules that each module imports."""
    return {name: set(list_imports(name)) - {name} for name in MODULES}


def get_layer(name: str) -> int:
    """Return the number of a module's layer; 0 is the top."""
    _package, *parts = name.split(".")
    if not parts or name in ENTRY_POINTS:
        return LAYERS.index("base" if name == "config" else "start")
    layer = next((LAYER_OF_NAME[part] for part in parts if part in LAYER_OF_NAME), None)
    return LAYERS.index(layer or SHARED_FOLDERS.get(parts[0], "services"))


def test_imports_point_downwards() -> None:
    errors = [
        f"{name} ({LAYERS[get_layer(name)]}) imports {target} ({LAYERS[get_layer(target)]})"
        for name, imports in find_imports().items()
        for target in imports
        if get_layer(target) < get_layer(name)
    ]
    assert errors == []


def test_modules_form_no_cycle() -> None:
    assert find_cycle(find_imports()) is None


def test_the_entries_of_a_folder_form_no_cycle() -> None:
    """An import between the contents of two entries counts as an import between the entries."""
    folders: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, imports in find_imports().items():
        for target in imports if name not in ENTRY_POINTS else ():
            source, imported = name.split("."), target.split(".")
            depth = next((n for n, (a, b) in enumerate(zip(source, imported, strict=False)) if a != b), None)
            if depth is not None:
                folders[".".join(source[:depth])][source[depth]].add(imported[depth])
    cycles = {folder: find_cycle(graph) for folder, graph in folders.items()}
    assert {folder: cycle for folder, cycle in cycles.items() if cycle} == {}


def find_cycle(graph: dict[str, set[str]]) -> list[str] | None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return None


def test_a_feature_uses_services_and_queries_of_other_features_but_not_their_views_or_tasks() -> None:
    errors = [
        f"{name} imports {target}"
        for name, imports in find_imports().items()
        for target in imports
        if name.count(".") > 1
        and target.count(".") > 1
        and name.split(".")[1] != target.split(".")[1]
        and name.split(".")[1] not in SHARED_FOLDERS
        and LAYERS[get_layer(target)] in ("views", "tasks")
    ]
    assert errors == []


def test_blueprints_and_routes_are_in_views() -> None:
    errors = [
        name
        for name, tree in parse_modules().items()
        if get_layer(name) > LAYERS.index("views")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("Blueprint", "expose")
    ]
    assert errors == []


def test_only_entry_points_tasks_and_the_engine_commit() -> None:
    errors = [
        f"{name}:{node.lineno}"
        for name, tree in parse_modules().items()
        if not COMMITTING & set(name.split("."))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "commit"
    ]
    assert errors == []


@pytest.mark.parametrize(("library", "owners"), [("rq", {"queue", "worker"}), ("rq_scheduler", {"schedule"})])
def test_only_these_modules_import_a_library(library: str, owners: set[str]) -> None:
    users = {
        name
        for name, tree in parse_modules().items()
        for node in ast.walk(tree)
        if library in list_imported_packages(node)
    }
    assert users == {f"skymailing.{owner}" for owner in owners}


def list_imported_packages(node: ast.AST) -> set[str]:
    """Return the top-level packages that a statement imports from."""
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").split(".")[0]}
    return set()


def test_services_and_the_engine_use_no_request_and_no_form() -> None:
    # In the engine layer, `security` and `audit` determine the actor, which only the request contains.
    modules_that_know_the_actor = {"skymailing.security", "skymailing.audit"}
    web_names = {"request", "session", "g", "flash", "redirect", "url_for", "render_template", "current_user"}
    errors = [
        f"{name} imports {alias.name}"
        for name, tree in parse_modules().items()
        if LAYERS[get_layer(name)] in ("services", "engine")
        and not name.endswith("forms")
        and name not in modules_that_know_the_actor
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in ("flask", "flask_login", "flask_wtf")
        for alias in node.names
        if alias.name in web_names or node.module == "flask_wtf"
    ]
    assert errors == []


def test_migrations_import_no_model() -> None:
    for path in (ROOT / "migrations" / "versions").glob("*.py"):
        assert "skymailing" not in path.read_text()


def test_the_architecture_page_lists_every_folder_and_module() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = [line.split("|")[1:4] for line in page.splitlines() if line.startswith("| `skymailing/")]
    listed = {
        folder.strip(" `"): sorted(file.strip(" `") for file in files.split(","))
        for folder, _purpose, files in rows
    }
    found: dict[str, list[str]] = defaultdict(list)
    for path in PACKAGE.rglob("*.py"):
        folder = f"{path.parent.relative_to(ROOT).as_posix()}/"
        found[folder] += [path.stem] if path.stem != "__init__" else []
    assert listed == {folder: sorted(files) or ["__init__"] for folder, files in found.items()}
    assert all(purpose.strip().endswith(".") for _folder, purpose, _files in rows)


def test_files_and_functions_stay_short() -> None:
    """CONTRIBUTING.md allows 300 lines per file and 40 lines per function, including tests and benchmarks."""
    too_long = []
    for path in [
        path for folder in ("skymailing", "tests", "bench", ".ci") for path in (ROOT / folder).rglob("*.py")
    ]:
        text, name = path.read_text(), path.relative_to(ROOT)
        if text.count("\n") > 300:
            too_long.append(f"{name} has {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > 40:
                    too_long.append(f"{name}:{node.lineno}: {node.name} has {lines} lines")
    assert too_long == []


def test_contributing_names_files_that_exist() -> None:
    """Only names that contain a folder are checked; other names belong to the folder before them."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`([a-z_]+/[a-z_/]+\.(?:py|po|md))`", text))
    assert len(named) > 20
    assert [
        name for name in sorted(named) if not any((root / name).exists() for root in (ROOT, PACKAGE))
    ] == []
