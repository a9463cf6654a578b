"""The page to try a model in: a few files, which load nothing from elsewhere."""

from __future__ import annotations

from importlib import resources

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_FILES = {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_HEADERS = {
    # The page may talk to this service alone; photos are blobs.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src blob:; "
    "connect-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}


async def page(request: Request) -> Response:
    """``GET /``, and what that loads."""
    name = request.path_params.get("name", "index.html")
    if name not in _FILES:
        raise HTTPException(404)
    body = (resources.files("etseg.serve") / "_page" / name).read_bytes()
    return Response(body, headers={**_HEADERS, "Content-Type": _FILES[name]})
