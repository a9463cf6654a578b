"""A web service: an ASGI application that segments what is posted to it, and a server for it.

Of the extra ``etseg[serve]``. :func:`create_app` is for any ASGI server, or to be mounted in an
application of your own; ``etseg serve`` runs it.
"""

from ._app import create_app
from ._settings import Settings

__all__ = ["Settings", "create_app"]
