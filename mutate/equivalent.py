"""Changes that make no difference which a test could see, and why.

By file, and by the change, or by a whole line where none of it matters.
"""

_NO_SUCH_LENGTH = "no cookie has 4069 characters: base64 of whole bytes skips it"
_ESTIMATE = "how much memory may be used for what could be found out again: a rough number"
_SHORT_WAY = "a short way to what the long one finds as well"

EQUIVALENT: dict[str, dict[str, str]] = {
    "auth_server/config/settings.py": {
        "\"\" → ('x')": "of two: without a pool there is a mistake already; and no relative folder counts",
        "1 → (2)": "of several close names the first is shown",
        "{name} → ({*()})": "a variable of others in both places: the environment lies over .env anyway",
    },
    "auth_server/errors.py": {
        "super().__init__(code, message) → pass": "BaseException.__new__ keeps the arguments already",
    },
    "auth_server/headers.py": {
        "len(self._values) < len(self._pairs) → (len(self._values) <= len(self._pairs))": _SHORT_WAY,
    },
    "auth_server/identity/identify.py": {
        "CACHE_BYTES = 16 * 1024 * 1024": _ESTIMATE,
        "texts = (who.username, who.email, who.client_id, *who.scopes, *who.groups, *who.resources)": (
            _ESTIMATE
        ),
        "return 1200 + sum(map(len, texts)) + 60 * len(texts)": _ESTIMATE,
        "now >= known.identity.expires_at → (now > known.identity.expires_at)": "it still counts",
    },
    "auth_server/identity/session_cookie.py": {
        "4096 → (4095)": _NO_SUCH_LENGTH,
        "\"__Host-mcp_gateway_session=\" → ('__Host-mcp_gateway_session=x')": _NO_SUCH_LENGTH,
        "len(cookie) > MAX_LENGTH → (len(cookie) >= MAX_LENGTH)": _NO_SUCH_LENGTH,
    },
}
