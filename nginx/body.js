/* All that nginx is told in JavaScript: to read a body before the sidecar is asked about it. No rules here.
 * Runs on njs 0.7.9 and newer, in both of its engines. */

function read(r) {
    r.internalRedirect('@judge');
}

export default { read };
