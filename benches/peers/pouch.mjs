// PouchDB replication over HTTP, as apps for community health use it: a server (express-pouchdb)
// in a process of its own, a client here, both in memory, and a proxy between them that counts
// every byte of HTTP. One document for each change; nothing is ever edited.
//
// node pouch.mjs WORKLOAD.ndjson

import { fork } from "node:child_process";
import { createRequire } from "node:module";
import fs from "node:fs";
import { fileURLToPath } from "node:url";

import { clear, proxy } from "./proxy.mjs";

const require = createRequire(import.meta.url);
const PouchDB = require("pouchdb").plugin(require("pouchdb-adapter-memory"));
const BATCH = 500;
const DIFFERENCES = [2, 20, 200, 2000];

function serve() {
  const app = require("express")();
  const Memory = PouchDB.defaults({ adapter: "memory" });
  const settings = { mode: "minimumForPouchDB", inMemoryConfig: true, logPath: "/dev/null" };
  app.use("/", require("express-pouchdb")(Memory, settings));
  const server = app.listen(0, "127.0.0.1", () => process.send(server.address().port));
}

async function start() {
  const child = fork(fileURLToPath(import.meta.url), ["--serve"], { stdio: "inherit" });
  const port = await new Promise((ready) => child.once("message", ready));
  return { child, port, proxy: await proxy(port) };
}

let names = 0;

async function fill(db, docs) {
  for (let at = 0; at < docs.length; at += 1000) {
    await db.bulkDocs(docs.slice(at, at + 1000));
  }
  return db;
}

// A client's database.
const local = (docs) => fill(new PouchDB(`local${(names += 1)}`, { adapter: "memory" }), docs);

// A database of the server, filled past the proxy.
async function remote(server, docs) {
  const name = `remote${(names += 1)}`;
  await fill(new PouchDB(`http://127.0.0.1:${server.port}/${name}`), docs);
  return { server, name };
}

const settings = { batch_size: BATCH };

async function meet(db, { server, name }, cut = Infinity) {
  const { count, port } = server.proxy;
  clear(count, cut);
  const begun = performance.now();
  try {
    await PouchDB.sync(db, `http://127.0.0.1:${port}/${name}`, settings);
  } catch (error) {
    if (cut === Infinity) throw error;
  }
  const millis = Math.round(performance.now() - begun);
  const cost = { bytes: [...count.bytes], turns: count.turns, requests: count.requests, millis };
  if (cut === Infinity) {
    const ours = await db.info();
    const theirs = await new PouchDB(`http://127.0.0.1:${server.port}/${name}`).info();
    if (ours.doc_count !== theirs.doc_count) throw new Error("they differ");
  }
  return cost;
}

const and = (one, other) => ({
  bytes: [one.bytes[0] + other.bytes[0], one.bytes[1] + other.bytes[1]],
  turns: one.turns + other.turns,
  requests: one.requests + other.requests,
  millis: one.millis + other.millis,
});

async function main(file, size) {
  const docs = fs.readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const people = docs.filter((doc) => doc.type === "person").length;
  const tell = (name, missing, cost) => {
    const [up, down] = cost.bytes;
    const bytes = up + down;
    const row = { peer: "pouchdb", case: name, ...size, records: people, changes: docs.length };
    const { turns, requests, millis } = cost;
    console.log(JSON.stringify({ ...row, missing, up, down, bytes, turns, requests, millis }));
    console.error(`   pouchdb ${name.padEnd(16)} ${bytes} B ${requests} requests ${millis} ms`);
  };
  const but = (missing) => docs.filter((_, at) => !missing.has(at));
  const newest = (count) => new Set(docs.map((_, at) => at).slice(docs.length - count));
  const scattered = (count) => {
    const visits = docs.length - people;
    const at = (nth) => people + Math.floor(((2 * nth + 1) * visits) / (2 * count));
    return new Set(Array.from({ length: count }, (_, nth) => at(nth)));
  };

  const server = await start();
  const all = await remote(server, docs);
  let db = await local(docs);
  tell("identical", 0, await meet(db, all));
  tell("repeat", 0, await meet(db, all));
  await db.destroy();
  for (const count of DIFFERENCES) {
    for (const [kind, missing] of [["newest", newest(count)], ["scattered", scattered(count)]]) {
      db = await local(but(missing));
      tell(`${kind}-${count}`, missing.size, await meet(db, all));
      await db.destroy();
    }
  }

  // They met when they were equal; since then one of them has written, again and again.
  let next = docs.length - DIFFERENCES.reduce((sum, count) => sum + count);
  const known = await remote(server, docs.slice(0, next));
  db = await local(docs.slice(0, next));
  await meet(db, known);
  for (const count of DIFFERENCES) {
    const direct = new PouchDB(`http://127.0.0.1:${server.port}/${known.name}`);
    await fill(direct, docs.slice(next, next + count));
    next += count;
    tell(`since-${count}`, count, await meet(db, known));
  }
  await db.destroy();

  db = await local([]);
  const first = await meet(db, all);
  tell("first", docs.length, first);
  await db.destroy();
  db = await local([]);
  const before = await meet(db, all, Math.floor((first.bytes[0] + first.bytes[1]) / 2));
  tell("cut", docs.length, and(before, await meet(db, all)));
  await db.destroy();

  // A, a server, has written; the phone B meets it, and then the server C. All have met before.
  const missing = newest(200);
  const [a, c] = [await remote(server, but(missing)), await remote(server, but(missing))];
  db = await local(but(missing));
  await meet(db, a);
  await meet(db, c);
  const direct = new PouchDB(`http://127.0.0.1:${server.port}/${a.name}`);
  await fill(direct, docs.slice(docs.length - 200));
  tell("ferry-200", 200, and(await meet(db, a), await meet(db, c)));

  server.child.kill();
  server.proxy.server.close();
  process.exit(0);
}

if (process.argv[2] === "--serve") {
  serve();
} else {
  await main(process.argv[2], JSON.parse(process.argv[3] ?? "{}"));
}
