"""What crosses a border by name: headers, cookies, paths, the names of servers, and how values are written.

nginx's files take what they need of it from nginx/generated/, which `auth-server` writes from here (see
`gateway.generated`): no name stands in two languages by hand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

# ---------------------------------------------------------------------- what a client sends, and is read here

ACCEPT = b"accept"
ACCEPT_ENCODING = b"accept-encoding"
AUTHORIZATION = b"authorization"
CONTENT_ENCODING = b"content-encoding"
CONTENT_TYPE = b"content-type"
COOKIE = b"cookie"
HOST = b"host"
MCP_METHOD = b"mcp-method"
MCP_NAME = b"mcp-name"
MCP_PROTOCOL_VERSION = b"mcp-protocol-version"
MCP_SESSION_ID = b"mcp-session-id"
ORIGIN = b"origin"
REGION = b"x-region"
SEC_FETCH_DEST = b"sec-fetch-dest"
SEC_FETCH_MODE = b"sec-fetch-mode"
SEC_FETCH_SITE = b"sec-fetch-site"
SERVICE_WORKER = b"service-worker"
USER_POOL_ID = b"x-user-pool-id"

# Where a message itself says the protocol's version (MCP 2026-07-28).
META_VERSION = "io.modelcontextprotocol/protocolVersion"

# ----------------------------------------------------------- what nginx says of a request; a client never can

MCP_PATHS = b"x-mcp-paths"  # what of this server is for MCP beside MCP_ENDPOINTS, with blanks between
MCP_SERVER = b"x-mcp-server"
ORIGINAL_LENGTH = b"x-original-length"  # Content-Length as sent, or “chunked”
ORIGINAL_METHOD = b"x-original-method"
ORIGINAL_URI = b"x-original-uri"
REQUEST_ID = b"x-request-id"
SERVER_ADDRESS = b"x-server-address"  # where nginx took the connection

# nginx's own variable for each.
SAID_BY_NGINX = {
    MCP_PATHS: "$mcp_paths",
    MCP_SERVER: "$mcp_server",
    ORIGINAL_LENGTH: "$mcp_original_length",
    ORIGINAL_METHOD: "$request_method",
    ORIGINAL_URI: "$mcp_original_uri",
    REQUEST_ID: "$request_id",
    SERVER_ADDRESS: "$server_addr",
}

# ---------------------------------------------------------------------------- what /validate says of a caller

USER = b"x-user"
USERNAME = b"x-username"
EMAIL = b"x-email"
CLIENT_ID = b"x-client-id"
SCOPES = b"x-scopes"
GROUPS = b"x-groups"
AUTH_METHOD = b"x-auth-method"
SERVER_NAME = b"x-server-name"
TOOL_NAME = b"x-tool-name"
ALLOWED_TOOLS = b"x-allowed-tools"

IDENTITY = (
    USER,
    USERNAME,
    EMAIL,
    CLIENT_ID,
    SCOPES,
    GROUPS,
    AUTH_METHOD,
    SERVER_NAME,
    TOOL_NAME,
    ALLOWED_TOOLS,
)

# ------------------------------------------------------------------------------- what /validate says to nginx

ALLOW = b"allow"
AUTH_ERROR = b"x-auth-error"
AUTH_ERROR_BODY = b"x-auth-error-body"  # a subrequest's body cannot be read
AUTH_LOCATION = b"x-auth-location"  # where a person is sent instead
AUTH_STATUS = b"x-auth-status"  # what the client is told: auth_request carries no other than 401 and 403
BACKEND_COOKIE = b"x-backend-cookie"  # the client's cookies, but this gateway's
BACKEND_SESSION = (
    b"x-backend-session"  # the Mcp-Session-Id that the backend gave, which the client knows sealed
)
LOG_METHOD = b"x-log-method"
LOG_NAME = b"x-log-name"
RELAY = b"x-relay"  # what the relay has to know; empty where the answer comes back straight
RETRY_AFTER = b"retry-after"
WWW_AUTHENTICATE = b"www-authenticate"

TO_NGINX = (
    ALLOW,
    AUTH_ERROR,
    AUTH_ERROR_BODY,
    AUTH_LOCATION,
    AUTH_STATUS,
    BACKEND_COOKIE,
    BACKEND_SESSION,
    LOG_METHOD,
    LOG_NAME,
    RELAY,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
)

# Where the server is, by nginx, on the inner socket alone: its URL in servers.conf without the endpoint.
BACKEND_URL = b"x-backend-url"
# What the relay tells nginx: the Mcp-Session-Id that the client gets.
SEALED_SESSION = b"x-sealed-session"

# -------------------------------------------------------------------------------- what no backend gets to see

# Names that other proxies, clouds and frameworks take for the word of a proxy in front of them, and what was
# meant for this gateway alone.
NEVER_PASSED = (
    "Cf-Access-Authenticated-User-Email",
    "Cf-Access-Jwt-Assertion",
    "Cf-Connecting-Ip",
    "Client-Ip",
    "Fastly-Client-Ip",
    "Forwarded",
    "Proxy",
    "Proxy-Authorization",
    "Remote-Email",
    "Remote-Groups",
    "Remote-Name",
    "Remote-User",
    "Ssl-Client-Cert",
    "Ssl-Client-S-Dn",
    "Ssl-Client-Verify",
    "True-Client-Ip",
    "X-Amzn-Oidc-Accesstoken",
    "X-Amzn-Oidc-Data",
    "X-Amzn-Oidc-Identity",
    "X-Auth-Request-Access-Token",
    "X-Auth-Request-Email",
    "X-Auth-Request-Groups",
    "X-Auth-Request-Preferred-Username",
    "X-Auth-Request-User",
    "X-Authorization",
    "X-Body",
    "X-Client-Ip",
    "X-Cluster-Client-Ip",
    "X-Forwarded-Access-Token",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Method",
    "X-Forwarded-Port",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Server",
    "X-Forwarded-Uri",
    "X-Forwarded-User",
    "X-Goog-Authenticated-User-Email",
    "X-Goog-Authenticated-User-Id",
    "X-Goog-Iap-Jwt-Assertion",
    "X-Http-Method",
    "X-Http-Method-Override",
    "X-Issuer",
    "X-Mcp-Targets",
    "X-Method-Override",
    "X-Ms-Client-Principal",
    "X-Ms-Client-Principal-Id",
    "X-Ms-Client-Principal-Idp",
    "X-Ms-Client-Principal-Name",
    "X-Original-Url",
    "X-Region",
    "X-Remote-User",
    "X-Rewrite-Url",
    "X-Subject",
    "X-User-Pool-Id",
    "X-Webauth-User",
)

# -------------------------------------------------------------------- what no backend gets to say to a client

# It would tell a browser something of this gateway's whole origin, a client where to go and with which
# credential, or a proxy in front what to do. nginx takes no wildcards, so that each name stands here.
NEVER_RETURNED = (
    "Accept-Ch",
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Local-Network",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Private-Network",
    "Access-Control-Expose-Headers",
    "Access-Control-Max-Age",
    "Activate-Storage-Access",
    "Alt-Svc",
    "Attribution-Reporting-Register-Source",
    "Attribution-Reporting-Register-Trigger",
    "Authentication-Info",
    "Cdn-Cache-Control",
    "Clear-Site-Data",
    "Content-Location",
    "Content-Security-Policy-Report-Only",
    "Critical-Ch",
    "Cross-Origin-Embedder-Policy",
    "Cross-Origin-Embedder-Policy-Report-Only",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Opener-Policy-Report-Only",
    "Expect-Ct",
    "Link",
    "Location",
    "Nel",
    "Observe-Browsing-Topics",
    "Origin-Agent-Cluster",
    "Proxy-Authenticate",
    "Proxy-Authentication-Info",
    "Public-Key-Pins",
    "Public-Key-Pins-Report-Only",
    "Refresh",
    "Report-To",
    "Reporting-Endpoints",
    "Secure-Session-Challenge",
    "Secure-Session-Registration",
    "Sec-Session-Challenge",
    "Sec-Session-Registration",
    "Server-Timing",
    "Service-Worker-Allowed",
    "Set-Cookie",
    "Set-Cookie2",
    "Set-Login",
    "Sourcemap",
    "Speculation-Rules",
    "Strict-Transport-Security",
    "Supports-Loading-Mode",
    "Surrogate-Control",
    "Timing-Allow-Origin",
    "Use-As-Dictionary",
    "Www-Authenticate",
    "X-Auth-Request-Access-Token",
    "X-Auth-Request-Email",
    "X-Auth-Request-Groups",
    "X-Auth-Request-Preferred-Username",
    "X-Auth-Request-Redirect",
    "X-Auth-Request-User",
    "X-Dns-Prefetch-Control",
    "X-Sendfile",
    "X-Sourcemap",
)

# What every answer of a backend carries instead of its own: no browser takes it for a page or a script, and
# no page of another origin can load it.
ALWAYS_RETURNED = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

# ------------------------------------------------------------------------------------------ cookies and paths

SESSION_COOKIE = "mcp_gateway_session"
# The name that browsers get over https: with this prefix they take the cookie from this very host alone, over
# https alone, so that no neighbouring host can plant one (RFC 6265bis, section 4.1.3.2).
HOST_SESSION_COOKIE = f"__Host-{SESSION_COOKIE}"
SIGN_IN_COOKIE = "mcp_gateway_sign_in"

VALIDATE = "/validate"
# The same question before the message came: by the headers alone.
VALIDATE_HEADERS = "/validate/headers"

HOME = "/"
LOGIN = "/oauth2/login/cognito"
CALLBACK = "/oauth2/callback/cognito"
LOGOUT = "/oauth2/logout/cognito"
SESSION = "/session"
ASSETS = "/assets/"
WELL_KNOWN = "/.well-known/oauth-"

# What of a server is for MCP, with all that lies below: the endpoints of its two HTTP transports.
MCP_ENDPOINTS = ("/mcp", "/sse", "/messages")

# What nginx takes to the sidecar's own pages: these paths, and all that begin so.
PAGES = (HOME, SESSION, LOGIN, CALLBACK, LOGOUT)
PAGE_PREFIXES = (ASSETS, WELL_KNOWN)

# A name is what a URL's first segment may be: lower case, since nginx and the policy compare differently.
SERVER_NAME_PATTERN = "[a-z0-9][a-z0-9._-]{0,127}"
RESERVED_SERVER_NAMES = frozenset(
    {"oauth", "health", "gateway", *(path.split("/")[1] for path in (*PAGES[1:], *PAGE_PREFIXES))}
)

# A body below this is read before anybody asks who sends it.
UNASKED_BYTES = 64 * 1024

# ------------------------------------------------------------------------------------- how values are written

# A list of tools is a comfort for backends; past this it is cut at a whole name, never inside one.
MAX_TOOLS_BYTES = 4096

_SAFE = "!\"#$&'()*+-./:;<=>?@[\\]^_`{|}~"  # printable ASCII but space, comma and the percent sign itself
_PLAIN = re.compile(r"[!-$&-+\--~]*")  # the same with letters and digits: what quote() would leave as it is


def encode(value: str) -> str:
    """Percent-encode one value, so that it can neither split a header nor a list."""
    if _PLAIN.fullmatch(value):
        return value
    # A lone surrogate, which JSON can spell, keeps an encoding of its own and becomes no other name.
    return quote(value, safe=_SAFE, errors="surrogatepass")


def encode_list(values: Iterable[str], separator: str) -> str:
    """Join values with a separator that none of them can hold."""
    values = list(values)
    plain = _PLAIN.fullmatch("".join(values))  # one look at all of them
    return separator.join(values if plain else map(encode, values))


def encode_tools(tools: list[str]) -> str:
    """Join the names of tools, cut after the last that fits in MAX_TOOLS_BYTES."""
    joined = encode_list(tools, ",")
    return joined if len(joined) <= MAX_TOOLS_BYTES else joined[: MAX_TOOLS_BYTES + 1].rpartition(",")[0]
