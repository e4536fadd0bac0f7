"""Test that scripts that import each other are cached for a year, but current after a deployment."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from skymailing.models import Role
from skymailing.web.static_files import list_modules, module_asset
from tests.conftest import SignIn
from tests.support.factories import UserFactory

# Files do not depend on the database.
pytestmark = pytest.mark.one_engine

STATIC = Path(__file__).parents[2] / "skymailing" / "static"
EDITOR = STATIC / "js" / "editor"


@pytest.fixture
def folder(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a static folder with two modules."""
    folder = tmp_path / "static" / "js"
    folder.mkdir(parents=True)
    (folder / "start.js").write_text('import "./other.js";')
    (folder / "other.js").write_text("1;")
    monkeypatch.setattr(app, "static_folder", str(folder.parent))
    with app.test_request_context():
        yield folder


def test_a_modules_url_changes_with_the_modules_in_its_folder(folder: Path) -> None:
    before = module_asset("js/start.js")
    (folder / "other.js").write_text("2;")
    with time_machine.travel(time.time() + 1, tick=False):  # changes are found within a second
        after = module_asset("js/start.js")
        modules = list_modules("js", "start")

    assert re.fullmatch(r"/static/js\.[0-9a-f]{12}/start\.js", before)
    assert before != after
    assert modules == [after.replace("start", "other"), after]


def test_a_module_and_its_imports_are_cached_until_a_deployment(folder: Path, visitor: FlaskClient) -> None:
    start = module_asset("js/start.js")
    other = start.replace("start.js", "other.js")
    for url in (start, other):
        assert "immutable" in visitor.get(url).headers["Cache-Control"]

    (folder / "other.js").write_text("2;")

    # A page loaded before the deployment gets the current files, and revalidates them the next time.
    for url in (start, other):
        assert visitor.get(url).headers["Cache-Control"] == "no-cache"
    assert visitor.get(other).text == "2;"
    assert visitor.get(module_asset("js/none.js")).status_code == 404
    assert visitor.get("/static/none.0123456789ab/start.js").status_code == 404


@pytest.mark.parametrize("script", sorted(EDITOR.glob("*.js")), ids=lambda path: path.name)
def test_imports_stay_in_their_versioned_folder(script: Path) -> None:
    imports = re.findall(r'^(?:import|export)\b[^;]*?"([^"]+)";', script.read_text(), re.MULTILINE)

    for name in imports:
        assert re.fullmatch(r"\./[\w-]+\.js", name), name
        assert (EDITOR / name).is_file(), name


def test_only_imported_modules_are_preloaded(folder: Path) -> None:
    (folder / "third.js").write_text('export { three } from "./other.js";')
    (folder / "other.js").write_text('import {\n  start,\n} from "./start.js";')

    assert [Path(url).name for url in list_modules("js", "start")] == ["other.js", "start.js"]
    assert [Path(url).name for url in list_modules("js", "third")] == ["other.js", "start.js", "third.js"]
    assert [Path(url).name for url in list_modules("js", "other", "start")] == ["other.js", "start.js"]


def test_each_editor_preloads_its_modules(sign_in: SignIn) -> None:
    browser = sign_in(UserFactory.create(role=Role.CONTENT))
    used = set()
    for path, first in (
        ("/messages/new", "start"),
        ("/messages/new?kind=blocks", "block-start"),
        ("/messages/new?kind=mjml", "mjml"),
        ("/manager/articles/new", "article-start"),
    ):
        page = browser.get(path).text
        preloaded = re.findall(r'<link rel="modulepreload" href="([^"]+)">', page)
        (start,) = re.findall(rf'<script type="module" src="([^"]+/{first}\.js)">', page)
        assert start in preloaded
        assert "immutable" in browser.get(start).headers["Cache-Control"]
        used |= {Path(url).name for url in preloaded}

    assert used == {path.name for path in EDITOR.glob("*.js")}
