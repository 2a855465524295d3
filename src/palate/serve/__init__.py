"""The HTTP service: one security layer, two hot routes on raw ASGI, everything else in Litestar.

``create_app`` builds the ASGI application of an engine, ``serve`` runs it. Nothing imports this package but the
command line.
"""

from palate.serve.app import create_app
from palate.serve.run import serve, serve_engine
from palate.serve.security import hash_key, new_key

__all__ = ["create_app", "hash_key", "new_key", "serve", "serve_engine"]
