// Writes docs/benchmarks.md and its plots: page/*.md, one for each part, with figures from results/,
// where benches/run keeps what was measured. A part without results says so on the page.
//
// node report.mjs page       writes
// node report.mjs machine    says when and on what is measured now, for results/PART/machine.json

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

const here = path.dirname(new URL(import.meta.url).pathname);
const docs = path.join(here, "..", "docs");
const at = (...names) => path.join(here, "results", ...names);

// What a figure may depend on.
const CODE = ["Cargo.lock", "crdt", "daemon", "cli", "simulations", "benches/peers"].map((one) => `../${one}`);

// ---- What was measured

const text = (...names) => (fs.existsSync(at(...names)) ? fs.readFileSync(at(...names), "utf8") : "");

// All lines of JSON in a folder.
const rows = (...names) => {
  const files = fs.existsSync(at(...names)) ? fs.readdirSync(at(...names)).sort() : [];
  return files
    .filter((file) => file.endsWith(".ndjson"))
    .flatMap((file) => text(...names, file).split("\n"))
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
};

function machine() {
  const said = (...command) => {
    try {
      return execFileSync(command[0], command.slice(1), { cwd: here }).toString().trim();
    } catch {
      return "unknown";
    }
  };
  return {
    date: new Date().toISOString().slice(0, 10),
    cores: os.cpus().length,
    processor: os.cpus()[0]?.model.trim() ?? "unknown",
    memory: os.totalmem(),
    system: `${os.type()} ${os.release().split(".").slice(0, 2).join(".")}`,
    busy: os.loadavg()[0],
    rust: said("rustc", "--version").split(" ")[1] ?? "unknown",
    commit: said("git", "log", "-1", "--format=%h", "--", ...CODE),
    changed: said("git", "status", "--porcelain", "--", ...CODE) !== "",
  };
}

// When and on what a part was measured, as a sentence.
function run(part) {
  const on = JSON.parse(text(part, "machine.json"));
  const code = `${on.commit}${on.changed ? " and changes to it" : ""}`;
  return `*Measured on ${on.date}, at commit ${code}, with rustc ${on.rust}, on ${on.cores} cores ` +
    `(${on.processor}) and ${bytes(on.memory)} under ${on.system}; ` +
    `when it began, ${on.busy.toFixed(1)} other processes ran or waited.*`;
}

// ---- Words

const bytes = (count) => {
  if (count === undefined) return "";
  if (count < 999.5) return `${count} B`;
  const [unit, name] = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]].find(([unit]) => count >= unit * 0.9995);
  return `${(count / unit).toPrecision(3).replace(/e\+3/, "")} ${name}`;
};
const times = (factor) => {
  const digits = factor < 10 ? factor.toFixed(1) : Math.round(factor).toLocaleString("en");
  return `x${digits}`;
};
const thousands = (count) => count.toLocaleString("en");
const millis = (time) => {
  if (time < 1) return `${Math.round(time * 1e3)} us`;
  return time < 999.5 ? `${Number(time.toPrecision(3))} ms` : `${(time / 1e3).toPrecision(3)} s`;
};

const middle = (values) => [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];
// Median of several runs, with the lowest and the highest.
const spread = (values, words) => {
  const all = [Math.min(...values), Math.max(...values)].map(words);
  return all[0] === all[1] ? all[0] : `${words(middle(values))} (${all.join(", ")})`;
};

function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, at) => (at ? "--:" : "---"))), ...rows.map(line)].join("\n");
}

// ---- Two health centres' hubs

// Aims that were set before: medians are to be at most so many, or better so many.
const AIMS = { floors: [2], idle: [64e6, 32e6], peak: [128e6], status: [300] };

function firstSync() {
  const all = rows("first-sync");
  const { workload, envelopes, statements } = all[0];
  const of = (value) => all.map(value);
  const missed = [];
  const row = (name, values, words, aims = []) => {
    const aim = aims.map(words).join(", better ");
    if (middle(values) > Math.min(...aims)) missed.push(`${name} (${words(middle(values))}, aim ${aim})`);
    return [name, spread(values, words), aim];
  };
  const factor = (value) => value.toFixed(1);
  const measured = table(
    ["", all.length > 1 ? `median of ${all.length} runs (lowest, highest)` : "one run", "aim"],
    [
      row("durable", of((one) => one.milestones.durable), millis),
      row("its floor", of((one) => one.floor_millis), millis),
      row("durable, in floors", of((one) => one.ratio), factor, AIMS.floors),
      row("listable", of((one) => one.milestones.listable), millis),
      row("searchable", of((one) => one.milestones.searchable), millis),
      row("its floor", of((one) => one.reader_floor_millis), millis),
      row("searchable, in floors", of((one) => one.reader_ratio), factor),
      row("round trips", of((one) => one.round_trips), thousands),
      row("bytes to the receiver", of((one) => one.bytes_each_way[0]), bytes),
      row("bytes back", of((one) => one.bytes_each_way[1]), bytes),
      row("bytes a change, both ways", of((one) => one.bytes_per_visit), factor),
      ...["sender", "receiver"].flatMap((end) =>
        ["idle", "peak"].map((when) =>
          row(`resident, ${end}, ${when}`, of((one) => one.rss_bytes[end][when] ?? 0), bytes, AIMS[when]))),
      row("`huza status` without a daemon", of((one) => one.status_millis), millis, AIMS.status),
      row("finding a person, with a daemon", of((one) => one.find_micros / 1e3), millis),
    ],
  );
  const durable = middle(of((one) => one.milestones.durable));
  return {
    ...sizes(workload),
    envelopes: thousands(envelopes),
    statements: thousands(statements),
    table: measured,
    durable: millis(durable),
    rate: thousands(Number(((workload.changes / durable) * 1e3).toPrecision(2))),
    missed: missed.join("; ") || "none",
  };
}

const sizes = ({ seed, records, changes, logs, villages, per_envelope: together }) => ({
  seed: `${seed}`,
  people: thousands(records),
  visits: thousands(changes - records),
  changes: thousands(changes),
  logs: thousands(logs),
  villages: `${villages}`,
  "per-envelope": `${together}`,
});

// A dot for each run of each milestone and floor, logarithmic.
function firstSyncPlot() {
  const all = rows("first-sync");
  const lines = [
    ["durable", (one) => one.milestones.durable, "huza"],
    ["its floor", (one) => one.floor_millis, "floor"],
    ["listable", (one) => one.milestones.listable, "huza"],
    ["searchable", (one) => one.milestones.searchable, "huza"],
    ["its floor", (one) => one.reader_floor_millis, "floor"],
  ].map(([name, value, colour]) => [name, all.map(value), colour]);
  const [width, left, right, top, step] = [760, 110, 150, 60, 34];
  const height = top + lines.length * step + 40;
  const values = lines.flatMap(([, times]) => times);
  const [low, high] = [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
  const x = (time) => left + ((Math.log10(time) - low) * (width - left - right)) / (high - low);
  const parts = [];
  for (let decade = low; decade <= high; decade += 1) {
    const over = x(10 ** decade).toFixed(1);
    parts.push(`<line class="grid" x1="${over}" x2="${over}" y1="${top - 12}" y2="${height - 34}"/>`);
    parts.push(words(over, height - 16, millis(10 ** decade).replace(/(\d)\.0+ /, "$1 "), 'text-anchor="middle"'));
  }
  lines.forEach(([name, times, colour], nth) => {
    const down = top + 10 + nth * step;
    parts.push(words(left - 14, down + 4, name, `text-anchor="end" class="name ${colour}"`));
    for (const time of times) {
      parts.push(`<circle class="${colour}" cx="${x(time).toFixed(1)}" cy="${down}" r="5" fill-opacity="0.6"/>`);
    }
    parts.push(words(x(Math.max(...times)) + 12, down + 4, millis(middle(times)), `class="name ${colour}"`));
  });
  const { workload } = all[0];
  const runs = all.length > 1 ? `each of ${all.length} runs, and their median` : "one run";
  return picture(width, height,
    `A first sync over loopback, ${thousands(workload.changes)} changes of ${thousands(workload.records)} people`,
    `until everything is durable, listable, searchable: ${runs}; floors: what cannot be avoided`, parts);
}

// ---- Contacts

function contacts() {
  const all = rows("contact");
  const { first_meeting: acquaintance, again, workload } = all[0];
  const row = (name, cost) => {
    const ways = ([there, back]) => (there === back ? bytes(there) : `${bytes(there)}, ${bytes(back)}`);
    const before = cost.round_trips_before_data;
    return [name, ways(cost.beside_bytes_each_way), ways(cost.batch_bytes_each_way),
      `${before ?? cost.round_trips}`, `${cost.round_trips}`];
  };
  const share = (count) => `${Number(((count / workload.logs) * 100).toPrecision(2))} %`;
  const what = ({ new: count, scattered }) =>
    scattered ? `${count} of ${thousands(workload.logs)} logs, ${share(count)}` : "one log";
  return {
    ...sizes(workload),
    table: table(
      ["", "bytes beside, there and back", "bytes of batches", "round trips before", "in all"],
      [row("nothing new, first meeting", acquaintance), row("nothing new, met before", again),
        ...all.map((one) => row(what(one), one.contact))],
    ),
    nation: nation(),
  };
}

// What crdt/tests/cost.rs printed.
function nation() {
  const line = new RegExp("(?:^|\\.\\.\\. )([^.\\n]*): Cost \\{ beside: \\[(\\d+), (\\d+)\\], batches: \\d+, " +
    "trips: (\\d+), before: (?:None|Some\\((\\d+)\\)) \\}, at most (\\d+) bytes, (\\d+) round trips", "gm");
  const found = [...text("contact", "cost.txt").matchAll(line)].map(([, what, ...figures]) => ({
    what: what.replace(/\d{4,}/g, (number) => thousands(Number(number))),
    logs: Number(what.match(/of (\d+) logs/)?.[1]),
    figures: figures.map((figure) => figure && Number(figure)),
  }));
  if (found.length === 0) return "Not measured in this run.";
  const size = ({ logs, figures: [there, back] }) => logs * 1e9 + there + back;
  found.sort((one, other) => size(one) - size(other));
  return table(["", "bytes there", "bytes back", "round trips before", "bytes at most, each way",
    "round trips before, at most"], found.map(({ what, figures: [there, back, trips, before, most, turns] }) =>
    [what, bytes(there), bytes(back), `${(before ?? trips) / 2}`, bytes(most), `${turns}`]));
}

function visitSize() {
  const [{ workload, sizes: all }] = rows("visit-size");
  const line = ({ per_envelope: together, bytes_per_visit: each, floor_bytes_per_visit: floor, ratio }) =>
    [`${together}`, each.toFixed(1), floor.toFixed(1), ratio.toFixed(2)];
  return {
    ...sizes(workload),
    table: table(["visits to an envelope", "bytes a visit", "floor", "in floors"],
      [...all].reverse().map(line)),
  };
}

// ---- Many at once

function meeting() {
  const [{ workload, phones, visits_each: visits, millis: times, ...told }] = rows("meeting");
  const row = (name, { median, slowest }) => [name, millis(median), millis(slowest)];
  const urgent = { median: middle(times.urgent_shown), slowest: Math.max(...times.urgent_shown) };
  const { village, all } = told.visit_millis;
  return {
    ...sizes(workload),
    phones: `${phones}`,
    visits: `${visits}`,
    cores: `${JSON.parse(text("meeting", "machine.json")).cores}`,
    table: table(["until", "median of the phones", "slowest"], [
      row("proven to each other", times.met),
      row("first envelope durable", times.first_envelope),
      row("last envelope durable", times.last_envelope),
      row("holds the same as the hub", times.complete),
      ...(times.urgent_shown.length
        ? [row("an urgent visit, written while all transfer, is shown on colleagues' phones", urgent)]
        : []),
      ...village.map((one, nth) => row(`visit ${nth + 1} at rest, on colleagues' phones`, one)),
      ...all.map((one, nth) => row(`visit ${nth + 1} at rest, on all phones`, one)),
    ]),
    envelopes: thousands(told.envelopes_taken),
    up: bytes(told.bytes_each_way[0]),
    down: bytes(told.bytes_each_way[1]),
    cpu: millis(told.hub.cpu_millis[0] ?? 0),
    idle: bytes(told.hub.rss_bytes.idle ?? 0),
    peak: bytes(told.hub.rss_bytes.peak ?? 0),
  };
}

// ---- Beside the peers

const NAMES = {
  huza: "huza",
  automerge: "automerge sync",
  samod: "samod",
  pouchdb: "PouchDB",
  negentropy: "negentropy",
};
// Who exchanges payload; negentropy only finds out what differs.
const ENDS = ["huza", "automerge", "samod", "pouchdb"];
const CASES = [
  ["identical", "the same, first meeting"],
  ["repeat", "the same, met before"],
  ...[2, 20, 200, 2000].map((count) => [`newest-${count}`, `${count} newest, first meeting`]),
  ...[2, 20, 200, 2000].map((count) => [`scattered-${count}`, `${count} scattered, first meeting`]),
  ...[2, 20, 200, 2000].map((count) => [`since-${count}`, `${count} written since they met`]),
  ["ferry-200", "200 by a carrier, A to B to C"],
  ["first", "first sync, all"],
  ["first-read", "first sync, opened and filed too"],
  ["cut", "first sync, cut at half, resumed"],
];

// What the rows of one size say.
function view(rows) {
  const of = (peer, name) => rows.find((row) => row.peer === peer && row.case === name);
  const ends = ENDS.filter((peer) => of(peer, "identical"));
  const cases = CASES.filter(([name]) => of("huza", name));
  return { of, ends, cases, size: of("huza", "identical") };
}

function costs({ of, ends, cases }) {
  return table(
    ["bytes, both ways", ...ends.map((peer) => NAMES[peer]), "entropy of what is missing"],
    cases.map(([name, title]) => {
      const ours = of("huza", name).bytes;
      const cell = (peer) => {
        const row = of(peer, name);
        if (!row) return "";
        if (peer === "huza") return bytes(row.bytes);
        return `${bytes(row.bytes)} (${times(row.bytes / ours)})`;
      };
      const floor = of("huza", name).floor;
      return [title, ...ends.map(cell), floor ? bytes(floor) : "0"];
    }),
  );
}

function finding({ of, cases }) {
  const both = cases.filter(([name]) => of("negentropy", name));
  return table(
    ["bytes to find out what differs", "huza", "negentropy"],
    both.map(([name, title]) => {
      const [ours, theirs] = [of("huza", name).finding, of("negentropy", name).bytes];
      return [title, bytes(ours), `${bytes(theirs)} (${times(theirs / ours)})`];
    }),
  );
}

function effort({ of, ends, cases }) {
  const cell = (row) => (row ? `${thousands(row.turns)} / ${thousands(row.millis)}` : "");
  return table(
    ["turns / ms", ...ends.map((peer) => NAMES[peer]), "HTTP requests"],
    cases.map(([name, title]) => [
      title,
      ...ends.map((peer) => cell(of(peer, name))),
      thousands(of("pouchdb", name)?.requests ?? ""),
    ]),
  );
}

// Where another needs fewer bytes than huza, in the words of the table.
function lost({ of, ends, cases, size }) {
  const found = [];
  const of_changes = size ? ` of ${thousands(size.changes)} changes` : "";
  for (const [name, title] of cases) {
    const ours = of("huza", name);
    for (const peer of ends.slice(1)) {
      const row = of(peer, name);
      if (row && row.bytes < ours.bytes) {
        const what = `${NAMES[peer]} needs ${bytes(row.bytes)}, huza ${bytes(ours.bytes)}`;
        found.push(`- ${title},${of_changes}: ${what}.`);
      }
    }
    const row = of("negentropy", name);
    if (row && row.bytes < ours.finding) {
      const what = `negentropy ${bytes(row.bytes)}, huza ${bytes(ours.finding)}`;
      found.push(`- ${title},${of_changes}, only finding out what differs: ${what}.`);
    }
  }
  return found;
}

function versions() {
  const lock = fs.readFileSync(path.join(here, "peers", "Cargo.lock"), "utf8");
  const crate = (name) => lock.match(new RegExp(`name = "${name}"\nversion = "([^"]+)"`))[1];
  const npm = JSON.parse(fs.readFileSync(path.join(here, "peers", "package.json"), "utf8")).dependencies;
  return [
    ...["automerge", "samod", "negentropy"].map((name) => `${name} ${crate(name)}`),
    ...["pouchdb", "express-pouchdb"].map((name) => `${name} ${npm[name]}`),
    `Node ${process.version.slice(1)}`,
  ].join(", ");
}

// Bytes against changes missing, both logarithmic; first meetings, of the newest and the scattered.
function peersPlot({ of, ends, size }) {
  if (!size) return "";
  const [width, height, left, right, top, bottom] = [760, 430, 70, 130, 60, 60];
  const counts = [0, 2, 20, 200, 2000, size.changes];
  const x = (at) => left + (at * (width - left - right)) / (counts.length - 1);
  const decades = [2, 3, 4, 5, 6, 7, 8];
  const y = (count) =>
    height - bottom - ((Math.log10(count) - 2) * (height - top - bottom)) / (decades.length - 1);
  const cases = (kind) => ["identical", ...[2, 20, 200, 2000].map((d) => `${kind}-${d}`), "first"];
  const parts = [];
  for (const decade of decades) {
    const down = y(10 ** decade).toFixed(1);
    parts.push(`<line class="grid" x1="${left}" x2="${width - right}" y1="${down}" y2="${down}"/>`);
    parts.push(words(left - 8, Number(down) + 4, bytes(10 ** decade).replace(/\.0+ /, " "), 'text-anchor="end"'));
  }
  counts.forEach((count, at) => {
    const name = count === size.changes ? "all" : thousands(count);
    parts.push(words(x(at), height - bottom + 20, name, 'text-anchor="middle"'));
  });
  parts.push(words((left + width - right) / 2, height - 16, "changes that one of them lacks",
    'text-anchor="middle"'));
  const line = (points, colour, dashes) => {
    const seen = points.filter(([, count]) => count >= 100);
    const drawn = seen.map(([at, count]) => `${x(at).toFixed(1)},${y(count).toFixed(1)}`);
    const dash = dashes ? ` stroke-dasharray="${dashes}"` : "";
    parts.push(`<polyline class="line ${colour}" points="${drawn.join(" ")}"${dash}/>`);
    return y(seen.at(-1)?.[1] ?? 100);
  };
  const labels = [];
  for (const peer of ends) {
    const points = (kind) => cases(kind).map((name, at) => [at, of(peer, name)?.bytes ?? 0]);
    labels.push([line(points("newest"), peer), NAMES[peer], peer]);
    line(points("scattered"), peer, "6 4");
  }
  if (of("pouchdb", "since-2")) {
    line(counts.slice(1, -1).map((count, at) => [at + 1, of("pouchdb", `since-${count}`).bytes]), "pouchdb", "2 3");
  }
  labels.push([line(cases("newest").map((name, at) => [at, of("huza", name).floor]), "floor"), "entropy", "floor"]);
  labels.sort((one, other) => one[0] - other[0]);
  let above = 0;
  for (const [down, name, colour] of labels) {
    above = Math.max(down + 4, above + 14);
    parts.push(words(width - right + 8, above, name, `class="name ${colour}"`));
  }
  return picture(width, height,
    `Bytes of a first meeting of two devices, ${thousands(size.changes)} changes of ${thousands(size.records)} people`,
    "solid: the newest are missing; dashed: scattered ones; dotted: PouchDB, of two that met before", parts);
}

const NOT_MEASURED = (part) => `*Not measured yet: \`benches/run ${part}\` measures it.*`;

function section(seen, title, without) {
  if (!seen.size) return `### ${title}\n\n${NOT_MEASURED("peers")}`;
  const { seed, records, changes } = seen.size;
  // The last that each but negentropy is measured in.
  const last = (peer) => (peer === "negentropy" ? "scattered-2000" : "ferry-200");
  const missing = Object.keys(NAMES)
    .filter((peer) => !without.includes(peer) && !seen.of(peer, last(peer)))
    .map((peer) => NAMES[peer]);
  return [
    `### ${title}: seed ${seed}, ${thousands(records)} people, ${thousands(changes)} changes`,
    ...(missing.length ? [`*Not in this run, or not to its end: ${missing.join(", ")}.*`] : []),
    costs(seen),
    "Finding out what differs, without the payload (huza: every frame that is not a batch, so its\n" +
      "hellos, totals and acknowledgements are in it; negentropy: all it says):",
    finding(seen),
    "Turns: how often the direction changed, plus one. Times are of this one run, on\n" +
      "one machine: orders of magnitude.",
    effort(seen),
  ].join("\n\n");
}

// What the transport adds, from two real daemons.
function transport() {
  const said = {
    acquaintance: "first meeting, two changes",
    repeat: "the same, met before",
    "since-20": "20 changes written since they met",
  };
  const line = ({ case: name, bytes: socket, stats, turns }) =>
    [said[name], bytes(stats.bytes_sent + stats.bytes_received), bytes(socket), `${turns}`];
  const all = rows("peers", "daemons");
  if (all.length === 0) return NOT_MEASURED("peers");
  return table(["two daemons", "frames", "on the socket", "turns"], all.map(line));
}

function peers() {
  const [full, small] = ["full", "small"].map((name) => view(rows("peers", name)));
  const found = [...lost(full), ...lost(small)];
  const none = full.size || small.size ? "In no case of these tables." : NOT_MEASURED("peers");
  return {
    versions: versions(),
    plot: full.size ? "![Bytes of a first meeting](peers.svg)" : NOT_MEASURED("peers"),
    transport: transport(),
    lost: found.join("\n") || none,
    full: section(full, "All but samod", ["samod"]),
    small: section(small, "With samod, which needs minutes for it", []),
  };
}

// ---- Pictures, on a ground of their own so that they are read by day and by night

const DAY = { ground: "#fff", ink: "#222", grid: "#ddd", huza: "#0b7a4b", automerge: "#b34a10",
  samod: "#8a3ab9", pouchdb: "#1f5fbf", floor: "#6e6e6e" };
const NIGHT = { ground: "#14171a", ink: "#ddd", grid: "#363b40", huza: "#3fc28a", automerge: "#f08a4b",
  samod: "#c58be8", pouchdb: "#76a9f5", floor: "#a0a0a0" };

const colours = ({ ground, ink, grid, ...peers }) => [
  `.ground { fill: ${ground} } text { fill: ${ink} } .grid { stroke: ${grid} }`,
  ...Object.entries(peers).map(([name, colour]) => `.${name} { fill: ${colour} } .line.${name} { stroke: ${colour} }`),
].join("\n");

const STYLE = `
text { font-family: sans-serif; font-size: 12px } .title { font-size: 14px; font-weight: bold }
.name { font-weight: bold }
${colours(DAY)}
.line { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
${colours(NIGHT)}
.line { fill: none }
}
`;

const words = (over, down, said, more = "") =>
  `<text x="${Number(over).toFixed(1)}" y="${Number(down).toFixed(1)}" ${more}>${said}</text>`;

const picture = (width, height, title, under, parts) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">\n` +
  `<style>${STYLE}</style>\n<rect class="ground" width="${width}" height="${height}"/>\n` +
  `${words(20, 22, title, 'class="title"')}\n${words(20, 38, under)}\n${parts.join("\n")}\n</svg>\n`;

// ---- The page

// Part -> its figures, its pictures. Without results the peers are still told about.
const PARTS = {
  "first-sync": [firstSync, { "first-sync.svg": firstSyncPlot }],
  contact: [contacts, {}],
  "visit-size": [visitSize, {}],
  meeting: [meeting, {}],
  peers: [peers, { "peers.svg": () => peersPlot(view(rows("peers", "full"))) }],
};

function page(part) {
  const template = fs.readFileSync(path.join(here, "page", `${part}.md`), "utf8").trim();
  const measured = fs.existsSync(at(part, "machine.json"));
  const [figures, pictures] = PARTS[part];
  if (!measured && part !== "peers") {
    return `${template.split("\n")[0]}\n\n${NOT_MEASURED(part)}`;
  }
  const all = { run: measured ? run(part) : NOT_MEASURED(part), ...figures() };
  if (measured) {
    for (const [name, draw] of Object.entries(pictures)) {
      const drawn = draw();
      if (drawn) fs.writeFileSync(path.join(docs, name), drawn);
    }
  }
  return template.replace(/\{\{([^}]*)\}\}/g, (_, name) => {
    if (!(name in all)) throw new Error(`page/${part}.md: no figure is called ${name}`);
    return all[name];
  });
}

if (process.argv[2] === "machine") {
  console.log(JSON.stringify(machine()));
} else {
  const head = fs.readFileSync(path.join(here, "page", "benchmarks.md"), "utf8").trim();
  const all = [head, ...Object.keys(PARTS).map(page)].join("\n\n");
  fs.writeFileSync(path.join(docs, "benchmarks.md"), `${all}\n`);
  console.log("written: docs/benchmarks.md and its plots");
}
