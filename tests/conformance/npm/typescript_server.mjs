// What the suite asks of a server, with the official TypeScript SDK: `node typescript_server.mjs PORT`.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import {
  localhostHostValidation,
  localhostOriginValidation,
  NodeStreamableHTTPServerTransport,
  toNodeHandler,
  toWebRequest,
} from "@modelcontextprotocol/node";
import {
  completable,
  createMcpHandler,
  createRequestStateCodec,
  fromJsonSchema,
  inputRequired,
  inputResponse,
  isLegacyRequest,
  McpServer,
  ResourceTemplate,
} from "@modelcontextprotocol/server";
import { z } from "zod";

const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";
const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";

const string = { type: "string" };
const SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: { address: { $anchor: "addressDef", type: "object", properties: { street: string, city: string } } },
  properties: {
    name: string,
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: string,
    email: string,
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
};
const DEFAULTS = {
  name: { type: "string", default: "John Doe" },
  age: { type: "integer", default: 30 },
  score: { type: "number", default: 95.5 },
  status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
  verified: { type: "boolean", default: true },
};
const LABELLED = [
  { const: "one", title: "The first" },
  { const: "two", title: "The second" },
];
const ENUMS = {
  untitledSingle: { type: "string", enum: ["one", "two"] },
  titledSingle: { type: "string", oneOf: LABELLED },
  legacyEnum: { type: "string", enum: ["one", "two"], enumNames: ["The first", "The second"] },
  untitledMulti: { type: "array", items: { type: "string", enum: ["one", "two"] } },
  titledMulti: { type: "array", items: { anyOf: LABELLED } },
};

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const text = (value) => ({ type: "text", text: value });
const image = { type: "image", data: PNG, mimeType: "image/png" };
const embedded = (uri, mimeType, value) => ({ type: "resource", resource: { uri, mimeType, text: value } });
const said = (...content) => ({ content });
const user = (content) => ({ role: "user", content });

const codec = createRequestStateCodec({ key: randomUUID() });
const change = { tools: () => {}, prompts: () => {} };

function full({ era }) {
  const server = new McpServer(
    { name: "conformance", version: "1" },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        completions: {},
        logging: {},
      },
      requestState: { verify: codec.verify },
    },
  );
  addContent(server);
  addLive(server, era);
  addQuestions(server);
  addResources(server);
  addPrompts(server);
  return server;
}

function addContent(server) {
  const add = (name, make) => server.registerTool(name, { description: name }, make);
  add("test_simple_text", () => said(text("This is a simple text response for testing.")));
  add("test_image_content", () => said(image));
  add("test_audio_content", () => said({ type: "audio", data: WAV, mimeType: "audio/wav" }));
  add("test_embedded_resource", () =>
    said(embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")),
  );
  add("test_multiple_content_types", () =>
    said(
      text("Multiple content types test:"),
      image,
      embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ),
  );
  add("test_error_handling", () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
  // The SDK itself refuses to ask for what the client has not declared.
  add("test_missing_capability", () => inputRequired({ inputRequests: { greeting: model("Generate a greeting", 50) } }));
  server.registerTool("json_schema_2020_12_tool", { description: "a schema", inputSchema: fromJsonSchema(SCHEMA) }, () =>
    said(text("seen")),
  );
  const region = { type: "object", properties: { region: { ...string, "x-mcp-header": "Region" } }, required: ["region"] };
  server.registerTool("test_x_mcp_header", { description: "a header", inputSchema: fromJsonSchema(region) }, (given) =>
    said(text(given.region)),
  );
}

function addLive(server, era) {
  const add = (name, make) => server.registerTool(name, { description: name }, make);
  add("test_tool_with_logging", async (ctx) => {
    for (const line of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
      await ctx.mcpReq.log("info", line);
      await sleep(50);
    }
    return said(text("told"));
  });
  add("test_logging_tool", async (ctx) => {
    await ctx.mcpReq.log("info", "told");
    return said(text("told"));
  });
  add("test_tool_with_progress", async (ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      const params = { progressToken, progress, total: 100 };
      if (progressToken !== undefined) await ctx.mcpReq.notify({ method: "notifications/progress", params });
      await sleep(50);
    }
    return said(text("done"));
  });
  add("test_reconnection", async (ctx) => {
    await sleep(100); // the stream has begun by then
    ctx.http?.closeSSE?.();
    await sleep(200);
    return said(text("Reconnection test completed"));
  });
  // elicitInput and requestSampling ask on the session's own stream, which a call may overtake; these on the call's.
  const asking = (ctx, message, properties, required = []) =>
    ctx.mcpReq.send({
      method: "elicitation/create",
      params: { mode: "form", message, requestedSchema: { type: "object", properties, required } },
    });
  const answered = ({ action, content }) => said(text(`action=${action}, content=${JSON.stringify(content)}`));
  const prompt = z.object({ prompt: z.string() });
  server.registerTool("test_sampling", { description: "a model", inputSchema: prompt }, async (given, ctx) => {
    const messages = [user(text(given.prompt))];
    const answer = await ctx.mcpReq.send({ method: "sampling/createMessage", params: { messages, maxTokens: 100 } });
    return said(text(`LLM response: ${answer.content.text}`));
  });
  const message = z.object({ message: z.string() });
  server.registerTool("test_elicitation", { description: "a person", inputSchema: message }, async (given, ctx) =>
    answered(await asking(ctx, given.message, { username: string, email: string }, ["username", "email"])),
  );
  add("test_elicitation_sep1034_defaults", async (ctx) => answered(await asking(ctx, "Are these right?", DEFAULTS)));
  add("test_elicitation_sep1330_enums", async (ctx) => answered(await asking(ctx, "Which?", ENUMS)));
  add("test_trigger_tool_change", async () => {
    if (era === "modern") change.tools();
    else server.sendToolListChanged();
    return said(text("changed"));
  });
  add("test_trigger_prompt_change", async () => {
    if (era === "modern") change.prompts();
    else server.sendPromptListChanged();
    return said(text("changed"));
  });
}

// What asks the client in its own answer (MCP 2026-07-28, SEP-2322).

const person = (message, field, type = "string") =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: "object", properties: { [field]: { type } }, required: [field] },
  });
const model = (question, maxTokens) =>
  inputRequired.createMessage({ messages: [user(text(question))], maxTokens });
const given = (ctx, key, kind) => {
  const found = inputResponse(ctx.mcpReq.inputResponses, key);
  return found.kind === kind ? found : undefined;
};
const NAME = person("What is your name?", "name");

function addQuestions(server) {
  const add = (name, make) => server.registerTool(name, { description: name }, make);
  const hello = (ctx) => {
    const answer = given(ctx, "user_name", "elicit");
    return answer ? said(text(`Hello, ${answer.content?.name}!`)) : inputRequired({ inputRequests: { user_name: NAME } });
  };
  add("test_input_required_result_elicitation", hello);
  add("test_streaming_elicitation", hello);
  add("test_input_required_result_sampling", (ctx) => {
    const answer = given(ctx, "capital_question", "sampling");
    const asked = { capital_question: model("What is the capital of France?", 100) };
    return answer ? said(text(answer.result.content.text)) : inputRequired({ inputRequests: asked });
  });
  add("test_input_required_result_list_roots", (ctx) => {
    const answer = given(ctx, "client_roots", "roots");
    const asked = { client_roots: inputRequired.listRoots() };
    return answer ? said(text(answer.roots.map((root) => root.uri).join())) : inputRequired({ inputRequests: asked });
  });
  const remembering = async (ctx) => {
    if (given(ctx, "confirm", "elicit") && ctx.mcpReq.requestState() === "first") return said(text("state-ok"));
    const asked = { confirm: person("Please confirm", "ok", "boolean") };
    return inputRequired({ inputRequests: asked, requestState: await codec.mint("first") });
  };
  add("test_input_required_result_request_state", remembering);
  add("test_input_required_result_tampered_state", remembering);
  add("test_input_required_result_multiple_inputs", async (ctx) => {
    const all = { user_name: "elicit", greeting: "sampling", client_roots: "roots" };
    if (Object.entries(all).every(([key, kind]) => given(ctx, key, kind))) return said(text("all there"));
    const asked = { user_name: NAME, greeting: model("Generate a greeting", 50), client_roots: inputRequired.listRoots() };
    return inputRequired({ inputRequests: asked, requestState: await codec.mint("all") });
  });
  add("test_input_required_result_multi_round", async (ctx) => {
    const state = ctx.mcpReq.requestState();
    if (state === "second" && given(ctx, "step2", "elicit")) return said(text("both there"));
    if (state === "first" && given(ctx, "step1", "elicit")) {
      const asked = { step2: person("Step 2: What is your favorite color?", "color") };
      return inputRequired({ inputRequests: asked, requestState: await codec.mint("second") });
    }
    const asked = { step1: person("Step 1: What is your name?", "name") };
    return inputRequired({ inputRequests: asked, requestState: await codec.mint("first") });
  });
  add("test_input_required_result_capabilities", (ctx) => {
    const declared = ctx.mcpReq.envelope?.[CAPABILITIES] ?? {};
    const asked = {
      ...(declared.sampling && { greeting: model("Generate a greeting", 50) }),
      ...(declared.elicitation && { user_name: NAME }),
    };
    return Object.keys(asked).length ? inputRequired({ inputRequests: asked }) : said(text("nothing to ask for"));
  });
}

function addResources(server) {
  const add = (name, uri, mimeType, content) =>
    server.registerResource(name, uri, { description: name, mimeType }, (at) => ({
      contents: [{ uri: at.href, mimeType, ...content }],
    }));
  const words = "This is the content of the static text resource.";
  add("text", "test://static-text", "text/plain", { text: words });
  add("binary", "test://static-binary", "image/png", { blob: PNG });
  add("watched", "test://watched-resource", "text/plain", { text: "as before" });
  const template = new ResourceTemplate("test://template/{id}/data", { list: undefined });
  const mimeType = "application/json";
  server.registerResource("template", template, { description: "template", mimeType }, (uri, { id }) => ({
    contents: [
      { uri: uri.href, mimeType, text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) },
    ],
  }));
  server.server.setRequestHandler("resources/subscribe", () => ({}));
  server.server.setRequestHandler("resources/unsubscribe", () => ({}));
}

function addPrompts(server) {
  const add = (name, argsSchema, make) => server.registerPrompt(name, { description: name, argsSchema }, make);
  const messages = (...contents) => ({ messages: contents.map(user) });
  const cities = (typed) => ["paris", "park", "party"].filter((word) => word.startsWith(typed));
  add("test_simple_prompt", undefined, () => messages(text("This is a simple prompt for testing.")));
  add(
    "test_prompt_with_arguments",
    z.object({ arg1: completable(z.string(), cities), arg2: z.string() }),
    ({ arg1, arg2 }) => messages(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  );
  add("test_prompt_with_embedded_resource", z.object({ resourceUri: z.string() }), ({ resourceUri }) =>
    messages(
      embedded(resourceUri, "text/plain", "Embedded resource content for testing."),
      text("Please process the embedded resource above."),
    ),
  );
  add("test_prompt_with_image", undefined, () => messages(image, text("Please analyze the image above.")));
  add("test_input_required_result_prompt", undefined, (ctx) => {
    const answer = given(ctx, "user_context", "elicit");
    const asked = { user_context: person("What context should the prompt use?", "context") };
    return answer ? messages(text(`In this context: ${answer.content?.context}`)) : inputRequired({ inputRequests: asked });
  });
}

// Old versions have sessions, each with its own server and a memory of its events; the new one has neither.

class KeptEvents {
  events = [];

  async storeEvent(stream, message) {
    return String(this.events.push({ stream, message }));
  }

  async getStreamIdForEventId(id) {
    return this.events[Number(id) - 1]?.stream;
  }

  async replayEventsAfter(last, { send }) {
    const stream = await this.getStreamIdForEventId(last);
    for (const [index, event] of this.events.entries())
      if (index >= Number(last) && event.stream === stream && event.message?.jsonrpc)
        await send(String(index + 1), event.message);
    return stream;
  }
}

const sessions = new Map();

async function old(request, response, body) {
  const id = request.headers["mcp-session-id"];
  let transport = sessions.get(id);
  if (id && !transport) {
    const error = { code: -32001, message: "Session not found" };
    response.writeHead(404, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ jsonrpc: "2.0", id: body?.id ?? null, error }));
    return;
  }
  if (!transport) {
    transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: new KeptEvents(),
      retryInterval: 100,
      onsessioninitialized: (made) => sessions.set(made, transport),
      onsessionclosed: (made) => sessions.delete(made),
    });
    await full({ era: "legacy" }).connect(transport);
  }
  await transport.handleRequest(request, response, body);
}

const handler = createMcpHandler(full, { legacy: "reject" });
change.tools = () => handler.notify.toolsChanged();
change.prompts = () => handler.notify.promptsChanged();
const modern = toNodeHandler(handler);
const [host, origin] = [localhostHostValidation(), localhostOriginValidation()];

createServer(async (request, response) => {
  if (!host(request, response) || !origin(request, response)) return;
  const parts = [];
  for await (const part of request) parts.push(part);
  let body;
  try {
    body = parts.length ? JSON.parse(Buffer.concat(parts).toString()) : undefined;
  } catch {
    response.writeHead(400).end();
    return;
  }
  const legacy = await isLegacyRequest(await toWebRequest(request, body));
  await (legacy ? old : modern)(request, response, body);
}).listen(Number(process.argv[2]), "127.0.0.1");
