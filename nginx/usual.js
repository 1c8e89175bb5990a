/* The first look at a request. Each one pays for every line of this file: it holds what the usual one needs.
 * The template says what is usual; whatever is not goes to mcp.js. */

import crypto from 'crypto';

function headerNames(r) {
    return r.rawHeadersIn.map((header) => header[0]).join('\n');
}

function inspect(r) {
    const v = r.variables;
    if (v.mcp_usual_head !== '1') {
        r.internalRedirect('@inspect');
        return;
    }
    if (v.mcp_cache !== 'off') {
        v.mcp_decision = crypto.createHash('sha256').update(r.rawVariables.mcp_question).digest('hex');
    }
    r.internalRedirect('@usual');
}

export default { headerNames, inspect };
