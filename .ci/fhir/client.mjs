// Another's FHIR client (fhir-kit-client) at the façade of a huza device: lists the people who are there,
// adds an Observation of one of them, reads, changes and finds it again.
//
//   node client.mjs http://127.0.0.1:7071/fhir TOKEN
//
// Prints one JSON object with what it saw; ends with 1 where something is not as FHIR has it.
import assert from "node:assert/strict";
import { Client } from "fhir-kit-client";

const [baseUrl, bearerToken] = process.argv.slice(2);
const client = new Client({ baseUrl, bearerToken });

const statement = await client.capabilityStatement();
assert.equal(statement.resourceType, "CapabilityStatement");
assert.equal(statement.fhirVersion, "4.0.1");

const people = [];
let page = await client.search({ resourceType: "Patient", searchParams: { _count: 1 } });
while (page) {
  assert.equal(page.type, "searchset");
  people.push(...(page.entry ?? []).map((entry) => entry.resource));
  page = await client.nextPage({ bundle: page });
}
const named = await client.search({ resourceType: "Patient", searchParams: { name: "immac" } });
assert.equal(named.entry.length, 1);
const patient = named.entry[0].resource;
const read = await client.read({ resourceType: "Patient", id: patient.id });
assert.deepEqual(read, patient);

const about = { reference: `Patient/${patient.id}` };
const observation = {
  resourceType: "Observation",
  status: "final",
  code: { coding: [{ system: "http://loinc.org", code: "29463-7" }], text: "Body weight" },
  subject: about,
  effectiveDateTime: "2026-11-24",
  valueQuantity: { value: 62.5, unit: "kg", system: "http://unitsofmeasure.org", code: "kg" },
};
const added = await client.create({ resourceType: "Observation", body: observation });
assert.match(added.id, /^[0-9a-f-]{36}$/);
assert.deepEqual(added.subject, about);

const changed = { ...added, valueQuantity: { ...added.valueQuantity, value: 63 } };
const etag = Client.httpFor(await client.read({ resourceType: "Observation", id: added.id })).response;
const options = { headers: { "If-Match": etag.headers.get("etag") } };
const { id } = added;
const put = await client.update({ resourceType: "Observation", id, body: changed, options });
assert.equal(put.valueQuantity.value, 63);
const stale = client.update({ resourceType: "Observation", id, body: changed, options });
await assert.rejects(stale, (error) => error.response.status === 412);

const searchParams = { patient: patient.id, code: "http://loinc.org|29463-7" };
const found = await client.search({ resourceType: "Observation", searchParams });
assert.ok(found.entry.some((entry) => entry.resource.id === added.id));

const nobody = { ...observation, subject: { reference: "Patient/00000000-0000-4000-8000-000000000000" } };
const refused = client.create({ resourceType: "Observation", body: nobody });
await assert.rejects(refused, (error) => {
  const outcome = error.response.data;
  return outcome.resourceType === "OperationOutcome" && error.response.status === 422;
});

console.log(JSON.stringify({ people: people.map((one) => one.id), patient: patient.id, added: added.id }));
