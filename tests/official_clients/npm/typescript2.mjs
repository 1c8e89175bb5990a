// The official TypeScript client, version 2: `node typescript2.mjs URL TOKEN ERA`.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { elicited, everything, sampled } from "./everything.mjs";

const [url, token, era] = process.argv.slice(2);
const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { Authorization: `Bearer ${token}` } },
});
const client = new Client(
  { name: "typescript-2", version: "1" },
  {
    capabilities: { sampling: {}, elicitation: { form: {} } },
    versionNegotiation: { mode: era === "legacy" ? "legacy" : "auto" },
  },
);
const heard = [];
client.setRequestHandler("sampling/createMessage", sampled);
client.setRequestHandler("elicitation/create", elicited);
client.setNotificationHandler("notifications/resources/updated", ({ params }) => heard.push(params.uri));
await client.connect(transport);
await everything({
  client,
  era,
  heard,
  call: (name, given, options) => client.callTool({ name, arguments: given }, options),
  listen: (uri) => client.listen({ resourceSubscriptions: [uri] }),
  terminate: () => transport.terminateSession(),
});
