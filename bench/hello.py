"""The least that a Starlette application does: the ceiling for any sidecar written with it."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def hello(_: Request) -> PlainTextResponse:
    """Greet."""
    return PlainTextResponse("Hello, world!")


app = Starlette(routes=[Route("/validate", hello, methods=["POST"])])
