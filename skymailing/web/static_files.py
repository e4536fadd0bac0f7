"""Serve stylesheets, scripts and icons under names with a content hash, so that browsers cache them."""

import hashlib
import mimetypes
import re
import time
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from flask import Flask, Response, abort, current_app, request
from werkzeug.security import safe_join

from skymailing.web.compression import COMPRESSED_TYPES, accepts_gzip, compress

FONT = "font/woff2"
CACHE_FOREVER = f"public, max-age={365 * 24 * 60 * 60}, immutable"
BEST_LEVEL = 9  # each file is compressed once per process
HASHED_NAME = re.compile(r"(.+)\.([0-9a-f]{12})(\.\w+)")
IMPORT = re.compile(r'^(?:import|export)\b[^;]*?"\./([\w-]+\.js)"', re.MULTILINE)
IN_HASHED_FOLDER = re.compile(r"(.+)\.([0-9a-f]{12})(/[^/]+)")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent; `compressed` is empty when compression does not make it smaller."""

    body: bytes
    compressed: bytes
    digest: str
    mimetype: str


def configure(app: Flask) -> None:
    """Serve the static folder from memory, compressed, under hashed names."""
    app.view_functions["static"] = serve
    app.add_template_global(asset)
    app.add_template_global(module_asset)
    app.add_template_global(list_modules)


def asset(path: str) -> str:
    """Return the URL of a static file, which changes with the content."""
    return f"{root_url()}/{_hash_name(current_app.static_folder or '', path, _current_second())}"


def module_asset(path: str) -> str:
    """Return the URL of a script that imports others in its folder; it changes when any of them changes.

    Relative imports contain no hash. So the hash is in the folder's name: /js/editor.<hash>/start.js finds
    its "./form.js" at /js/editor.<hash>/form.js, and a deployment changes the URLs of all scripts together.
    The alternatives are worse: an import map is an inline script, which our policy forbids. To write hashes
    into imports, we would have to parse JavaScript. Without hashes, browsers would revalidate each module on
    every page.
    """
    folder, _, name = path.rpartition("/")
    return f"{folder_url(folder)}/{name}"


def _current_second() -> int:
    """Return a number that changes every second, so that files are checked for changes once per second.

    A page has about a hundred links to static files; checking each of them took a tenth of the page's time.
    """
    return int(time.time())


@lru_cache(maxsize=1024)
def _hash_name(static_folder: str, path: str, _second: int) -> str:
    file = Path(static_folder, path)
    digest = read_asset(file, file.stat().st_mtime_ns).digest
    return f"{path.removesuffix(file.suffix)}.{digest}{file.suffix}"


def list_modules(folder: str, *first: str) -> list[str]:
    """Return the URLs of scripts and of all their imports, so that a page can load them in parallel."""
    path = Path(current_app.static_folder or "", folder)
    digest = _hash_folder(path, _current_second())
    return [f"{root_url()}/{folder}.{digest}/{name}" for name in find_imports(path, first, digest)]


@cache
def find_imports(folder: Path, first: tuple[str, ...], _digest: str) -> tuple[str, ...]:
    """Return the file names of scripts and of all scripts in their folder that they import."""
    names = [f"{name}.js" for name in first]
    found = set(names)
    while names:
        source = (folder / names.pop()).read_text()
        new = {match[1] for match in IMPORT.finditer(source)} - found
        found |= new
        names += new
    return tuple(sorted(found))


def folder_url(folder: str) -> str:
    digest = _hash_folder(Path(current_app.static_folder or "", folder), _current_second())
    return f"{root_url()}/{folder}.{digest}"


def root_url() -> str:
    """Return the URL of the static folder.

    `url_for` returns the same, but forty calls per page took a twentieth of the page's time.
    """
    return f"{request.script_root}{current_app.static_url_path}"


def serve(filename: str) -> Response:
    """Return a static file by its name, with or without a hash.

    A page loaded before an update may request an old hash. It gets the current file, which is not cached.
    """
    found, is_current = find_hashed(filename)
    found = found or find_asset(filename) or abort(404)
    is_compressed = bool(found.compressed) and accepts_gzip(request.headers.get("Accept-Encoding", ""))
    response = Response(found.compressed if is_compressed else found.body, mimetype=found.mimetype)
    if is_compressed:
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    response.set_etag(found.digest, weak=True)
    response.headers["Cache-Control"] = CACHE_FOREVER if is_current else "no-cache"
    if found.mimetype == FONT:
        # Previews are sandboxed frames, which have no origin; their fonts need this.
        response.headers["Access-Control-Allow-Origin"] = "*"
    response.make_conditional(request)
    return response


def find_hashed(filename: str) -> tuple[Asset | None, bool]:
    """Return the file that a hashed name refers to, and whether the hash is current."""
    if in_folder := IN_HASHED_FOLDER.fullmatch(filename):
        folder, digest, name = in_folder.groups()
        found = find_asset(folder + name)
        return found, bool(found) and digest == hash_folder(Path(current_app.static_folder or "", folder))
    if hashed := HASHED_NAME.fullmatch(filename):
        found = find_asset(hashed[1] + hashed[3])
        return found, bool(found and hashed[2] == found.digest)
    return None, False


def hash_folder(folder: Path) -> str:
    """Return a hash of the names and contents of a folder's files."""
    files = sorted(file for file in folder.iterdir() if file.is_file())
    digests = [f"{file.name} {read_asset(file, file.stat().st_mtime_ns).digest}" for file in files]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:12]


@lru_cache(maxsize=64)
def _hash_folder(folder: Path, _second: int) -> str:
    return hash_folder(folder)


def find_asset(filename: str) -> Asset | None:
    path = safe_join(current_app.static_folder or "", filename)
    file = Path(path) if path else None
    return read_asset(file, file.stat().st_mtime_ns) if file and file.is_file() else None


@cache
def read_asset(file: Path, _modified: int) -> Asset:
    body = file.read_bytes()
    mimetype = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    compressed = compress(body, BEST_LEVEL) if mimetype in COMPRESSED_TYPES else b""
    digest = hashlib.sha256(body).hexdigest()[:12]
    return Asset(body, compressed if len(compressed) < len(body) else b"", digest, mimetype)
