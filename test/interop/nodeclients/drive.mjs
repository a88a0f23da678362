// Runs one published client of the Cloud API. The first line of standard input configures it, each
// further one is a call of one of its functions, answered by one line of standard output. What the
// client tells by itself is a line, too.
import { createInterface } from "node:readline";
import dns from "node:dns";
import https from "node:https";
import { syncBuiltinESMExports } from "node:module";

const say = (line) => process.stdout.write(JSON.stringify(line, pack) + "\n");
console.log = console.info = console.debug = console.error; // standard output is for answers

// pack and unpack carry bytes through JSON.
function pack(_, value) {
  if (value instanceof ArrayBuffer) value = Buffer.from(value).toJSON();
  return value?.type === "Buffer" ? { $bytes: Buffer.from(value.data).toString("base64") } : value;
}
function unpack(_, value) {
  return typeof value?.$bytes === "string" ? Buffer.from(value.$bytes, "base64") : value;
}

// The relay's host name has no address outside its cluster.
function resolve(host, address) {
  const { lookup, promises } = dns;
  const later = promises.lookup;
  dns.lookup = (name, options, done) => lookup(name === host ? address : name, options, done);
  promises.lookup = (name, options) => later(name === host ? address : name, options);
  syncBuiltinESMExports();
}

async function kapso(config) {
  const { WhatsAppClient, buildTemplateSendPayload, isBusinessScopedUserId } = await import("@kapso/whatsapp-cloud-api");
  const { verifySignature, normalizeWebhook } = await import("@kapso/whatsapp-cloud-api/server");
  const client = new WhatsAppClient({ accessToken: config.token, baseUrl: config.url });
  Object.assign(client, { buildTemplateSendPayload, isBusinessScopedUserId });
  client.webhook = ({ signature, body }) => ({
    verified: verifySignature({ appSecret: config.secret, rawBody: body, signatureHeader: signature }),
    forged: verifySignature({ appSecret: config.secret, rawBody: body + " ", signatureHeader: signature }),
    ...normalizeWebhook(JSON.parse(body)),
  });
  return client;
}

async function chat(config) {
  const { createWhatsAppAdapter } = await import("@chat-adapter/whatsapp");
  const { createMemoryState } = await import("@chat-adapter/state-memory");
  const { Chat, ConsoleLogger } = await import("chat");
  const adapter = createWhatsAppAdapter({
    accessToken: config.token, apiUrl: config.url, appSecret: config.secret, phoneNumberId: config.numberID,
    verifyToken: config.verifyToken, logger: new ConsoleLogger("warn"),
  });
  const bot = new Chat({ userName: "bot", adapters: { whatsapp: adapter }, state: createMemoryState(), logger: "warn" });
  const tell = async (thread, message) => say({
    event: {
      kind: "message", thread: thread.id, id: message.id, text: message.text, author: message.author,
      attachments: message.attachments.map(({ type, name, mimeType, url, fetchMetadata }) => ({ type, name, mimeType, url, ...fetchMetadata })),
    },
  });
  bot.onDirectMessage(tell);
  bot.onReaction(async (e) => say({ event: { kind: "reaction", id: e.messageId, text: e.rawEmoji, added: e.added, author: e.user } }));
  bot.onAction(async (e) => say({ event: { kind: "action", id: e.messageId, text: e.actionId, value: e.value, author: e.user } }));
  await bot.initialize();
  adapter.webhook = async ({ method, query, signature, body }) => {
    const answer = await bot.webhooks.whatsapp(new Request("https://bot.test/in?" + query, {
      method, ...(method === "POST" ? { body, headers: { "x-hub-signature-256": signature, "content-type": "application/json" } } : {}),
    }), {});
    return { status: answer.status, body: await answer.text() };
  };
  // downloadWith is downloadMedia with the transport that its users may bring.
  adapter.downloadWith = (id) => adapter.downloadMedia(id, (url, signal, headers) => new Promise((done, fail) =>
    https.get(url, { agent: false, headers, signal }, done).on("error", fail)));
  return adapter;
}

// run calls a function of the client by its path, such as messages.sendText.
async function run(client, { id, call, args }) {
  const path = call.split(".");
  const name = path.pop();
  const owner = path.reduce((at, part) => at[part], client);
  try {
    say({ id, result: (await owner[name](...args)) ?? null });
  } catch (e) {
    const code = [e.errorCode, e.code].find(Number.isInteger); // some errors have words there
    say({ id, error: { name: e.name, message: [e, e.originalError ?? e.cause].map((x) => x?.message).filter(Boolean).join(": "), status: e.httpStatus ?? e.status, code, retry: e.retry?.action } });
  }
}

let client;
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line, unpack);
  if (client) {
    await run(client, order);
    continue;
  }
  resolve(order.host, order.address);
  client = await { kapso, chat }[process.argv[2]](order);
  say({ event: { kind: "ready" } });
}
process.exit(0); // some client keeps timers
