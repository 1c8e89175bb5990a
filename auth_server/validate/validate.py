"""Who is asking, what for, and may they: the whole of a decision, top to bottom."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from auth_server import contract
from auth_server.cache import Cache
from auth_server.errors import (
    ErrorCode,
    Forbidden,
    InvalidRequest,
    Navigation,
    NotHere,
    Refusal,
    Unauthenticated,
    Unavailable,
)
from auth_server.headers import Headers
from auth_server.identity import cognito_claims
from auth_server.identity.credentials import credential, without_ours
from auth_server.model import AuthMethod, Target
from auth_server.policy import grants
from auth_server.policy.decision import Denied
from auth_server.validate import browser, message, request, responses, way
from auth_server.validate.responses import Answer
from auth_server.validate.sessions import Sessions, principal

if TYPE_CHECKING:
    from auth_server.config.settings import Settings
    from auth_server.headers import RawHeaders
    from auth_server.identity.identify import Identifier, Known
    from auth_server.model import Identity
    from auth_server.policy.grants import Policy
    from auth_server.policy.watcher import PolicyFile
    from auth_server.validate.message import Message
    from auth_server.validate.request import Question
    from auth_server.validate.responses import HeaderPairs

log = logging.getLogger("auth_server")

# Per worker.
SENDERS_BYTES = 16 * 1024 * 1024
ALLOWED_BYTES = 4 * 1024 * 1024

# What differs from one request of a client to its next, and is read at each or not at all.
_CHANGING = frozenset(
    {b"content-length", contract.ORIGINAL_LENGTH, contract.REQUEST_ID, b"traceparent", b"tracestate"}
)

# Longer ones are repeated nowhere: an answer's headers have to fit into nginx's buffer (sidecar.conf).
MAX_PATH = 1024
MAX_LOGGED = 300
MAX_COOKIES = 16 * 1024

_NO_MCP_PATH = (
    f"this path is not for MCP: {', '.join(contract.MCP_ENDPOINTS)} and what lies below them are, and what "
    "the server's entry names"
)
_METADATA_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+=:@/-]*")


@dataclass(frozen=True, slots=True)
class Sender:
    """What a client's headers say, alike each time that it sends them, and what an answer says of it."""

    question: Question
    known: Known
    principal: str
    headers: HeaderPairs

    @property
    def size(self) -> int:
        """Estimate the bytes that keeping this costs; what is known of the credential is kept elsewhere."""
        return 1200 + sum(len(value) for _, value in self.headers)


class Caller(NamedTuple):
    """Somebody who is known and asks for something, before it is known what."""

    headers: Headers
    sender: Sender
    identity: Identity


@dataclass(frozen=True, slots=True)
class AllowedCall:
    """A call that a policy allows to all who have certain rights, and the headers that tell of it."""

    headers: HeaderPairs
    size: int


# A server, what is asked of it, the scopes and groups of who asks, and the digest of the policy: all that a
# decision depends on.
_Rights = tuple[str, "Message", tuple[str, ...], tuple[str, ...], str]


class Validator:
    """Holds what a decision needs; each decision sees one snapshot of the policy."""

    def __init__(self, settings: Settings, identifier: Identifier, policy_file: PolicyFile) -> None:
        self._gateway_url = settings.gateway_url
        self._issuer = settings.pools[0].issuers[0]
        self._filter_lists = settings.filter_lists
        self._own_pool = settings.pools[0].id if len(settings.pools) == 1 else ""
        self._sessions = Sessions(settings.session_keys)
        self._site = request.Site.of(settings.gateway_url, settings.allowed_hosts)
        self._identifier = identifier
        self._policy_file = policy_file
        self._senders: Cache[tuple[bytes, str], Sender] = Cache(SENDERS_BYTES)
        self._allowed: Cache[_Rights, AllowedCall] = Cache(ALLOWED_BYTES)

    async def caller(self, raw: RawHeaders, *, now: float, listener: str = "") -> Caller | Answer:
        """Return who asks, by the headers alone, or the answer that refuses them. Never raises.

        `listener` is the address that took the connection, for questions that do not come through nginx.
        """
        headers = Headers(raw)
        try:
            while (sender := self._sender(headers, now, listener)) is None:
                await self._identifier.find_key(credential(headers))
            identity = await self._identifier.now(sender.known, now=now)
        except Exception as error:  # noqa: BLE001 - whatever cannot be judged is not let through
            return self._refused(error, headers, now=now)
        return Caller(headers, sender, identity)

    def caller_at_once(self, raw: RawHeaders, *, now: float, listener: str = "") -> Caller | Answer | None:
        """Return what `caller` does, None where somebody has to be waited for. Never raises."""
        headers = Headers(raw)
        try:
            sender = self._sender(headers, now, listener)
            identity = None if sender is None else self._identifier.now_at_once(sender.known)
        except Exception as error:  # noqa: BLE001 - see above
            return self._refused(error, headers, now=now)
        return None if sender is None or identity is None else Caller(headers, sender, identity)

    def answer(self, path: str, caller: Caller | Answer, body: bytes, *, now: float) -> Answer:
        """Return the answer to a question at one of /validate's two paths. Never raises."""
        if isinstance(caller, Answer):
            return caller
        if path == contract.VALIDATE_HEADERS:
            return self.welcome(caller, now=now)
        return self.judge(caller, body, now=now)

    def welcome(self, caller: Caller, *, now: float) -> Answer:
        """Answer whether this caller may send anything: that takes a grant on the server. Never raises."""
        try:
            self._check_path(caller)
            return self._decided(caller, message.NOTHING)
        except Exception as error:  # noqa: BLE001 - see above
            return self._refused(error, caller.headers, now=now)

    def judge(self, caller: Caller, body: bytes, *, now: float) -> Answer:
        """Decide on the message and return the response for it. Never raises: what fails is a 503."""
        rpc_id, asked = "", message.NOTHING
        try:
            self._check_path(caller)
            request.check_body(caller.headers, caller.sender.question, len(body))
            if body:
                envelope = message.parse(body)
                rpc_id = envelope.id
                asked = message.describe(envelope)
            request.compare(caller.sender.question, asked)
            return self._decided(caller, asked, rpc_id)
        except Exception as error:  # noqa: BLE001 - see above
            return self._refused(error, caller.headers, now=now, rpc_id=rpc_id, asked=asked)

    def _sender(self, headers: Headers, now: float, listener: str) -> Sender | None:
        """Read the headers, unless the same ones were read before, from whom they still prove to come.

        None where the key that proves it has to be waited for.
        """
        same = headers.digest(without=_CHANGING), listener
        sender = self._senders.get(same)
        if sender is None or not self._identifier.still_holds(sender.known, now=now):
            question = request.read(headers, self._site, listener=listener)
            known = self._identifier.verified_at_once(credential(headers), headers, now=now)
            if known is None:
                return None
            browser.check(headers, known.identity.method)
            cognito_claims.check_resource(known.identity, self._gateway_url, question.server)
            pool = known.token.pool.id if known.token else self._own_pool
            who = principal(known.identity, pool)
            told = [*responses.caller_headers(known.identity), *_for_backend(headers)]
            sealed = headers.get(contract.MCP_SESSION_ID)
            if sealed is not None:
                session = self._sessions.open(who, question.server, sealed)
                told.append((contract.BACKEND_SESSION, session.encode()))
            sender = Sender(question, known, who, told)
            self._senders.put(same, sender)
        return sender

    def _check_path(self, caller: Caller) -> None:
        """Refuse a path that is not MCP's: NotHere, once the caller has a grant on the server."""
        if not caller.sender.question.path_known:
            self._decided(caller, message.NOTHING)
            raise NotHere(_NO_MCP_PATH, code=ErrorCode.PATH_UNKNOWN)

    def _decided(self, caller: Caller, asked: Message, rpc_id: str = "") -> Answer:
        sender, identity, policy = caller.sender, caller.identity, self._policy_file.policy
        rights = (sender.question.server, asked, identity.scopes, identity.groups, policy.digest)
        call = self._allowed.get(rights)
        if call is None:
            call = _decide(policy, identity, sender.question.server, asked)
            self._allowed.put(rights, call)
        over = way.way_of(sender.question, asked, filter_lists=self._filter_lists)
        if over is None:
            return responses.allowed(sender.headers, call.headers)
        server, method = sender.question.server, asked.method or ""
        ticket = way.Ticket(over, server, sender.principal, identity, method, rpc_id)
        return responses.allowed(sender.headers, [*call.headers, (contract.RELAY, way.write(ticket))])

    def _refused(
        self,
        error: Exception,
        headers: Headers,
        *,
        now: float,
        rpc_id: str = "",
        asked: Message = message.NOTHING,
    ) -> Answer:
        if not isinstance(error, Refusal):
            # Only its type and place: the text of a stranger's exception may hold what it choked on.
            log.error("failed: %s", _where(error))
            error = Unavailable(ErrorCode.AUTH_UNAVAILABLE, "the authorization service failed; try again")
        about = self._about(headers, rpc_id, error)
        answer = responses.refused(error, about, now=now)
        fields: dict[str, object] = {
            "status": answer.status,
            "error_code": error.code.value,
            "message": error.message,
            "request_id": about.request_id,
        }
        if asked.method is not None:
            server = "".join(headers.every(contract.MCP_SERVER)[:1])
            described = grants.describe(Target(server, asked.method, asked.names))
            fields |= {"server": server, "target": contract.encode(described[:MAX_LOGGED])}
        log.info("refused", extra={"fields": fields})
        return responses.for_nginx(answer, about, _for_log(asked))

    def _about(self, headers: Headers, rpc_id: str, refusal: Refusal) -> responses.About:
        server = "".join(headers.every(contract.MCP_SERVER)[:1])
        target = "".join(headers.every(contract.ORIGINAL_URI)[:1])
        path = target.partition("?")[0]
        metadata = ""
        if (
            server
            and path.startswith(f"/{server}")
            and len(path) <= MAX_PATH
            and _METADATA_PATH.fullmatch(path)
        ):
            metadata = f"{self._gateway_url}/.well-known/oauth-protected-resource{path}"
        return responses.About(
            request_id=contract.encode("".join(headers.every(contract.REQUEST_ID)[:1])[:128]),
            resource_metadata=metadata,
            discovery_url=f"{self._issuer}/.well-known/openid-configuration",
            id=rpc_id,
            page=self._page(target, refusal) if browser.is_person(headers) else "",
        )

    def _page(self, target: str, refusal: Refusal) -> str:
        """Return where a person finds what there is instead: to sign in, or what they may call."""
        if isinstance(refusal, Navigation):
            return f"{self._gateway_url}{contract.HOME}"
        if not isinstance(refusal, Unauthenticated):
            return ""
        here = target if len(target) <= MAX_PATH else "/"
        return f"{self._gateway_url}{contract.LOGIN}?redirect={quote(here, safe='', encoding='latin-1')}"


def _decide(policy: Policy, identity: Identity, server: str, asked: Message) -> AllowedCall:
    """Judge the call; raises Forbidden with the scope that would help, where a token could carry one."""
    target = Target(server, asked.method, asked.names)
    scopes = policy.effective_scopes(identity)
    decision = grants.decide(policy, scopes, target)
    if isinstance(decision, Denied):
        code = ErrorCode.ACCESS_DENIED if decision.server_known else ErrorCode.SERVER_UNKNOWN
        raise Forbidden(code, decision.reason, scope=_scope_to_ask_for(policy, identity, target))
    tools = grants.allowed_tools(policy, scopes, target.server)
    headers = responses.call_headers(target, scopes=scopes, groups=identity.groups, tools=tools)
    headers += _for_log(asked)
    texts = [
        asked.version,
        *(name.value for name in target.names),
        *scopes,
        *identity.groups,
        *(value for _, value in headers),
    ]
    return AllowedCall(headers, 1000 + sum(map(len, texts)) + 60 * len(texts))


def _scope_to_ask_for(policy: Policy, identity: Identity, target: Target) -> str:
    """Name the scope that a new token would need, where one could carry it.

    Cognito's custom scopes always read `resource-server/name`; any other is reached by a group alone, and
    a client told to ask for it would sign in again for nothing.
    """
    if identity.method is not AuthMethod.JWT:
        return ""
    return next((scope for scope in grants.scopes_allowing(policy, target) if "/" in scope), "")


def _for_log(asked: Message) -> HeaderPairs:
    """Return what nginx's log says of a message."""
    told = []
    if asked.method is not None:
        told.append((contract.LOG_METHOD, asked.method.encode()))
    if asked.name:
        told.append((contract.LOG_NAME, contract.encode(asked.name[:MAX_LOGGED]).encode()))
    return told


def _for_backend(headers: Headers) -> HeaderPairs:
    """Return the cookies that go on; raises InvalidRequest where nginx could not take them from an answer."""
    cookies = headers.every(contract.COOKIE)
    if not cookies:
        return []
    kept = without_ours(cookies)
    if len(kept) > MAX_COOKIES:
        raise InvalidRequest(f"the cookies are longer than {MAX_COOKIES} characters")
    return [(contract.BACKEND_COOKIE, kept.encode("latin-1"))]


def _where(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
    return f"{type(error).__name__} at {place}"
