/* The way through nginx: each message has one meaning, or it is refused.
 *
 * inspect()  reads a request before anything is decided, and names what it is about for the auth subrequest
 * refused(), unavailable(), unreachable(), malformed(), …  speak the errors of the contract
 *
 * The language is what njs 0.7.9 (Debian bookworm) understands: no destructuring, no classes, no spread.
 */

import crypto from 'crypto';

/* njs runs this level of the file anew for each request: it holds plain values alone, tables are switches. */

const MAX_METHOD = 256;
const MAX_NAMES = 8192;  // of all names of one message, as they travel in a header
const HEADER_MISMATCH = -32020;

// ---------------------------------------------------------------------------------------------- refusals

function Refusal(status, code, message) {
    this.status = status;
    this.code = code;
    this.message = message;
}

function invalid(message) {
    return new Refusal(400, 'REQUEST_INVALID', message);
}

function mismatch(message) {
    return new Refusal(400, 'HEADER_MISMATCH', message);
}

// ------------------------------------------------------------------------------------------- the request

function inspect(r) {
    try {
        checkHeaders(r);
        checkHost(r);
        checkOrigin(r);
        route(r);
        if (r.method === 'POST') {
            checkContent(r);
            describe(r, readMessage(r));
        } else if (r.method === 'GET' || r.method === 'DELETE') {
            if (hasBody(r)) {
                throw invalid('a ' + r.method + ' must not have a body: nobody would judge it');
            }
            compareHeaders(r, '', '');
        } else {
            methodNotAllowed(r);
            return;
        }
    } catch (e) {
        failed(r, e);
        return;
    }
    if (r.variables.mcp_cache !== 'off') {
        r.variables.mcp_decision = digest(r);
    }
    r.internalRedirect('@mcp');
}

/* The sidecar's own pages: it judges them itself, except for what only nginx sees as it was sent. */
function page(r) {
    try {
        checkHeaders(r);
        checkHost(r);
        pathOf(r);
        if (!/^(GET|HEAD|POST|DELETE)$/.test(r.method)) {
            methodNotAllowed(r);
            return;
        }
    } catch (e) {
        failed(r, e);
        return;
    }
    r.internalRedirect('@page');
}

function failed(r, e) {
    if (e instanceof Refusal) {
        refuse(r, e);
        return;
    }
    r.error('failed: ' + e);
    refuse(r, new Refusal(503, 'AUTH_UNAVAILABLE', 'the request could not be judged; try again'));
}

/* The name under which nginx may keep a 200: a digest, since nginx writes it into its cache. */
function digest(r) {
    return crypto.createHash('sha256').update(r.rawVariables.mcp_question).digest('hex');
}

function checkHeaders(r) {
    const seen = {};
    const raw = r.rawHeadersIn;
    for (let i = 0; i < raw.length; i++) {
        const name = raw[i][0].toLowerCase();
        if (comesOnce(name)) {
            if (seen[name]) {
                throw invalid('the header ' + name + ' was sent more than once');
            }
            seen[name] = true;
        }
    }
    // An empty header would vanish on the way to the sidecar and let the cookie decide in its place.
    const authorization = r.headersIn['Authorization'];
    r.variables.mcp_authorization = authorization === undefined ? '' : authorization.trim() || 'Bearer';
}

function comesOnce(name) {
    switch (name) {
    case 'authorization':
    case 'content-type':
    case 'content-encoding':
    case 'origin':
    case 'host':
    case 'x-user-pool-id':
    case 'x-client-id':
    case 'x-region':
        return true;
    default:
        return name.startsWith('mcp-');
    }
}

function checkHost(r) {
    if (r.variables.mcp_own_host !== '1') {
        throw new Refusal(421, 'REQUEST_INVALID',
                          'this gateway does not answer for that Host; see GATEWAY_URL and ALLOWED_HOSTS');
    }
}

function checkOrigin(r) {
    const origin = r.headersIn['Origin'];
    if (origin === undefined || origin === r.variables.gateway_url) {
        return;
    }
    const host = r.headersIn['Host'];
    if (origin !== 'http://' + host && origin !== 'https://' + host) {
        throw new Refusal(403, 'ORIGIN_MISMATCH', 'calls from pages of other origins are not accepted');
    }
}

/* $mcp_server is nginx's own capture from the normalised path. The path as sent must say the same to any
 * other reader, or it is refused; what goes on to the backend is then exactly what the client sent. */
function route(r) {
    const path = pathOf(r);
    const prefix = '/' + r.variables.mcp_server;
    const rest = path.slice(prefix.length);
    if (!path.startsWith(prefix) || (rest !== '' && rest[0] !== '/')) {
        throw ambiguous();
    }
    r.variables.mcp_other_cookies = otherCookies(r.variables.http_cookie);
}

/* The path as sent, without the query. */
function pathOf(r) {
    const uri = r.variables.request_uri;
    if (!r.variables.request.startsWith(r.method + ' ' + uri)) {
        throw invalid('the request target must be a path: with a host of its own, there would be two');
    }
    const query = uri.indexOf('?');
    const path = query < 0 ? uri : uri.slice(0, query);
    if (!isUnambiguous(path) || uri.indexOf('#') >= 0) {
        throw ambiguous();
    }
    return path;
}

function ambiguous() {
    return invalid('the path can be read in more than one way: no “//”, dot segments, “;”, backslash, '
                   + 'or encoded slash, dot or percent sign');
}

function isUnambiguous(path) {
    // Most paths: no percent sign, and no segment that is empty or begins with a dot.
    if (/^(?:\/[A-Za-z0-9_~][A-Za-z0-9._~-]*)+$/.test(path)) {
        return true;
    }
    return /^\/[A-Za-z0-9._~!$&'()*+,=:@\/%-]*$/.test(path)
        && !/\/\/|\/\.\.?(?:\/|$)|%(?:2[ef]|5c|3b|00|25|c[01])|%(?![0-9a-f]{2})/i.test(path);
}

function otherCookies(header) {
    if (!header) {
        return '';
    }
    return header.split(';').filter((pair) => {
        const name = pair.split('=')[0].trim();
        return name !== 'mcp_gateway_session' && name !== '__Host-mcp_gateway_session'
            && !name.startsWith('__Host-mcp_gateway_sign_in_') && !name.startsWith('mcp_gateway_sign_in_');
    }).join(';').trim();
}

function hasBody(r) {
    const length = r.headersIn['Content-Length'];
    return (length !== undefined && length !== '0') || r.headersIn['Transfer-Encoding'] !== undefined;
}

// ------------------------------------------------------------------------------------------- the message

function checkContent(r) {
    const type = r.headersIn['Content-Type'];
    if (type !== 'application/json'
            && !/^application\/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?$/i.test(type || '')) {
        throw invalid('Content-Type must be application/json');
    }
    if (r.headersIn['Content-Encoding'] !== undefined) {
        throw invalid('the body must not be compressed: remove Content-Encoding');
    }
}

function readMessage(r) {
    let bytes;
    try {
        bytes = r.requestBuffer;
    } catch (e) {
        // Not in memory: the framing of very small chunks outgrew the buffer.
        throw new Refusal(413, 'BODY_TOO_LARGE', 'the body came in too many small chunks; send Content-Length');
    }
    if (!bytes || bytes.length === 0) {
        throw invalid('the body is empty; expected one JSON-RPC message');
    }
    if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
        throw invalid('the body must not begin with a byte order mark');
    }
    let text;
    try {
        text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch (e) {
        throw invalid('the body is not UTF-8');
    }
    let message;
    try {
        message = JSON.parse(text);
    } catch (e) {
        throw invalid('the body is not JSON (or is nested too deep)');
    }
    if (Array.isArray(message)) {
        throw invalid('batches left MCP with 2025-06-18; send one message at a time');
    }
    if (!isObject(message)) {
        throw invalid('the body is not a JSON-RPC message');
    }
    r.variables.mcp_id = rpcId(message);
    const outside = outsideStrings(text);
    // njs takes these for numbers, most programs don't (RFC 8259, section 6). It also takes “[]” in an expression
    // for an empty class, escaped or not.
    if (/(?:^|[\[\s,:])-?0[0-9]|[0-9]\.(?![0-9])/.test(outside.join('"'))) {
        throw invalid('a number has a leading zero, or nothing after its point');
    }
    if (!isPlain(text)) {
        checkKeys(outside, message);
    }
    return message;
}

/* What stands between the strings. Splits alone, since njs's replace() and exec() with a global regex take
 * quadratic time: one body of 4 MB with a million strings would stop the worker for an hour. */
function outsideStrings(text) {
    const plain = text.indexOf('\\') < 0 ? text : text.split('\\\\').join('').split('\\"').join('');
    return plain.split('"').filter((part, at) => at % 2 === 0);
}

/* Most messages: no escapes, ASCII alone, and each deciding key at most once, in its one spelling. Whatever may
 * be otherwise is looked at closely. */
function isPlain(text) {
    if (text.indexOf('\\') >= 0 || /[^\x00-\x7f]/.test(text)) {
        return false;
    }
    const folded = fold(text);
    return once(text, folded, '"method"') && once(text, folded, '"params"') && once(text, folded, '"name"')
        && once(text, folded, '"id"') && once(text, folded, '"jsonrpc"') && once(text, folded, '"uri"')
        && once(text, folded, '"result"') && once(text, folded, '"error"') && once(text, folded, '"ref"')
        && once(text, folded, '"type"') && once(text, folded, '"notifications"')
        && folded.indexOf('"taskid"') < 0 && folded.indexOf('"resourcesubscriptions"') < 0;
}

function once(text, folded, key) {
    const first = folded.indexOf(key);
    return first < 0 || (text.indexOf(key) >= 0 && folded.indexOf(key, first + key.length) < 0);
}

/* Refuses keys that occur twice in one object, and other spellings of the keys that decide. */
function checkKeys(outside, message) {
    // Outside strings there is one colon for each member.
    if (outside.filter((part) => part.indexOf(':') >= 0).length !== countMembers(message)) {
        throw invalid('a key occurs twice in one object; programs differ in which of them counts');
    }
    checkMembers(message);
    if (isObject(message.params)) {
        checkMembers(message.params);
        [message.params.ref, message.params.notifications].forEach((inner) => {
            if (isObject(inner)) {
                checkMembers(inner);
            }
        });
    }
}

function countMembers(value) {
    let members = 0;
    const todo = [value];
    const visit = (item) => {
        if (item !== null && typeof item === 'object') {
            todo.push(item);
        }
    };
    while (todo.length > 0) {
        const next = todo.pop();
        if (Array.isArray(next)) {
            next.forEach(visit);
        } else {
            const keys = Object.keys(next);
            members += keys.length;
            keys.forEach((key) => visit(next[key]));
        }
    }
    return members;
}

/* Sets what the auth subrequest asks about, from the body alone. */
function describe(r, message) {
    if (message.jsonrpc !== '2.0') {
        throw invalid('“jsonrpc” must be "2.0"');
    }
    if (!has(message, 'method')) {
        if (has(message, 'result') === has(message, 'error')) {
            throw invalid('a message has a method, a result or an error');
        }
        compareHeaders(r, '', '');
        return;
    }
    const method = message.method;
    if (typeof method !== 'string' || method === '' || method.length > MAX_METHOD || !isVisible(method)) {
        throw invalid('“method” must be a string of printable ASCII, at most ' + MAX_METHOD + ' characters');
    }
    if (has(message, 'result') || has(message, 'error')) {
        throw invalid('a message with a method must have neither result nor error');
    }
    if (!method.startsWith('notifications/') && typeof message.id !== 'string' && typeof message.id !== 'number') {
        throw invalid('a request needs an id, a string or a number');
    }
    const params = has(message, 'params') && message.params !== null ? message.params : {};
    if (!isObject(params)) {
        throw invalid('“params” must be an object');
    }
    checkOwnName(params, 'name');
    checkOwnName(params, 'uri');
    checkOwnName(params, 'taskId');
    const names = namesOf(method, params);
    compareHeaders(r, method, names.name);
    const name = encodeValue(names.name);
    r.variables.mcp_method = method;
    r.variables.mcp_name = name;
    r.variables.mcp_targets = names.targets.length ? ascii(JSON.stringify(names.targets)) : '';
    if (name.length + r.variables.mcp_targets.length > MAX_NAMES) {
        throw tooLong();
    }
}

function tooLong() {
    return invalid('the names in this message are too long to be judged');
}

/* Says what must not occur, not what must: njs's $ also matches before a last line feed. */
function isVisible(text) {
    return !/[^!-~]/.test(text);
}

function namesOf(method, params) {
    const member = namingMember(method);
    if (member !== '') {
        if (!has(params, member)) {
            throw invalid(method + ' needs params.' + member);
        }
        return { name: params[member], targets: [] };
    }
    if (method === 'completion/complete') {
        return completionNames(params.ref);
    }
    if (method === 'subscriptions/listen' && has(params, 'notifications')) {
        return { name: '', targets: subscriptionNames(params.notifications) };
    }
    return { name: '', targets: [] };
}

/* Which member of params says what a method is about. tasks/* are judged by their method alone; the task's id
 * is compared with the client's Mcp-Name all the same. */
function namingMember(method) {
    switch (method) {
    case 'tools/call':
    case 'prompts/get':
        return 'name';
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
        return 'uri';
    case 'tasks/get':
    case 'tasks/update':
    case 'tasks/cancel':
    case 'tasks/result':
        return 'taskId';
    default:
        return '';
    }
}

function completionNames(ref) {
    if (!isObject(ref)) {
        throw invalid('completion/complete needs params.ref');
    }
    if (ref.type === 'ref/prompt' && !has(ref, 'uri')) {
        checkName(ref.name, 'ref.name');
        return { name: ref.name, targets: [{ prompts: ref.name }] };
    }
    if (ref.type === 'ref/resource' && !has(ref, 'name')) {
        checkName(ref.uri, 'ref.uri');
        return { name: ref.uri, targets: [{ resources: ref.uri }] };
    }
    throw invalid('params.ref must be a ref/prompt with a name, or a ref/resource with a uri');
}

function subscriptionNames(notifications) {
    if (!isObject(notifications)) {
        throw invalid('params.notifications must be an object');
    }
    if (!has(notifications, 'resourceSubscriptions')) {
        return [];
    }
    const uris = notifications.resourceSubscriptions;
    if (!Array.isArray(uris)) {
        throw invalid('resourceSubscriptions must be an array of URIs');
    }
    if (uris.length > MAX_NAMES / 4) {
        throw tooLong();
    }
    uris.forEach((uri) => checkName(uri, 'resourceSubscriptions'));
    return uris;
}

function checkMembers(object) {
    Object.keys(object).forEach((key) => {
        const meant = decidingKey(fold(key));
        if (meant !== '' && meant !== key) {
            throw invalid('a key is another spelling of ' + meant);
        }
    });
}

/* Some servers match keys without regard to case (Go's encoding/json, by Unicode's rules), or take snake_case
 * as well (pydantic). Splits, since njs's replace() with a global regex takes quadratic time. */
function fold(text) {
    return text.toUpperCase().toLowerCase().split('_').join('').split('-').join('');
}

function decidingKey(folded) {
    switch (folded) {
    case 'jsonrpc':
    case 'id':
    case 'method':
    case 'params':
    case 'result':
    case 'error':
    case 'name':
    case 'uri':
    case 'ref':
    case 'type':
    case 'notifications':
        return folded;
    case 'taskid':
        return 'taskId';
    case 'resourcesubscriptions':
        return 'resourceSubscriptions';
    default:
        return '';
    }
}

function checkOwnName(params, key) {
    if (has(params, key)) {
        checkName(params[key], key);
    }
}

function checkName(value, key) {
    if (typeof value !== 'string' || value === '' || /[\u0000-\u001f\u007f-\u009f\ud800-\udfff\ufffd]/.test(value)) {
        throw invalid('“' + key + '” must be a string without control characters');
    }
}

/* MCP 2026-07-28: a header that says something else than the body is refused, never believed. */
function compareHeaders(r, method, name) {
    const headers = r.headersIn;
    if (headers['Mcp-Method'] !== undefined && headers['Mcp-Method'] !== method) {
        throw mismatch('the header Mcp-Method does not agree with the body');
    }
    if (headers['Mcp-Name'] !== undefined && decodeValue(headers['Mcp-Name']) !== name) {
        throw mismatch('the header Mcp-Name does not agree with the body');
    }
}

function decodeValue(value) {
    const match = /^=\?base64\?(.*)\?=$/.exec(value);
    if (!match) {
        return value;
    }
    const bytes = Buffer.from(match[1], 'base64');
    if (bytes.toString('base64') !== match[1]) {
        throw mismatch('the header Mcp-Name is not canonical base64');
    }
    try {
        return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch (e) {
        throw mismatch('the header Mcp-Name does not hold UTF-8');
    }
}

function encodeValue(value) {
    if (value === '' || (/^[!-~](?:[ -~]*[!-~])?$/.test(value) && !value.startsWith('=?base64?'))) {
        return value;
    }
    return '=?base64?' + Buffer.from(value).toString('base64') + '?=';
}

function ascii(json) {
    return json.replace(/[\u007f-\uffff]/g, (c) => '\\u' + ('0000' + c.charCodeAt(0).toString(16)).slice(-4));
}

function rpcId(message) {
    const id = message.id;
    return has(message, 'id') && (typeof id === 'number' || (typeof id === 'string' && id.length <= 256))
        ? JSON.stringify(id) : 'null';
}

function has(object, key) {
    return Object.prototype.hasOwnProperty.call(object, key);
}

function isObject(value) {
    return value !== null && typeof value === 'object' && !Array.isArray(value);
}

// ------------------------------------------------------------------------------------------------ answers

function refuse(r, refusal) {
    send(r, refusal.status, {
        type: refusal.status >= 500 ? 'ServiceError' : refusal.status === 403 ? 'AuthorizationError' : 'RequestError',
        message: refusal.message,
        details: { error_code: refusal.code },
        timestamp: new Date().toISOString(),
        request_id: r.variables.request_id,
    });
}

/* One body for everybody: the contract's error, which is a JSON-RPC error as well (code, id), so that an MCP
 * client shows its message. */
function send(r, status, error) {
    const code = error.details.error_code;
    error.code = code === 'HEADER_MISMATCH' ? HEADER_MISMATCH : status === 400 ? -32600 : -32000;
    const body = { jsonrpc: '2.0', id: JSON.parse(r.variables.mcp_id || 'null'), success: false, error: error };
    r.headersOut['Content-Type'] = 'application/json';
    r.headersOut['Cache-Control'] = 'no-store';
    r.headersOut['X-Auth-Error'] = code;
    if (status === 503) {
        r.headersOut['Retry-After'] = r.variables.auth_retry_after || '1';
    }
    r.return(status, JSON.stringify(body));
}

/* The sidecar said 401 or 403; what it would have answered itself came in a header. */
function refused(r) {
    let error;
    try {
        error = JSON.parse(r.variables.auth_error_body).error;
    } catch (e) {
        unavailable(r);
        return;
    }
    if (error.details.error_code === 'REQUEST_INVALID') {
        send(r, 400, error);
        return;
    }
    // After a retry there are the statuses of all attempts: “502, 401”.
    const status = /401$/.test(r.variables.auth_status) ? 401 : 403;
    if (status === 401 && isPerson(r)) {
        const here = encodeURIComponent(r.variables.request_uri);
        r.headersOut['Cache-Control'] = 'no-store';
        r.headersOut['X-Auth-Error'] = error.details.error_code;
        r.return(302, r.variables.gateway_url + '/oauth2/login/cognito?redirect=' + here);
        return;
    }
    // nginx passes the challenge on by itself for 401, and drops it for 403.
    if (status === 403 && r.variables.auth_www_authenticate) {
        r.headersOut['WWW-Authenticate'] = r.variables.auth_www_authenticate;
    }
    send(r, status, error);
}

/* Somebody who opens a page, and no program: those offer a token, or ask for something else than a page. */
function isPerson(r) {
    if (r.method !== 'GET' || r.headersIn['Authorization'] !== undefined) {
        return false;
    }
    const mode = r.headersIn['Sec-Fetch-Mode'];
    return (mode === undefined || mode === 'navigate') && /\btext\/html\b/i.test(r.headersIn['Accept'] || '');
}

/* auth_request makes 500 of whatever is not 2xx, 401 or 403: no decision, so nobody is let in. */
function unavailable(r) {
    const code = r.variables.auth_error === 'KEYS_UNAVAILABLE' ? 'KEYS_UNAVAILABLE' : 'AUTH_UNAVAILABLE';
    refuse(r, new Refusal(503, code, 'the gateway cannot decide now; try again in a moment'));
}

function unreachable(r) {
    if (!r.variables.mcp_host) {
        refuse(r, new Refusal(403, 'SERVER_UNKNOWN', 'this gateway has no server of that name'));
        return;
    }
    const late = /504$/.test(r.variables.upstream_status || '');
    refuse(r, new Refusal(late ? 504 : 502, 'UPSTREAM_UNAVAILABLE',
                          'the MCP server behind the gateway does not answer'));
}

function tooLarge(r) {
    refuse(r, new Refusal(413, 'BODY_TOO_LARGE', 'the body is larger than this gateway reads'));
}

function malformed(r) {
    refuse(r, invalid('the request is not one that HTTP allows, or its headers are too large'));
}

function methodNotAllowed(r) {
    r.headersOut['Allow'] = 'GET, POST, DELETE';
    refuse(r, new Refusal(405, 'REQUEST_INVALID', 'only GET, POST and DELETE are used here'));
}

function notFound(r) {
    refuse(r, new Refusal(404, 'SERVER_UNKNOWN', 'no MCP server has this path; expected /<server>/…'));
}

export default { inspect, page, refused, unavailable, unreachable, tooLarge, malformed, methodNotAllowed, notFound };
