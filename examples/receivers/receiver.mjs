// A receiver for replyd's webhooks in Node.js 18 or newer, with nothing but what it brings.
//
//     REPLYD_CRM_SECRET=whsec_... PORT=8000 node receiver.mjs

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const KEY = Buffer.from((process.env.REPLYD_CRM_SECRET ?? "").replace(/^whsec_/, ""), "base64");
const PORT = Number(process.env.PORT ?? 8000);
const BODY_MAX = 1024 * 1024;
const seen = new Set(); // in earnest: a table with a unique key on the id

// Your own work, done once for each webhook. What it throws makes the webhook come again.
function take(body) {
  process.stdout.write(Buffer.concat([body, Buffer.from("\n")]));
}

// Whether the signature is ours, over these raw bytes, and no more than five minutes old.
function holds(headers, body) {
  const id = headers["webhook-id"] ?? "";
  const sent = headers["webhook-timestamp"] ?? "";
  if (id === "" || !/^\d{1,12}$/.test(sent)) return false;
  const mac = createHmac("sha256", KEY).update(`${id}.${sent}.`).update(body).digest("base64");
  const mine = Buffer.from(`v1,${mac}`);
  const isMine = (one) => {
    const theirs = Buffer.from(one);
    return theirs.length === mine.length && timingSafeEqual(theirs, mine); // in constant time
  };
  const isOurs = (headers["webhook-signature"] ?? "").split(" ").some(isMine);
  return isOurs && Math.abs(Date.now() / 1000 - Number(sent)) <= 300;
}

async function receive(request) {
  if (request.method !== "POST") return 405;
  if (Number(request.headers["content-length"] ?? 0) > BODY_MAX) return 413;
  const pieces = [];
  let length = 0;
  for await (const piece of request) {
    length += piece.length;
    if (length > BODY_MAX) throw new Error("a body that is too large");
    pieces.push(piece);
  }
  const body = Buffer.concat(pieces); // no middleware may have parsed it before
  if (!holds(request.headers, body)) return 401;
  const id = request.headers["webhook-id"];
  if (!seen.has(id)) {
    // Deliveries are at least once: the id is the reply's own, for ever.
    take(body);
    seen.add(id);
  }
  return 204;
}

if (KEY.length < 24) throw new Error("REPLYD_CRM_SECRET is not whsec_ and base64");
const server = createServer(async (request, response) => {
  const status = await receive(request).catch((error) => {
    console.error(error.message);
    return 500;
  });
  response.writeHead(status, status === 413 ? { connection: "close" } : {}).end();
});
server.requestTimeout = 30_000;
server.listen(PORT, "127.0.0.1", () => console.error(`listening on http://127.0.0.1:${PORT}/`));
