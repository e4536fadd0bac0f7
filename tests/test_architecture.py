"""Who may import whom, checked on the source: left may import right, never back (DESIGN, section 3)."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "skymailing"

# From left to right; a module belongs to the longest name that fits. A new module needs a place here.
LAYERS: list[set[str]] = [
    {"wsgi"},
    {"skymailing"},
    {"skymailing.commands"},
    {
        *(f"skymailing.{feature}" for feature in ("auth", "blog", "clients", "home", "mailings", "messages")),
        "skymailing.reports",
        "skymailing.backups",
        "skymailing.catcher",
        "skymailing.monitoring.checks",
        "skymailing.demo",
        "skymailing.doctor",
        "skymailing.web.responses.form_fields",
        "skymailing.web.responses.i18n",
        "skymailing.processes.instance_lock",
        "skymailing.logs.access",
        "skymailing.manager",
        "skymailing.web.responses.flashes",
        "skymailing.caching.middleware",
        "skymailing.processes.programs",
        "skymailing.web.responses.static_files",
        "skymailing.processes.supervisor",
        "skymailing.web.responses",
    },
    {"skymailing.jobs", "skymailing.mailings.tasks", "skymailing.schedule"},
    {
        "skymailing.account",
        "skymailing.auth.devices",
        "skymailing.auth.two_factor",
        "skymailing.auth.services",
        "skymailing.blog.content",
        "skymailing.blog.content_cache",
        "skymailing.blog.images",
        "skymailing.blog.unused_images",
        "skymailing.blog.view_counts",
        "skymailing.blog.queries",
        "skymailing.mail_catcher.store",
        "skymailing.clients.columns",
        "skymailing.clients.csv_reader",
        "skymailing.clients.exports",
        "skymailing.clients.imports",
        "skymailing.clients.queries",
        "skymailing.clients.deletion",
        "skymailing.clients.rows",
        "skymailing.clients.services",
        "skymailing.clients.suppression",
        "skymailing.clients.upsert",
        "skymailing.clients.cleaning",
        "skymailing.home.guide",
        "skymailing.monitoring.queries",
        "skymailing.home.queries",
        "skymailing.mailings.forecast",
        "skymailing.mailings.missing_values",
        "skymailing.mailings.log_queries",
        "skymailing.mailings.progress",
        "skymailing.mailings.queries",
        "skymailing.mailings.state_text",
        "skymailing.mailings.deletion",
        "skymailing.mailings.run_queries",
        "skymailing.mailings.selection",
        "skymailing.mailings.services",
        "skymailing.mailings.summaries",
        "skymailing.mailings.scheduling",
        "skymailing.manager.queries",
        "skymailing.manager.slugs",
        "skymailing.messages.conversion",
        "skymailing.messages.drafts",
        "skymailing.messages.error_texts",
        "skymailing.messages.letter_insight",
        "skymailing.messages.pictures",
        "skymailing.messages.placeholders",
        "skymailing.messages.queries",
        "skymailing.messages.services",
        "skymailing.messages.starters",
        "skymailing.reports.daily_rollup",
        "skymailing.reports.export",
        "skymailing.reports.periods",
        "skymailing.undo",
        "skymailing.reports.queries",
        "skymailing.reports.rollup_queries",
        "skymailing.reports.aggregates",
        "skymailing.retention",
    },
    {
        "skymailing.audit",
        "skymailing.delivery",
        "skymailing.outbox.rendering",
        "skymailing.outbox.services",
        "skymailing.security",
        "skymailing.web.responses.labels",
        "skymailing.delivery.smtp.connection",
    },
    {"skymailing.counters", "skymailing.caching.invalidation"},
    {"skymailing.models", "skymailing.queue"},
    {
        "skymailing.email_addresses",
        "skymailing.clock",
        "skymailing.web.responses.compression",
        "skymailing.web.responses.csv",
        "skymailing.db.engine",
        "skymailing.processes.embedded_redis",
        "skymailing.errors",
        "skymailing.extensions",
        "skymailing.web.responses.urls",
        "skymailing.web.responses.timezones",
        "skymailing.logs",
        "skymailing.db.pagination",
        "skymailing.settings.retention",
        "skymailing.web.responses.images",
        "skymailing.caching.backend",
    },
]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in [*PACKAGE.rglob("*.py"), ROOT / "wsgi.py"]}


def imports_of(name: str) -> Iterator[str]:
    """Yield our own modules that a module imports, inside functions too."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in MODULES:
                    yield whole
                elif node.module in MODULES:
                    yield node.module


def layer_of(name: str) -> int:
    best = max(
        ((len(entry), number) for number, layer in enumerate(LAYERS) for entry in layer if fits(name, entry)),
        default=None,
    )
    assert best is not None, f"{name} has no place in the layers"
    return best[1]


def fits(name: str, entry: str) -> bool:
    # `skymailing` is create_app alone, not everything below it.
    return name == entry or (entry != "skymailing" and name.startswith(entry + "."))


def test_every_module_has_a_place() -> None:
    assert [name for name in MODULES if layer_of(name) < 0] == []


def test_imports_point_to_the_right() -> None:
    wrong = [
        f"{name} imports {imported}"
        for name in MODULES
        for imported in imports_of(name)
        if layer_of(imported) < layer_of(name)
    ]
    assert wrong == []


def test_no_import_cycle() -> None:
    graph = {name: set(imports_of(name)) - {name} for name in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_a_feature_uses_services_and_queries_of_others_never_their_pages() -> None:
    features = {path.parent.name for path in PACKAGE.glob("*/views.py")}
    wrong = []
    for name in MODULES:
        feature = name.split(".")[1] if name.count(".") > 1 else ""
        for imported in imports_of(name):
            other = imported.split(".")[1] if imported.count(".") > 1 else ""
            if (
                feature in features
                and other in features - {feature}
                and layer_of(imported) < layer_of("skymailing.jobs")
            ):
                wrong.append(f"{name} imports {imported}")
    assert wrong == []


def test_only_one_module_knows_rq_and_one_rq_scheduler() -> None:
    users: dict[str, set[str]] = {"rq": set(), "rq_scheduler": set()}
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for library in users:
                if any(imported.split(".")[0] == library for imported in names):
                    users[library].add(name)
    assert users == {"rq": {"skymailing.queue"}, "rq_scheduler": {"skymailing.schedule"}}


def test_the_engine_knows_no_request() -> None:
    for name, path in MODULES.items():
        if name.startswith("skymailing.delivery"):
            text = path.read_text()
            assert "request" not in {
                alias.name
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.ImportFrom) and node.module == "flask"
                for alias in node.names
            }
            assert "current_user" not in text


def test_migrations_import_no_model() -> None:
    for path in (ROOT / "migrations" / "versions").glob("*.py"):
        assert "skymailing" not in path.read_text()
