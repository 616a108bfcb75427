//! A gateway in front of a FHIR server that others wrote: what arrives there, once and intact, whatever
//! happens on either side.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

use std::time::Duration;

use serde_json::Value;

mod support;
use support::fhir::{FhirServer, Helios, certificate};
use support::{Daemon, Lab};

/// A programme with a phone, a hub and these gateways.
fn lab(gateways: &[&str]) -> Lab {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    lab.member("hub", "hub", &[]);
    gateways.iter().for_each(|name| lab.member(name, "gateway", &[]));
    lab
}

/// Says in its settings where a gateway's facility is.
fn facility(lab: &Lab, gateway: &str, settings: &str) {
    let text = format!("[facility]\n{settings}\n");
    std::fs::write(lab.path(gateway).join("huza.toml"), text).unwrap();
}

fn url(lab: &Lab, gateway: &str, url: &str) {
    facility(lab, gateway, &format!("url = {url:?}"));
}

/// Waits until a gateway has nothing left to give but what waits for others; what it says then.
fn served(lab: &Lab, gateway: &str) -> Value {
    for _ in 0..600 {
        let status = lab.ask(gateway, &["gateway"]);
        let waits = status["waiting"].as_u64().unwrap() > 0;
        let filed = lab.ask(gateway, &["status"])["unfiled"] == 0;
        if filed && (status["queued"] == 0 || waits) {
            return status;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("never served: {}", lab.ask(gateway, &["gateway"]));
}

/// Its daemon, once it takes commands.
fn gateway(lab: &Lab, name: &str) -> Daemon {
    let mut daemon = lab.run(name, None);
    daemon.wait("started");
    daemon
}

/// The record as a device knows it.
fn status(lab: &Lab, on: &str, record: &str) -> Value {
    let status = lab.ask(on, &["status", "--records"]);
    let all = status["records"].as_array().unwrap();
    all.iter().find(|one| one["record"] == record).unwrap().clone()
}

/// What the server has of a type.
fn of_type<'a>(resources: &'a Value, kind: &str) -> Vec<&'a Value> {
    let all = resources.as_object().unwrap().iter();
    all.filter(|(key, _)| key.starts_with(kind)).map(|(_, one)| &one["resource"]).collect()
}

/// Numbers drawn from a seed.
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: u64) -> u64 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn all_once(resources: &Value) {
    for (key, one) in resources.as_object().unwrap() {
        assert_eq!(one["versions"], 1, "{key}");
    }
}

#[test]
fn two_records_of_one_person_are_two_patients_that_name_each_other() {
    let Some(server) = FhirServer::start(&[]) else { return };
    let lab = lab(&["gateway"]);
    url(&lab, "gateway", &server.url());
    let records = [lab.person("phone", "Immaculee Uwase"), lab.person("phone", "Imaculee Uwaase")];
    lab.on("phone", &["person", "link", &records[0], &records[1]]).done();
    lab.meet("phone", "hub");
    lab.meet("hub", "gateway");
    let daemon = gateway(&lab, "gateway");
    let told = served(&lab, "gateway");
    daemon.stop();
    assert_eq!((&told["waiting"], &told["failed"]), (&0.into(), &0.into()), "{told}");
    let resources = server.resources();
    all_once(&resources);
    for (from, to) in [(0, 1), (1, 0)] {
        let patient = &resources[format!("Patient/{}", records[from])]["resource"];
        let other = format!("Patient/{}", records[to]);
        assert_eq!(patient["link"][0]["other"]["reference"], other.as_str(), "{patient}");
        assert_eq!(patient["link"][0]["type"], "seealso");
    }
}

#[test]
fn a_visit_reaches_a_fhir_server_and_the_proof_comes_back() {
    let Some(server) = FhirServer::start(&[]) else { return };
    let lab = lab(&["gateway"]);
    url(&lab, "gateway", &server.url());
    let record = lab.person("phone", "Immaculee Uwase");
    lab.visit("phone", &record, "sleeps well");
    lab.meet("phone", "hub");
    lab.meet("hub", "gateway");
    let daemon = gateway(&lab, "gateway");
    let told = served(&lab, "gateway");
    daemon.stop();
    let resources = server.resources();
    all_once(&resources);
    assert_eq!(told["delivered"], resources.as_object().unwrap().len());
    let patient = &resources[format!("Patient/{record}")]["resource"];
    assert_eq!(patient["name"][0]["family"], "Uwase");
    assert_eq!(patient["meta"]["tag"][0]["system"], "urn:huza:heads");
    let notes = of_type(&resources, "Observation");
    let note = notes.iter().find(|one| one["valueString"] == "sleeps well").unwrap();
    assert_eq!(note["subject"]["reference"], format!("Patient/{record}"));
    lab.meet("hub", "gateway");
    lab.meet("phone", "hub");
    assert_eq!(status(&lab, "phone", &record)["accepted"], true);
    let before = server.log();
    let daemon = gateway(&lab, "gateway");
    let idle = lab.ask("gateway", &["gateway"]);
    assert_eq!((&idle["queued"], &idle["failed"]), (&0.into(), &0.into()));
    daemon.stop();
    assert_eq!(server.log(), before, "nothing is asked for nothing");
}

#[test]
fn what_is_refused_blocks_nothing_and_is_given_again_on_command() {
    let Some(server) = FhirServer::start(&["refuse=bitter herbs"]) else { return };
    let lab = lab(&["gateway"]);
    url(&lab, "gateway", &server.url());
    let good = lab.person("phone", "Esperance Mukamana");
    lab.visit("phone", &good, "sleeps well");
    let bad = lab.person("phone", "Immaculee Uwase");
    lab.visit("phone", &bad, "bitter herbs");
    lab.meet("phone", "hub");
    lab.meet("hub", "gateway");
    let daemon = gateway(&lab, "gateway");
    assert_eq!(served(&lab, "gateway")["failed"], 1);
    let failed = lab.ask("gateway", &["gateway", "failed"]);
    let failed = &failed["failed"][0];
    assert_eq!((&failed["code"], &failed["record"]), (&422.into(), &bad.clone().into()));
    assert!(failed["why"].as_str().unwrap().contains("not in this hospital"), "{failed}");
    daemon.stop();
    let resources = server.resources();
    all_once(&resources);
    assert!(resources.get(failed["key"].as_str().unwrap()).is_none());
    assert!(of_type(&resources, "Encounter").len() == 2, "all else is there");
    lab.meet("hub", "gateway");
    lab.meet("phone", "hub");
    let told = status(&lab, "phone", &bad);
    assert_eq!((&told["refused"], &told["accepted"]), (&true.into(), &false.into()));
    assert!(told["receipts"].as_array().unwrap().iter().any(|one| one["reason"] == 422));
    let text = lab.on("phone", &["status", "--records"]).done().stdout;
    assert!(text.contains("REFUSED (422)"), "{text}");

    server.rules(r#"{"refuse":null}"#);
    lab.on("gateway", &["gateway", "retry", "Observation/none"]).failed(3, &["no resource"]);
    assert_eq!(lab.ask("gateway", &["gateway", "retry", "--all"])["retried"], 1);
    let daemon = gateway(&lab, "gateway");
    assert_eq!(served(&lab, "gateway")["failed"], 0);
    daemon.stop();
    assert!(server.resources().get(failed["key"].as_str().unwrap()).is_some());
    lab.meet("hub", "gateway");
    lab.meet("phone", "hub");
    let told = status(&lab, "phone", &bad);
    assert_eq!((&told["refused"], &told["accepted"]), (&false.into(), &true.into()));
}

#[test]
fn a_gateway_killed_again_and_again_has_one_effect() {
    let Some(server) = FhirServer::start(&["seed=7", "trouble=20"]) else { return };
    let lab = lab(&["gateway"]);
    // Everything is here before anything is given.
    url(&lab, "gateway", "http://127.0.0.1:1/fhir");
    let people: Vec<String> =
        (0..40).map(|n| lab.person("phone", &format!("Person {n}"))).collect();
    people.iter().for_each(|record| drop(lab.visit("phone", record, "sleeps well")));
    lab.meet("phone", "hub");
    lab.meet("hub", "gateway");
    url(&lab, "gateway", &server.url());
    let mut draws = Draws(4711);
    for _ in 0..20 {
        let daemon = gateway(&lab, "gateway");
        // When it dies is drawn; nothing is asserted of how far it got.
        std::thread::sleep(Duration::from_millis(draws.below(300)));
        drop(daemon);
    }
    let log = server.log();
    println!("20 times killed, the server in trouble: {log}");
    server.rules(r#"{"trouble":0}"#);
    let daemon = gateway(&lab, "gateway");
    served(&lab, "gateway");
    daemon.stop();
    let resources = server.resources();
    all_once(&resources);
    assert_eq!(of_type(&resources, "Patient").len(), 40);
    assert_eq!(of_type(&resources, "Encounter").len(), 40);
    assert_eq!(of_type(&resources, "Provenance").len(), 40);
    println!("{} resources, each in one version", resources.as_object().unwrap().len());
}

#[test]
fn a_gateway_that_lags_puts_nothing_older_over_newer() {
    let Some(server) = FhirServer::start(&[]) else { return };
    let lab = lab(&["ahead", "behind"]);
    url(&lab, "ahead", &server.url());
    url(&lab, "behind", "http://127.0.0.1:1/fhir");
    let record = lab.person("phone", "Immaculee Uwase");
    lab.meet("phone", "hub");
    lab.meet("hub", "ahead");
    lab.meet("hub", "behind");
    let daemon = gateway(&lab, "ahead");
    served(&lab, "ahead");
    daemon.stop();
    lab.on("phone", &["person", "set", &record, "birth-date=1999-09-09"]).done();
    lab.meet("phone", "hub");
    lab.meet("hub", "ahead");
    let daemon = gateway(&lab, "ahead");
    served(&lab, "ahead");
    daemon.stop();
    let patient = format!("Patient/{record}");
    let newer = server.resources()[&patient].clone();
    assert_eq!(newer["resource"]["birthDate"], "1999-09-09");
    assert_eq!(newer["versions"], 2);

    url(&lab, "behind", &server.url());
    let daemon = gateway(&lab, "behind");
    assert_eq!(served(&lab, "behind")["waiting"], 1);
    daemon.stop();
    assert_eq!(server.resources()[&patient], newer);
    lab.meet("hub", "behind");
    let daemon = gateway(&lab, "behind");
    let told = served(&lab, "behind");
    assert_eq!((&told["waiting"], &told["queued"]), (&0.into(), &0.into()));
    daemon.stop();
    assert_eq!(server.resources()[&patient], newer, "equal content is not sent");
}

#[test]
fn a_server_that_asks_who_is_there_is_told_and_says_so_to_nobody_else() {
    let Some(server) = FhirServer::start(&["token=sesame"]) else { return };
    let lab = lab(&["gateway"]);
    let settings = format!("url = {:?}\ntoken_file = \"token\"", server.url());
    facility(&lab, "gateway", &settings);
    std::fs::write(lab.path("gateway").join("token"), "wrong\n").unwrap();
    lab.person("phone", "Immaculee Uwase");
    lab.meet("phone", "hub");
    lab.meet("hub", "gateway");
    let mut daemon = gateway(&lab, "gateway");
    let failed = daemon.wait("facility_failed").to_string();
    assert!(failed.contains("401") && !failed.contains("wrong\\n"), "{failed}");
    let told = lab.ask("gateway", &["gateway"]);
    assert_eq!((&told["facility"]["reachable"], &told["failed"]), (&false.into(), &0.into()));
    assert!(told["facility"]["why"].as_str().unwrap().contains("401"), "{told}");
    daemon.stop();
    std::fs::write(lab.path("gateway").join("token"), "sesame\n").unwrap();
    let daemon = gateway(&lab, "gateway");
    served(&lab, "gateway");
    daemon.stop();
    assert_eq!(of_type(&server.resources(), "Patient").len(), 1);
}

#[test]
fn basic_authentication_opens_a_server_too() {
    let Some(server) = FhirServer::start(&["user=huza:open sesame"]) else { return };
    let lab = lab(&["gateway"]);
    let settings =
        format!("url = {:?}\nuser = \"huza\"\npassword_file = \"password\"", server.url());
    facility(&lab, "gateway", &settings);
    std::fs::write(lab.path("gateway").join("password"), "open sesame\n").unwrap();
    lab.person("phone", "Immaculee Uwase");
    lab.meet("phone", "hub");
    lab.meet("hub", "gateway");
    let daemon = gateway(&lab, "gateway");
    served(&lab, "gateway");
    daemon.stop();
    assert_eq!(of_type(&server.resources(), "Patient").len(), 1);
    assert_eq!(server.log()["denied"], 0);
}

#[test]
fn a_client_certificate_opens_a_server_whose_own_authority_is_named() {
    let file = |name: &str| certificate(name).to_str().unwrap().to_owned();
    let [cert, key, ca] = ["server.pem", "server.key", "ca.pem"].map(file);
    let options = [format!("cert={cert}"), format!("key={key}"), format!("ca={ca}")];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let Some(server) = FhirServer::start(&options) else { return };
    let lab = lab(&["gateway"]);
    let url = format!("https://127.0.0.1:{}/fhir", server.port);
    lab.person("phone", "Immaculee Uwase");
    lab.meet("phone", "hub");
    facility(&lab, "gateway", &format!("url = {url:?}"));
    lab.meet("hub", "gateway");
    let mut daemon = gateway(&lab, "gateway");
    let stranger = daemon.wait("facility_failed").to_string();
    assert!(stranger.contains("certificate"), "{stranger}");
    daemon.stop();
    let [client, client_key] = ["client.pem", "client.key"].map(file);
    facility(
        &lab,
        "gateway",
        &format!(
            "url = {url:?}\nca_file = {ca:?}\ncertificate_file = {client:?}\nkey_file = {client_key:?}"
        ),
    );
    let daemon = gateway(&lab, "gateway");
    let told = served(&lab, "gateway");
    daemon.stop();
    assert_eq!(told["delivered"], 1);
}

#[test]
#[ignore = "needs helios-hfs: run .ci/fhir/helios"]
fn helios_and_a_gateway_that_are_both_killed_end_with_everything_in_one_version() {
    let lab = lab(&["gateway"]);
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    url(&lab, "gateway", "http://127.0.0.1:1");
    let people: Vec<String> =
        (0..40).map(|n| lab.person("phone", &format!("Person {n}"))).collect();
    people.iter().for_each(|record| drop(lab.visit("phone", record, "sleeps well")));
    lab.meet("phone", "hub");
    lab.meet("hub", "gateway");
    url(&lab, "gateway", &format!("http://127.0.0.1:{port}"));
    let folder = lab.path("hfs");
    let mut server = Helios::start(&folder, port);
    let mut draws = Draws(4711);
    for round in 0..20 {
        let daemon = gateway(&lab, "gateway");
        // Who dies when is drawn; nothing is asserted of how far it got.
        std::thread::sleep(Duration::from_millis(draws.below(1_000)));
        if round % 2 == 0 {
            drop(daemon);
        } else {
            drop(server);
            server = Helios::start(&folder, port);
            daemon.stop();
        }
    }
    let daemon = gateway(&lab, "gateway");
    let told = served(&lab, "gateway");
    let failed = lab.ask("gateway", &["gateway", "failed"]);
    daemon.stop();
    assert_eq!(told["failed"], 0, "{failed}");
    let exported = lab.on("gateway", &["export"]).done().stdout;
    let mut count = 0;
    for line in exported.lines() {
        let ours: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| ours[name].as_str().unwrap();
        let place = format!("{}/{}", text("resourceType"), text("id"));
        let copy = server.get(&place).unwrap_or_else(|| panic!("no {place}"));
        assert_eq!(copy["meta"]["versionId"], "1", "{place}");
        count += 1;
    }
    println!("{count} resources, each in one version; ten kills of either side");
    for record in &people {
        lab.on("phone", &["person", "set", record, "birth-date=1999-09-09"]).done();
    }
    lab.meet("phone", "hub");
    lab.meet("hub", "gateway");
    let daemon = gateway(&lab, "gateway");
    served(&lab, "gateway");
    daemon.stop();
    for record in &people {
        let copy = server.get(&format!("Patient/{record}")).unwrap();
        let told = (&copy["birthDate"], &copy["meta"]["versionId"]);
        assert_eq!(told, (&"1999-09-09".into(), &"2".into()));
    }
    println!("{} corrected, each in its second version", people.len());
}
