"""Our stylesheets, scripts and icons: their names change with their content, so that browsers keep them."""

import hashlib
import mimetypes
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Flask, Response, abort, current_app, request
from werkzeug.security import safe_join

from skymailing.web.compression import PACKED_TYPES, pack, takes_gzip

FOR_GOOD = f"public, max-age={365 * 24 * 60 * 60}, immutable"
BEST = 9  # packed once in the life of a process
HASHED = re.compile(r"(.+)\.([0-9a-f]{12})(\.\w+)")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent; `packed` is empty when packing wins nothing."""

    body: bytes
    packed: bytes
    digest: str
    mimetype: str


def configure(app: Flask) -> None:
    """Serve the static folder from memory, packed, under names with a hash."""
    app.view_functions["static"] = serve
    app.add_template_global(asset)


def asset(path: str) -> str:
    """Return the address of a static file, which changes with its content."""
    file = Path(current_app.static_folder or "", path)
    digest = read_asset(file, file.stat().st_mtime_ns).digest
    # As url_for would say it; asked for some forty times a page, that was a twentieth of the page's time.
    place = f"{request.script_root}{current_app.static_url_path}"
    return f"{place}/{path.removesuffix(file.suffix)}.{digest}{file.suffix}"


def serve(filename: str) -> Response:
    """Return a static file by its name, with or without a hash.

    A page that is older than the file asks for a hash that is gone: it gets what there is, for this once.
    """
    hashed = HASHED.fullmatch(filename)
    found = find_asset(hashed[1] + hashed[3]) if hashed else None
    found = found or find_asset(filename) or abort(404)
    is_packed = bool(found.packed) and takes_gzip(request.headers.get("Accept-Encoding", ""))
    response = Response(found.packed if is_packed else found.body, mimetype=found.mimetype)
    if is_packed:
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    response.set_etag(found.digest, weak=True)
    is_current = hashed is not None and hashed[2] == found.digest
    response.headers["Cache-Control"] = FOR_GOOD if is_current else "no-cache"
    response.make_conditional(request)
    return response


def find_asset(filename: str) -> Asset | None:
    path = safe_join(current_app.static_folder or "", filename)
    file = Path(path) if path else None
    return read_asset(file, file.stat().st_mtime_ns) if file and file.is_file() else None


@cache
def read_asset(file: Path, _modified: int) -> Asset:
    body = file.read_bytes()
    mimetype = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    packed = pack(body, BEST) if mimetype in PACKED_TYPES else b""
    digest = hashlib.sha256(body).hexdigest()[:12]
    return Asset(body, packed if len(packed) < len(body) else b"", digest, mimetype)
