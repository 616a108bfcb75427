// Writes docs/peers.md and docs/peers.svg from what the peers printed.
//
// node report.mjs RESULTS TO
//
// NOTE in the environment: what is to be said of the times of this run.

import fs from "node:fs";
import path from "node:path";

const [results, to] = process.argv.slice(2);
const here = path.dirname(new URL(import.meta.url).pathname);

const read = (folder) => {
  const files = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  return files
    .filter((file) => file.endsWith(".ndjson"))
    .flatMap((file) => fs.readFileSync(path.join(folder, file), "utf8").trim().split("\n"))
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
};

const PEERS = ["huza", "automerge", "samod", "pouchdb", "negentropy"];
const NAMES = {
  huza: "huza",
  automerge: "automerge sync",
  samod: "samod",
  pouchdb: "PouchDB",
  negentropy: "negentropy",
};
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

const bytes = (count) => {
  if (count === undefined) return "";
  if (count < 1_000) return `${count} B`;
  const [unit, name] = count < 1_000_000 ? [1e3, "kB"] : [1e6, "MB"];
  return `${(count / unit).toPrecision(3).replace(/e\+3/, "")} ${name}`;
};
const times = (factor) => {
  const digits = factor < 10 ? factor.toFixed(1) : Math.round(factor).toLocaleString("en");
  return `x${digits}`;
};
const thousands = (count) => count.toLocaleString("en");

function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, at) => (at ? "--:" : "---"))), ...rows.map(line)].join("\n");
}

// What the rows of one size say.
function view(rows) {
  const of = (peer, name) => rows.find((row) => row.peer === peer && row.case === name);
  const ends = ["huza", "automerge", "samod", "pouchdb"].filter((peer) => of(peer, "identical"));
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
function lost({ of, ends, cases }) {
  const found = [];
  for (const [name, title] of cases) {
    const ours = of("huza", name);
    for (const peer of ends.slice(1)) {
      const row = of(peer, name);
      if (row && row.bytes < ours.bytes) {
        found.push(`- ${title}: ${NAMES[peer]} needs ${bytes(row.bytes)}, huza ${bytes(ours.bytes)}.`);
      }
    }
    const row = of("negentropy", name);
    if (row && row.bytes < ours.finding) {
      const what = `negentropy ${bytes(row.bytes)}, huza ${bytes(ours.finding)}`;
      found.push(`- ${title}, only finding out what differs: ${what}.`);
    }
  }
  return found.join("\n") || "- In no case of this table.";
}

function versions() {
  const lock = fs.readFileSync(path.join(here, "Cargo.lock"), "utf8");
  const crate = (name) => lock.match(new RegExp(`name = "${name}"\nversion = "([^"]+)"`))[1];
  const npm = JSON.parse(fs.readFileSync(path.join(here, "package.json"), "utf8")).dependencies;
  return [
    ...["automerge", "samod", "negentropy"].map((name) => `${name} ${crate(name)}`),
    ...["pouchdb", "express-pouchdb"].map((name) => `${name} ${npm[name]}`),
    `Node ${process.version.slice(1)}`,
  ].join(", ");
}

const COLOURS = { huza: "#0b7a4b", automerge: "#c2571a", samod: "#8a3ab9", pouchdb: "#1f5fbf" };

// Bytes against changes missing, both logarithmic; first meetings, of the newest and the scattered.
function plot({ of, ends, size }) {
  const [width, height, left, right, top, bottom] = [760, 430, 70, 130, 50, 60];
  const counts = [0, 2, 20, 200, 2000, size.changes];
  const x = (at) => left + (at * (width - left - right)) / (counts.length - 1);
  const decades = [2, 3, 4, 5, 6, 7, 8];
  const y = (count) =>
    height - bottom - ((Math.log10(count) - 2) * (height - top - bottom)) / (decades.length - 1);
  const cases = (kind) => ["identical", ...[2, 20, 200, 2000].map((d) => `${kind}-${d}`), "first"];
  const text = (at, down, words, more = "") =>
    `<text x="${at}" y="${down}" font-size="12" fill="#222" ${more}>${words}</text>`;
  const parts = [
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(left, 22, `Bytes of a first meeting of two devices, ${thousands(size.changes)} changes of ` +
      `${thousands(size.records)} people`, 'style="font-size:14px;font-weight:bold"'),
    text(left, 38, "solid: the newest are missing; dashed: scattered ones; dotted: PouchDB, of two that met before"),
  ];
  for (const decade of decades) {
    const down = y(10 ** decade);
    parts.push(`<line x1="${left}" x2="${width - right}" y1="${down}" y2="${down}" stroke="#ddd"/>`);
    parts.push(text(left - 8, down + 4, bytes(10 ** decade).replace(".00", "").replace(".0", ""),
      'text-anchor="end"'));
  }
  counts.forEach((count, at) => {
    const words = count === size.changes ? "all" : thousands(count);
    parts.push(text(x(at), height - bottom + 20, words, 'text-anchor="middle"'));
  });
  parts.push(text((left + width - right) / 2, height - 16, "changes that one of them lacks",
    'text-anchor="middle"'));
  const line = (points, colour, dashed) => {
    const drawn = points.map(([at, count]) => `${x(at).toFixed(1)},${y(count).toFixed(1)}`);
    const dash = dashed ? ` stroke-dasharray="${dashed}"` : "";
    parts.push(`<polyline points="${drawn.join(" ")}" fill="none" stroke="${colour}" ` +
      `stroke-width="2"${dash}/>`);
  };
  const labels = [];
  for (const peer of ends) {
    for (const kind of ["newest", "scattered"]) {
      const points = cases(kind)
        .map((name, at) => [at, of(peer, name)?.bytes])
        .filter(([, count]) => count);
      line(points, COLOURS[peer], kind === "scattered" ? "6 4" : "");
      if (kind === "newest") labels.push([y(points.at(-1)[1]), NAMES[peer], COLOURS[peer]]);
    }
  }
  const met = counts.slice(1, -1).map((count, at) => [at + 1, of("pouchdb", `since-${count}`)?.bytes]);
  line(met, COLOURS.pouchdb, "2 3");
  const floors = cases("newest").map((name, at) => [at, of("huza", name).floor]).slice(1);
  line(floors.filter(([, count]) => count >= 100), "#999", "");
  labels.push([y(floors.at(-1)[1]), "entropy", "#777"]);
  labels.sort((one, other) => one[0] - other[0]);
  let above = 0;
  for (const [down, name, colour] of labels) {
    above = Math.max(down + 4, above + 14);
    parts.push(text(width - right + 8, above, name, `style="fill:${colour};font-weight:bold"`));
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
    `font-family="sans-serif">\n${parts.join("\n")}\n</svg>\n`;
}

const size = ({ size: { seed, records, changes } }) =>
  `seed ${seed}, ${thousands(records)} people, ${thousands(changes)} changes`;

function section(folder, title) {
  const rows = read(path.join(results, folder));
  if (!rows.some((row) => row.peer === "huza")) return "";
  const seen = view(rows);
  const parts = [
    `## ${title}: ${size(seen)}`,
    costs(seen),
    "Where huza loses:",
    lost(seen),
    "Finding out what differs, without the payload (huza: every frame that is not a batch, so its\n" +
      "hellos, totals and acknowledgements are in it; negentropy: all it says):",
    finding(seen),
    "Turns: how often the direction changed, plus one. Times are of this one run, on\n" +
      "one machine: orders of magnitude." + (process.env.NOTE ? ` ${process.env.NOTE}` : ""),
    effort(seen),
  ];
  return parts.join("\n\n");
}

// What the transport adds, from two real daemons.
function transport() {
  const rows = read(path.join(results, "daemons"));
  if (rows.length === 0) return "(not measured in this run)";
  const words = {
    acquaintance: "first meeting, two changes",
    repeat: "the same, met before",
    "since-20": "20 changes written since they met",
  };
  const line = ({ case: name, bytes: socket, stats, turns }) =>
    [words[name], bytes(stats.bytes_sent + stats.bytes_received), bytes(socket), `${turns}`];
  return table(["two daemons", "frames", "on the socket", "turns"], rows.map(line));
}

const whole = view(read(path.join(results, "full")));
fs.writeFileSync(path.join(to, "peers.svg"), plot(whole));
const page = fs.readFileSync(path.join(here, "page.md"), "utf8")
  .replace("{{versions}}", versions())
  .replace("{{date}}", new Date().toISOString().slice(0, 10))
  .replace("{{transport}}", transport())
  .replace("{{full}}", section("full", "The whole workload"))
  .replace("{{small}}", section("small", "A tenth of it, with samod"));
fs.writeFileSync(path.join(to, "peers.md"), page.trimEnd() + "\n");
