// What the transport adds: two real `huza run` processes with databases on disk, TCP, Noise and
// yamux, joined through the proxy that counts. Little data; beside the bytes on the socket stand
// those of the session's frames, as the daemons count them.
//
// node daemons.mjs HUZA

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";

import { clear, proxy } from "./proxy.mjs";

const huza = path.resolve(process.argv[2]);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "huza-peers-"));
const at = (name) => path.join(folder, name);
const env = { ...process.env, HUZA_WORKER: "tester", HUZA_LOG: "warn" };

const on = (home, ...args) =>
  JSON.parse(execFileSync(huza, [...args, "--home", at(home), "--json"], { env }).toString());

function member(name, village) {
  const [request, welcome] = [at(`${name}.request`), at(`${name}.welcome`)];
  on(name, "init", "--unprotected", "--label", name, "--request", request);
  on("authority", "authority", "issue", "--role", "worker", "--village", village, "--request",
    request, "--out", welcome);
  on(name, "join", welcome);
}

// Starts the daemon of a home; `wait` gives the next event of a name.
function run(home, ...more) {
  const args = ["run", "--json", "--no-mdns", "--no-remember", "--home", at(home), ...more];
  const child = spawn(huza, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  const seen = [];
  const waiting = [];
  readline.createInterface({ input: child.stdout }).on("line", (line) => {
    const event = JSON.parse(line);
    const first = waiting.findIndex((one) => one.name === event.event);
    if (first < 0) seen.push(event);
    else waiting.splice(first, 1)[0].ready(event);
  });
  const wait = (name) => {
    const first = seen.findIndex((event) => event.event === name);
    if (first >= 0) return Promise.resolve(seen.splice(first, 1)[0]);
    return new Promise((ready) => waiting.push({ name, ready }));
  };
  const stop = () =>
    new Promise((ended) => {
      child.once("exit", ended);
      child.kill("SIGTERM");
    });
  return { wait, stop };
}

async function meet(name) {
  const listener = run("b", "--listen", "127.0.0.1:0");
  let port;
  while (!port) {
    const { address } = await listener.wait("listening");
    port = address.match(/\/tcp\/(\d+)/)?.[1] ?? address.match(/^[\d.]+:(\d+)$/)?.[1];
  }
  const front = await proxy(Number(port));
  clear(front.count);
  const dialler = run("a", "--dial", `/ip4/127.0.0.1/tcp/${front.port}`);
  const [ours] = await Promise.all([
    dialler.wait("contact_complete"),
    listener.wait("contact_complete"),
  ]);
  const [down, up] = front.count.bytes;
  const { turns } = front.count;
  const row = { peer: "daemons", case: name, up, down, bytes: up + down, turns };
  console.log(JSON.stringify({ ...row, stats: ours.stats }));
  await dialler.stop();
  await listener.stop();
  front.server.close();
}

function write(count) {
  const added = on("a", "person", "add", "--name", "Immaculee Uwase", "--sex", "female",
    "--birth-date", "1998");
  for (let nth = 1; nth < count; nth += 1) {
    on("a", "visit", "add", added.record, "--form", "anc", "--set", "round=1", "--set",
      "lmp=2026-05-30", "--set", `weight=${60 + nth}.5`, "--set", "systolic=118", "--set",
      "diastolic=76");
  }
}

fs.writeFileSync(at("secret"), "impapuro zifunze\n");
on("authority", "authority", "create", "--programme", "Peers", "--unprotected", "--catchment",
  "0512", "--village", "01", "--village", "02", "--paper", at("paper"),
  "--paper-passphrase-file", at("secret"));
member("a", "01");
member("b", "02");
write(2);
await meet("acquaintance");
await meet("repeat");
write(20);
await meet("since-20");
fs.rmSync(folder, { recursive: true });
