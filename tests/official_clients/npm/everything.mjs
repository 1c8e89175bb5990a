// What a client of either TypeScript SDK can do with a server. Told as JSON.

const WATCHED = "test://watched-resource";
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const sampled = () => ({ role: "assistant", content: { type: "text", text: "model" }, model: "none" });
export const elicited = () => ({
  action: "accept",
  content: { username: "u", email: "u@example.com", name: "u" },
});

// `call(name, arguments, options)` calls a tool; `listen(uri)` waits for news of a resource where there are no sessions.
export async function everything({ client, era, call, listen, heard, terminate }) {
  const said = async (name, given = {}) => {
    try {
      const { content } = await call(name, given, { timeout: 10_000 });
      return content[0].text ?? content[0].type;
    } catch (error) {
      return `${error.name}: ${error.message}`;
    }
  };
  const done = { version: client.getNegotiatedProtocolVersion?.() ?? client.transport.protocolVersion };
  done.list = (await client.listTools()).tools.map((tool) => tool.name);
  done.call = await said("test_simple_text");
  done.denied = await said("test_image_content");
  const again = await said("test_simple_text");
  if (again !== done.call) done.denied = `then ${again}`;
  done.progress = [];
  await call("test_tool_with_progress", {}, { onprogress: (step) => done.progress.push(step.progress) });
  if (era === "legacy") {
    done.sampling = await said("test_sampling", { prompt: "?" });
    done.elicitation = await said("test_elicitation", { message: "?" });
    done.resumption = await said("test_reconnection");
    await client.subscribeResource({ uri: WATCHED });
  } else {
    done.sampling = await said("test_input_required_result_sampling");
    done.elicitation = await said("test_input_required_result_elicitation");
    await listen(WATCHED);
  }
  await call("test_trigger_resource_change", {});
  for (let look = 0; look < 50 && !heard.includes(WATCHED); look++) await sleep(100);
  done.subscription = heard;
  if (era === "legacy") await terminate();
  await client.close();
  console.log(JSON.stringify(done));
  process.exit(0);
}
