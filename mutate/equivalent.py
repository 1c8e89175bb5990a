"""Changes that make no difference which a test could see, and why, by file and by what they change."""

_NO_SUCH_LENGTH = "no cookie has 4069 characters: base64 of whole bytes skips it"

EQUIVALENT: dict[str, dict[str, str]] = {
    "auth_server/config/settings.py": {
        "\"\" → ('x')": "of two: without a pool there is a mistake already; and no relative folder counts",
        "1 → (2)": "of several close names the first is shown",
        "{name} → ({*()})": "a variable of others in both places: the environment lies over .env anyway",
    },
    "auth_server/identity/session_cookie.py": {
        "4096 → (4095)": _NO_SUCH_LENGTH,
        "\"__Host-mcp_gateway_session=\" → ('__Host-mcp_gateway_session=x')": _NO_SUCH_LENGTH,
        "len(cookie) > MAX_LENGTH → (len(cookie) >= MAX_LENGTH)": _NO_SUCH_LENGTH,
    },
}
