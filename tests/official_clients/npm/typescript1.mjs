// The official TypeScript client, version 1: `node typescript1.mjs URL TOKEN ERA`.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { elicited, everything, sampled } from "./everything.mjs";

const [url, token, era] = process.argv.slice(2);
const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { Authorization: `Bearer ${token}` } },
});
const client = new Client(
  { name: "typescript-1", version: "1" },
  { capabilities: { sampling: {}, elicitation: {} } },
);
const heard = [];
client.setRequestHandler(CreateMessageRequestSchema, sampled);
client.setRequestHandler(ElicitRequestSchema, elicited);
client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => heard.push(params.uri));
await client.connect(transport);
await everything({
  client,
  era,
  heard,
  call: (name, given, options) => client.callTool({ name, arguments: given }, undefined, options),
  terminate: () => transport.terminateSession(),
});
