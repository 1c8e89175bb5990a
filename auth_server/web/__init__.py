"""What people and their commands visit: sign-in, sign-out, the session, the page."""

from __future__ import annotations

from auth_server.web.context import Web
from auth_server.web.routes import routes

__all__ = ["Web", "routes"]
