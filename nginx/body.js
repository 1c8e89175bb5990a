/* All that nginx is told in JavaScript, since it has no directive for it, for njs 0.7.9 and newer, in both of its engines.
 * No rules of the gateway's here. */

// Read the body before the sidecar is asked about it.
function read(r) { r.internalRedirect('@judge'); }

// Break off where a backend says 1xx: nginx takes it for the answer, and passes on unread what comes next.
function final(r) { if (r.status < 200) { throw new Error('an interim answer'); } }

export default { read, final };
