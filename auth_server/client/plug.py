"""The shape of an auth plug-in, for httpx and for httpx2 at once.

The official MCP client speaks httpx2 from its version 2 on and httpx before; most other programs have httpx.
Both accept as `auth=` what is an instance of their own `Auth`, and then use its flows alone, which are
generators that never look at whose request they were given. So one class with both as its bases serves both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    import httpx2

    class Auth(httpx.Auth, httpx2.Auth):  # type: ignore[misc]  # the flows differ in whose requests they name
        """What httpx takes as `auth=`, and httpx2 too."""

else:
    _bases = [httpx.Auth]
    try:
        import httpx2
    except ModuleNotFoundError:
        pass
    else:
        _bases.append(httpx2.Auth)
    Auth = type("Auth", tuple(_bases), {"__doc__": "What httpx takes as `auth=`, and httpx2 where it is."})
