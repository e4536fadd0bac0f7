"""Serve HTML written by users: letters run no scripts, and have an opaque origin instead of the site's."""

from urllib.parse import urlsplit

from flask import Response, current_app

POLICY = (
    "{sandbox}; default-src 'none'; img-src https: data: {images}; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
)
# Links open as on any page, and the linked pages are not restricted.
LINKS = "sandbox allow-popups allow-popups-to-escape-sandbox allow-downloads"


def seal_frame(response: Response) -> Response:
    """Allow a letter in a frame of our pages to show images, but nothing else."""
    response.headers["Content-Security-Policy"] = _write_policy("sandbox", "'self'")
    return response


def seal_page(response: Response) -> Response:
    """Allow a letter on a separate page to show images and open links, but nothing else."""
    response.headers["Content-Security-Policy"] = _write_policy(LINKS, "'none'")
    # Browsers refuse to show a sandboxed page with a stricter policy (HTML, "process a navigate fetch").
    response.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
    # Linked sites, and sites from which images are loaded, must not learn who reads which letter.
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _write_policy(sandbox: str, ancestors: str) -> str:
    public = urlsplit(current_app.config["PUBLIC_URL"])
    images = f"{public.scheme}://{public.netloc}"
    return POLICY.format(sandbox=sandbox, images=images, ancestors=ancestors)
