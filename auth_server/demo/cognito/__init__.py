"""A stand-in for AWS Cognito: user pools as one Starlette app, behaving as AWS documents it.

It is for demonstrations and tests on one machine: everything lives in memory, passwords are kept as
they are, and there is no rate limit. Never put it where a stranger could reach it.
"""

from auth_server.demo.cognito.app import create_app
from auth_server.demo.cognito.directory import AppClient, Directory, Flow, Pool, ResourceServer, User
from auth_server.demo.cognito.keys import KeyRing, PoolKeys, SigningKey

__all__ = [
    "AppClient",
    "Directory",
    "Flow",
    "KeyRing",
    "Pool",
    "PoolKeys",
    "ResourceServer",
    "SigningKey",
    "User",
    "create_app",
]
