// Reads as JavaScript does: JSON.parse, the last of equal keys.

const { readFileSync } = require("node:fs");

function text(value) {
  if (typeof value === "string") return "s" + Buffer.from(value).toString("hex");
  if (typeof value === "number") return "n" + value;
  return value === undefined ? "" : "o";
}

function line(body) {
  let message;
  try {
    message = JSON.parse(body);
  } catch {
    return "!";
  }
  if (message === null || typeof message !== "object") return "!";
  const { method, id, params } = message;
  const { name, uri, taskId, ref, notifications } = params ?? {};
  const { type, name: refName, uri: refUri } = ref ?? {};
  const subscriptions = notifications?.resourceSubscriptions;
  const all = [method, id, name, uri, taskId, type, refName, refUri];
  if (Array.isArray(subscriptions)) all.push(...subscriptions);
  return all.map((value) => text(value) + "\t").join("");
}

const bodies = readFileSync(0);
const lines = [];
for (let at = 0; at < bodies.length; ) {
  const start = at + 4;
  at = start + bodies.readUInt32LE(at);
  lines.push(line(bodies.toString("utf8", start, at)) + "\n");
}
process.stdout.write(lines.join(""));
