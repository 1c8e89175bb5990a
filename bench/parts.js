/* What mcp.js is made of, each alone: bench/njs.py measures them beside the whole. */

import crypto from 'crypto';

function nothing(r) {
    r.return(204);
}

function read(r) {
    r.return(r.requestText.length > 0 ? 204 : 500);
}

function parse(r) {
    r.return(JSON.parse(r.requestText).method === 'tools/call' ? 204 : 500);
}

function digest(r) {
    r.return(crypto.createHash('sha256').update(r.headersIn.Authorization).digest('base64').length === 44 ? 204 : 500);
}

function redirect(r) {
    r.internalRedirect('@nothing');
}

export default { nothing, read, parse, digest, redirect };
