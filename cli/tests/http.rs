//! Another program asks a real daemon over a real socket: people, visits, what changes, and everything
//! that is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

use std::time::Duration;

use serde_json::{Value, json};

mod support;
use support::Lab;
use support::http::{App, person, serve, story, token, visit};

fn settings(lab: &Lab, home: &str, text: &str) {
    std::fs::write(lab.path(home).join("huza.toml"), format!("[http]\n{text}\n")).unwrap();
}

#[test]
fn an_app_records_a_person_and_a_visit_and_the_device_shows_them() {
    let (lab, daemon, app) = story();
    let record = person(&app, "Immaculee");
    let written = visit(&app, &record);
    assert_eq!(written["urgent"], true, "{written}");
    let shown = lab.ask("phone", &["person", "show", &record]);
    let at = format!("/v1/persons/{record}");
    assert_eq!(app.get(&at).is(200), shown, "the same as on the command line");
    let id = written["visit"].as_str().unwrap();
    let answers = &app.get(&format!("{at}/visits")).is(200)["visits"][id]["answers"];
    assert_eq!(answers["weight"]["value"], "62.50");
    let found = app.get("/v1/persons?query=immac").is(200);
    assert_eq!(found["records"], lab.ask("phone", &["person", "find", "immac"])["records"]);

    app.send("PATCH", &at, &json!({ "fields": { "birth-date": "1998-04-12" } })).is(200);
    assert_eq!(app.get(&at).is(200)["person"]["birth-date"]["value"], "1998-04-12");
    let void = format!("{at}/visits/{id}/void");
    app.send("POST", &void, &json!({ "reason": "" })).refused(422, "invalid_reason");
    app.send("POST", &void, &json!({ "reason": "wrong person" })).is(200);
    assert_eq!(app.get(&at).is(200)["visits"][id]["fields"]["void"]["value"], "wrong person");
    let receipts = app.get(&format!("{at}/receipts")).is(200);
    assert_eq!((&receipts["stored"], &receipts["record"]), (&false.into(), &record.into()));
    assert_eq!(app.get("/v1/status").is(200)["records_count"], 1);
    daemon.stop();
}

#[test]
fn lists_have_pages_and_say_what_they_do_not_know() {
    let (lab, daemon, app) = story();
    let mut all: Vec<String> = (0..5).map(|n| person(&app, &format!("Person {n}"))).collect();
    all.sort();
    let mut read = Vec::new();
    let mut offset = Some(0);
    while let Some(at) = offset {
        let page = app.get(&format!("/v1/persons?limit=2&offset={at}")).is(200);
        let records = page["records"].as_array().unwrap().clone();
        assert!(records.len() <= 2);
        read.extend(records.iter().map(|one| one["record"].as_str().unwrap().to_owned()));
        offset = page["next_offset"].as_u64();
    }
    assert_eq!(read, all);
    assert_eq!(app.get("/v1/forms").is(200), lab.ask("phone", &["forms"]));
    assert_eq!(
        app.get("/v1/forms/anc?lang=rw").is(200),
        lab.ask("phone", &["forms", "show", "anc", "--lang", "rw"])
    );
    let visits = format!("/v1/persons/{}/visits", all[0]);
    let answers = json!({ "reason": "pregnancy", "place": "home", "bleeding": "yes" });
    let alert = json!({ "form": "red-alert", "answers": answers, "occurred": "2026-11-01" });
    let written = app.send("POST", &visits, &alert).is(201);
    assert!(written["dangers"].as_array().unwrap().contains(&"bleeding".into()), "{written}");
    let due = lab.ask("phone", &["reminders", "--all"]);
    assert!(!due["reminders"].as_array().unwrap().is_empty());
    assert_eq!(app.get("/v1/reminders?all=true").is(200), due);
    assert_eq!(app.get("/v1/conflicts").is(200)["records"], json!([]));
    let document = app.get("/v1/openapi.json").is(200);
    assert!(document["paths"]["/v1/persons"]["post"].is_object());

    app.get("/v1/persons?limit=501").refused(400, "invalid_parameter");
    app.get("/v1/persons?limits=5").refused(400, "invalid_parameter");
    app.get("/v1/persons?limit=5&limit=6").refused(400, "invalid_parameter");
    app.get("/v1/persons/none").refused(400, "invalid_parameter");
    let nobody = "/v1/persons/00000000-0000-4000-8000-000000000000";
    app.get(nobody).refused(404, "unknown_record");
    app.get(&format!("{nobody}/receipts")).refused(404, "unknown_record");
    app.get("/v1/forms/none").refused(404, "unknown_form");
    app.get("/v1/nothing").refused(404, "not_found");
    let wrong = app.send("DELETE", "/v1/persons", &json!({}));
    wrong.refused(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), "GET, POST");
    let fields = json!({ "sex": "f" });
    app.send("POST", "/v1/persons", &json!({ "fields": fields })).refused(422, "invalid_person");
    app.send("POST", "/v1/persons", &json!({ "field": {} })).refused(400, "malformed");
    app.ask("POST", "/v1/persons", &[], "{}").refused(415, "unsupported_media_type");
    let area = json!({ "fields": { "name/given": "A" }, "area": "0512/77" });
    app.send("POST", "/v1/persons", &area).refused(422, "unknown_area");
    let form = json!({ "form": "none", "answers": {} });
    app.send("POST", &visits, &form).refused(422, "invalid_form");
    let answers = json!({ "form": "anc", "answers": { "weight": "620" } });
    app.send("POST", &visits, &answers).refused(422, "invalid_answers");
    assert_eq!(app.get(&visits).is(200)["visits"].as_object().unwrap().len(), 1, "nothing more");
    daemon.stop();
}

#[test]
fn what_two_workers_say_differently_is_listed_and_settled() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    lab.member("other", "worker", &["01"]);
    let record = lab.person("phone", "Immaculee Uwase");
    lab.meet("phone", "other");
    for (home, date) in [("phone", "birth-date=1998-01-01"), ("other", "birth-date=1999-09-09")] {
        lab.on(home, &["person", "set", &record, date]).done();
    }
    lab.meet("phone", "other");
    let token = token(&lab, "phone", &["clinic"]);
    let (daemon, port) = serve(&lab, "phone", &[]);
    let app = App::new(port, &token);
    assert_eq!(app.get("/v1/conflicts").is(200)["records"][0]["record"], record.as_str());
    let at = format!("/v1/persons/{record}");
    let conflicts = app.get(&format!("{at}/conflicts")).is(200);
    let one = &conflicts["conflicts"][0];
    assert_eq!(one["path"], "person/birth-date");
    let mut values = [one["value"].as_str(), one["conflict"][0]["value"].as_str()];
    values.sort_unstable();
    assert_eq!(values, [Some("1998-01-01"), Some("1999-09-09")]);
    app.send("PATCH", &at, &json!({ "fields": { "birth-date": "1999-09-09" } })).is(200);
    assert_eq!(app.get("/v1/conflicts").is(200)["records"], json!([]));
    daemon.stop();
}

#[test]
fn a_stream_tells_what_changes_and_goes_on_where_it_was_cut() {
    let (lab, daemon, app) = story();
    let mut events = app.follow(None);
    let ready = events.next().unwrap();
    assert_eq!(ready.name, "ready");
    let first = person(&app, "Immaculee");
    let heard = events.next().unwrap();
    assert_eq!((heard.name.as_str(), &heard.data["record"]), ("change", &first.as_str().into()));
    assert_eq!(heard.data["gone"], false);
    drop(events);
    // While nobody listens, and over a restart of the daemon.
    let second = person(&app, "Esperance");
    daemon.stop();
    let third = lab.person("phone", "Aline Iradukunda");
    let (daemon, port) = serve(&lab, "phone", &[]);
    let app = App { port, host: format!("127.0.0.1:{port}"), ..app };
    let mut events = app.follow(Some(&heard.id));
    let told: Vec<Value> = (0..2).map(|_| events.next().unwrap().data["record"].clone()).collect();
    assert_eq!(told, [Value::from(second), Value::from(third.clone())]);
    // The same as a page.
    let page = app.get(&format!("/v1/changes?after={}", heard.id)).is(200);
    assert_eq!((&page["changes"][1]["record"], &page["more"]), (&third.into(), &false.into()));
    assert_eq!(
        app.get(&format!("/v1/changes?after={}", ready.id)).is(200)["changes"][0]["record"],
        first.as_str()
    );
    let other_life = format!("{}-0", "0".repeat(32));
    app.get(&format!("/v1/changes?after={other_life}")).refused(410, "cursor_expired");
    app.get("/v1/changes?after=yesterday").refused(400, "invalid_parameter");
    let both = app.ask("GET", "/v1/changes?after=yesterday", &[("last-event-id", &heard.id)], "");
    both.refused(400, "invalid_parameter");

    // The app is let in no more: its stream ends too.
    lab.on("phone", &["app", "remove", "clinic"]).done();
    lab.person("phone", "Kevin Ishimwe");
    let end = events.next().unwrap();
    assert_eq!((end.name.as_str(), &end.data["code"]), ("end", &"unauthorized".into()));
    assert!(events.next().is_none());
    app.get("/v1/persons").refused(401, "unauthorized");
    daemon.stop();
}

#[test]
fn nobody_asks_without_a_token_and_a_reader_writes_nothing() {
    let (lab, daemon, app) = story();
    for wrong in ["", "huza_guess", &app.token[1..]] {
        let nobody = App { token: wrong.to_owned(), ..app.clone() };
        for path in ["/v1/persons", "/v1/openapi.json", "/v1/nothing"] {
            let refused = nobody.get(path);
            refused.refused(401, "unauthorized");
            assert!(refused.header("www-authenticate").starts_with("Bearer"));
        }
        assert_eq!(nobody.get("/fhir/metadata").is(401)["resourceType"], "OperationOutcome");
    }
    let reports = token(&lab, "phone", &["reports", "--read-only"]);
    let reports = App { token: reports, ..app.clone() };
    reports.get("/v1/persons").is(200);
    let body = json!({ "fields": { "name/given": "A" } });
    reports.send("POST", "/v1/persons", &body).refused(403, "read_only");
    assert_eq!(app.get("/v1/persons").is(200)["records"], json!([]));
    let listed = lab.ask("phone", &["app", "list"]);
    assert_eq!(listed["apps"][1]["read_only"], true);
    assert!(!listed.to_string().contains(&app.token));
    lab.on("phone", &["app", "add", "clinic"]).failed(3, &["already"]);
    lab.on("phone", &["app", "remove", "none"]).failed(3, &["no app"]);
    daemon.stop();
}

#[test]
fn a_locked_device_shows_an_app_nothing_and_says_what_to_do() {
    let lab = Lab::new();
    let secret = lab.protected("phone", "worker", &["01"]);
    let token = token(&lab, "phone", &["clinic"]);
    let (daemon, port) = serve(&lab, "phone", &[]);
    let app = App::new(port, &token);
    let body = json!({ "fields": { "name/given": "Immaculee" } });
    let nobody = "/v1/persons/00000000-0000-4000-8000-000000000000";
    for path in
        ["/v1/persons", nobody, "/v1/conflicts", "/v1/reminders", "/v1/changes", "/v1/status"]
    {
        app.get(path).refused(423, "locked");
    }
    app.get(&format!("{nobody}/receipts")).refused(423, "locked");
    app.send("POST", "/v1/persons", &body).refused(423, "locked");
    let outcome = app.get("/fhir/Patient").is(423);
    assert_eq!(outcome["issue"][0]["details"]["coding"][0]["code"], "locked");

    lab.on("phone", &["unlock", "--passphrase-file", &secret]).done();
    app.send("POST", "/v1/persons", &body).is(201);
    let mut events = app.follow(None);
    assert_eq!(events.next().unwrap().name, "ready");
    lab.on("phone", &["lock"]).done();
    let end = events.next().unwrap();
    assert_eq!((end.name.as_str(), &end.data["code"]), ("end", &"locked".into()));
    app.get("/v1/persons").refused(423, "locked");
    daemon.stop();
}

#[test]
fn an_app_that_asks_too_often_or_too_much_is_told_so() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    settings(&lab, "phone", "listen = \"127.0.0.1:0\"\nrequests_per_second = 2");
    let (busy, calm) = (token(&lab, "phone", &["busy"]), token(&lab, "phone", &["calm"]));
    let (daemon, port) = serve(&lab, "phone", &[]);
    let (busy, calm) = (App::new(port, &busy), App::new(port, &calm));
    let answers: Vec<_> = (0..12).map(|_| busy.get("/v1/forms")).collect();
    assert!(answers.iter().any(|one| one.status == 200));
    let refused = answers.iter().find(|one| one.status == 429).expect("12 at once are too many");
    refused.refused(429, "too_many_requests");
    assert_eq!(refused.header("retry-after"), "1");
    calm.get("/v1/forms").is(200);
    std::thread::sleep(Duration::from_millis(1_100));
    busy.get("/v1/forms").is(200);
    let long = json!({ "fields": { "name/given": "x".repeat(2_200_000) } });
    calm.send("POST", "/v1/persons", &long).refused(413, "too_large");
    assert_eq!(calm.get("/v1/persons").is(200)["records"], json!([]));
    daemon.stop();
}

#[test]
fn pages_of_other_sites_and_names_that_are_not_known_are_turned_away() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    let text =
        "listen = \"127.0.0.1:0\"\norigins = [\"https://app.example\"]\nhosts = [\"phone.clinic\"]";
    settings(&lab, "phone", text);
    let token = token(&lab, "phone", &["clinic"]);
    let (daemon, port) = serve(&lab, "phone", &[]);
    let app = App::new(port, &token);
    let as_host = |host: &str| App { host: host.to_owned(), ..app.clone() };
    as_host("evil.example").get("/v1/persons").refused(421, "wrong_host");
    as_host(&format!("localhost:{port}")).get("/v1/persons").is(200);
    as_host("phone.clinic").get("/v1/persons").is(200);
    let page = |origin| app.ask("GET", "/v1/persons", &[("origin", origin)], "");
    page("https://evil.example").refused(403, "origin");
    page("null").refused(403, "origin");
    let known = page("https://app.example");
    known.is(200);
    assert_eq!(known.header("access-control-allow-origin"), "https://app.example");
    assert_eq!(app.get("/v1/persons").header("access-control-allow-origin"), "");
    // What a browser asks first comes without a token.
    let browser = App { token: String::new(), ..app.clone() };
    let preflight = browser.ask("OPTIONS", "/v1/persons", &[("origin", "https://app.example")], "");
    assert_eq!(preflight.status, 204, "{preflight:?}");
    assert!(preflight.header("access-control-allow-headers").contains("authorization"));
    browser
        .ask("GET", "/v1/persons", &[("origin", "https://app.example")], "")
        .refused(401, "unauthorized");
    daemon.stop();
}

#[test]
fn apps_are_served_on_this_device_alone_unless_more_is_allowed_by_name() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    // Of no machine: without the check it fails, and serves nobody.
    lab.on("phone", &["run", "--http", "192.0.2.1:7071"]).failed(3, &["allow_network"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    lab.on("phone", &["run", "--no-mdns", "--listen", "127.0.0.1:0", "--http", &address])
        .failed(6, &["listen for apps", &address]);
    settings(&lab, "phone", &format!("listen = {address:?}"));
    let mut pipe = support::command();
    let pipe = pipe.args(["pipe", "--home"]).arg(lab.path("phone")).output().unwrap();
    assert_eq!(pipe.status.code(), Some(7), "a line that is cut, and no door: {pipe:?}");
    settings(&lab, "phone", "listen = \"0.0.0.0:0\"\nallow_network = true");
    let token = token(&lab, "phone", &["clinic"]);
    let mut daemon = lab.run("phone", None);
    let address = daemon.wait("http_listening")["address"].as_str().unwrap().to_owned();
    daemon.wait("started");
    let port = address.strip_prefix("0.0.0.0:").unwrap().parse().unwrap();
    App::new(port, &token).get("/v1/persons").is(200);
    daemon.stop();
}

#[test]
fn a_connection_that_says_nothing_or_nonsense_holds_up_nobody() {
    use std::io::{Read as _, Write as _};
    let (_lab, daemon, app) = story();
    let mut nonsense = std::net::TcpStream::connect(("127.0.0.1", app.port)).unwrap();
    nonsense.write_all(b"\x16\x03\x01 hello\r\n\r\n").unwrap();
    let mut answer = String::new();
    nonsense.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer:?}");
    let silent: Vec<_> =
        (0..20).map(|_| std::net::TcpStream::connect(("127.0.0.1", app.port)).unwrap()).collect();
    app.get("/v1/persons").is(200);
    let streams: Vec<_> = (0..8).map(|_| app.follow(None)).collect();
    let one_more = app.ask("GET", "/v1/changes", &[("accept", "text/event-stream")], "");
    one_more.refused(503, "too_many_streams");
    drop((silent, streams));
    daemon.stop();
}
