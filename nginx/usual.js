/* The first look at a request. Each one pays for every line of this file: it holds what the usual one needs.
 * The template says what is usual; whatever is not goes to mcp.js. */

import crypto from 'crypto';

function inspect(r) {
    const v = r.variables;
    v.mcp_headers = r.rawHeadersIn.join('\n');
    if (v.mcp_usual !== '1') {
        r.internalRedirect('@inspect');
        return;
    }
    v.mcp_decision = crypto.createHash('sha256').update(r.rawVariables.mcp_question).digest('hex');
    r.internalRedirect('@mcp');
}

export default { inspect };
