//! `huza import --from eheza`: what is taken of E-Heza's tables, and what of them is left out, with the line.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::Lab;

const PEOPLE: &str = "\
id,title,field_first_name,field_second_name,field_gender,field_birth_date,field_birth_date_estimated,field_ubudehe,field_province,field_district,field_sector,field_cell,field_village
6,Uwase Aline,Aline,Uwase,female,1995-12-31,,3,North,Gakenke,Coko,Mbirima,Akanduga
7,Keza Ines,Ines,Keza,female,2021-01-31,1,,North,Gakenke,Muhondo,Busake,Busake
8,Far Away,Away,Far,male,1990-01-01,,,South,Huye,Ngoma,Matyazo,Matyazo
9,No Place,Place,No,male,1990-01-01,,,,,,,
10,Bad Date,Date,Bad,male,1990-02-30,,,North,Gakenke,Coko,Mbirima,Akanduga
11,Short,Row
12,Odd Sex,Sex,Odd,blue,1990-01-01,,,North,Gakenke,Coko,Mbirima,Akanduga
6,Uwase Aline,Aline,Uwase,female,1995-12-31,,3,North,Gakenke,Coko,Mbirima,Akanduga
13,Other Centre,Centre,Other,male,1990-01-01,,,West,Rusizi,Bugarama,Nyange,Muko
";

const MUAC: &str = "\
id,field_person,field_date_measured,field_nurse,created,field_session,field_muac
1,6,2023-01-13,191,1592244289,209,26.50
2,7,2023-01-13,191,1592244289,209,14
3,7,2020-01-13,191,1592244289,209,14
4,99,2023-01-13,191,1592244289,209,14
5,6,2023-01-13,191,1592244289,209,260
6,6,2023-01-13,191,1592244289,209,wide
7,8,2023-01-13,191,1592244289,209,26
";

const NUTRITION: &str = "\
id,field_person,field_date_measured,field_nurse,created,field_session,field_nutrition_signs
1,7,2023-01-13,191,1592244289,209,edema|dry-skin|edema
2,6,2023-01-13,191,1592244289,209,none|none
3,6,2023-01-13,191,1592244289,209,none|edema
";

const LMP: &str = "\
id,field_person,field_date_measured,field_prenatal_encounter,field_last_menstrual_period,field_confident
1,6,2023-01-13,1,2022-12-01,0
2,6,2023-01-13,1,2023-12-01,1
";

const RELATIONSHIP: &str = "id,field_person,field_related_by,field_related_to,created\n98,6,parent,7,1592244289\n99,8,parent,7,1592244289\n";

const AREAS: &str = "\
area,province,district,sector,cell,village
0512/01,North,Gakenke,Coko,,
0512/02,north,Gakenke,,,Busake
0777/01,West,,,,
";

fn write(folder: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

fn lab() -> Lab {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01", "02"]);
    let tables = [
        ("person_here.csv", PEOPLE),
        ("muac.csv", MUAC),
        ("nutrition.csv", NUTRITION),
        ("last_menstrual_period.csv", LMP),
        ("relationship.csv", RELATIONSHIP),
        ("geolocations.csv", "North,Gakenke,Coko\n"),
    ];
    write(&lab.path("tables"), &tables);
    write(&lab.path("."), &[("areas.csv", AREAS)]);
    lab
}

/// Imports, and gives the answer with the exit code.
fn import(lab: &Lab, folder: &Path, areas: &Path) -> (Value, i32) {
    let (folder, areas) = (folder.to_str().unwrap(), areas.to_str().unwrap());
    let answer =
        lab.on("phone", &["import", "--from", "eheza", folder, "--areas", areas, "--json"]);
    (answer.json(), answer.code)
}

fn exported(lab: &Lab) -> Vec<Value> {
    let export = lab.on("phone", &["export"]).done().stdout;
    export.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn good_rows_are_taken_and_every_other_is_listed_with_line_and_reason() {
    let lab = lab();
    let (told, code) = import(&lab, &lab.path("tables"), &lab.path("areas.csv"));
    assert_eq!(code, 7, "{told:#}");
    assert_eq!(told["areas"], json!({ "0512/01": 4, "0512/02": 4 }));
    assert_eq!(told["not_taken"], json!(["geolocations.csv"]));
    let counts = |rows, new, left_out| json!({ "rows": rows, "new": new, "unchanged": 0, "left_out": left_out });
    assert_eq!(told["tables"]["person_here.csv"], counts(9, 2, 7));
    assert_eq!(told["tables"]["muac.csv"], counts(7, 2, 5));
    assert_eq!(told["tables"]["nutrition.csv"], counts(3, 2, 1));
    let left_out = |file: &str| -> Vec<(u64, String)> {
        let all = told["problems"].as_array().unwrap().iter().filter(|one| one["file"] == file);
        all.map(|one| (one["line"].as_u64().unwrap(), one["reason"].as_str().unwrap().to_owned()))
            .collect()
    };
    let expect = |file: &str, expected: &[(u64, &str)]| {
        let found = left_out(file);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((line, reason), (at, part)) in found.iter().zip(expected) {
            assert!(line == at && reason.contains(part), "{line}: {reason}; not {at}: {part}");
        }
    };
    expect(
        "person_here.csv",
        &[
            (4, "no area is said for Matyazo, Matyazo, Ngoma, Huye, South"),
            (5, "no place is said"),
            (6, "1990-02-30 is no date"),
            (7, "3 values where the head has 13"),
            (8, "blue is neither"),
            (9, "person 6 is in an earlier row"),
            (10, "does not read area 0777/01"),
        ],
    );
    expect(
        "muac.csv",
        &[
            (4, "before the person was born"),
            (5, "person 99 is not here"),
            (6, "260 cm cannot be"),
            (7, "wide is not a number"),
            (8, "person 8 is not here, or could not be placed"),
        ],
    );
    expect("nutrition.csv", &[(4, "none, and signs as well")]);
    expect("last_menstrual_period.csv", &[(3, "after the day it was asked")]);
    expect("relationship.csv", &[(3, "person 8")]);

    let all = exported(&lab);
    assert_eq!(all.len(), 8);
    let one = |id: &str| all.iter().find(|one| one["id"] == id).unwrap();
    assert_eq!(one("6")["name"], json!([{ "family": "Uwase", "given": ["Aline"] }]));
    assert_eq!(one("6")["address"][0]["line"], json!(["Akanduga"]));
    assert_eq!(one("6")["extension"][0]["valueString"], "3");
    assert_eq!(one("7")["_birthDate"]["extension"][0]["valueBoolean"], true);
    assert_eq!(one("7")["birthDate"], "2021-01-31");
    assert_eq!(one("muac-1")["subject"]["reference"], "Patient/6");
    assert_eq!(one("nutrition-1")["component"].as_array().unwrap().len(), 2, "none twice");
    assert_eq!(one("nutrition-2")["valueCodeableConcept"]["text"], "none");
    assert_eq!(one("relationship-98")["patient"]["reference"], "Patient/7");
    let text = lab.on("phone", &["export"]).done().stdout;
    assert!(text.contains("\"value\":26.50"), "digits stay");
    assert!(
        !text.lines().any(|line| line.contains("RelatedPerson") && line.contains("Uwase")),
        "a number alone"
    );

    // The measurement stands in the record of its person, in the area of that.
    let found = lab.ask("phone", &["person", "find", "Keza"]);
    let shown =
        lab.ask("phone", &["person", "show", found["records"][0]["record"].as_str().unwrap()]);
    assert_eq!(found["records"][0]["area"], "0512/02");
    let keys: Vec<&String> = shown["resources"].as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 4, "{keys:?}");

    // Again: nothing is new. One row mended: that one is.
    let before = exported(&lab);
    let (again, _) = import(&lab, &lab.path("tables"), &lab.path("areas.csv"));
    let sum = |told: &Value, what: &str| -> u64 {
        told["tables"].as_object().unwrap().values().map(|one| one[what].as_u64().unwrap()).sum()
    };
    assert_eq!((sum(&again, "new"), sum(&again, "unchanged")), (0, 8));
    assert_eq!(exported(&lab), before);
    write(&lab.path("tables"), &[("muac.csv", &MUAC.replace("209,wide", "209,27"))]);
    let (mended, _) = import(&lab, &lab.path("tables"), &lab.path("areas.csv"));
    assert_eq!((sum(&mended, "new"), sum(&mended, "unchanged")), (1, 8));
}

#[test]
fn a_table_of_areas_that_is_wrong_imports_nothing() {
    let lab = lab();
    let tables = lab.path("tables");
    let tables = tables.to_str().unwrap();
    let wrong = [
        ("area,village\n0512,Busake\n", "line 2: 0512 is no area"),
        ("area,village\n0512/01,\n", "line 2: it names no place"),
        ("village\nBusake\n", "no column area"),
        ("area,village\n0512/01,Busake,more\n", "3 values"),
        ("area,village\n", "no area in it"),
    ];
    for (text, why) in wrong {
        write(&lab.path("."), &[("wrong.csv", text)]);
        let areas = lab.path("wrong.csv");
        let args = ["import", "--from", "eheza", tables, "--areas", areas.to_str().unwrap()];
        lab.on("phone", &args).failed(3, &[why]);
    }
    let areas = lab.path("areas.csv");
    let areas = areas.to_str().unwrap();
    write(&lab.path("empty"), &[]);
    let empty = lab.path("empty");
    lab.on("phone", &["import", "--from", "eheza", empty.to_str().unwrap(), "--areas", areas])
        .failed(3, &["no table of people"]);
    lab.on("phone", &["import", "x.json", "--areas", areas]).failed(2, &["--from eheza"]);
    assert_eq!(
        lab.on("phone", &["import", "--from", "eheza", tables]).code,
        2,
        "--areas is needed"
    );
    assert!(exported(&lab).is_empty());
}

/// The demonstration tables, where they are. `HUZA_FHIR_OUT` names a directory for what comes of them.
#[test]
fn the_demonstration_tables_are_in_the_export_row_by_row() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var_os("HUZA_SHARED").map_or_else(beside, PathBuf::from);
    let folder = shared.join("data/eheza");
    if !folder.is_dir() {
        assert!(
            std::env::var_os("HUZA_SHARED_REQUIRED").is_none(),
            "{} is absent",
            folder.display()
        );
        println!("skipped: {} is absent", folder.display());
        return;
    }
    let lab = lab();
    write(
        &lab.path("."),
        &[(
            "areas.csv",
            "area,district,sector,cell,village\n0512/01,Gakenke,Coko,Mbirima,Akanduga\n0512/02,Gakenke,Muhondo,Busake,Busake\n",
        )],
    );
    let (told, code) = import(&lab, &folder, &lab.path("areas.csv"));
    assert_eq!(code, 7);
    println!("{}", told["tables"]);
    let tables = told["tables"].as_object().unwrap();
    let all = exported(&lab);
    let mut new = 0;
    for (file, counts) in tables {
        let of = |what: &str| counts[what].as_u64().unwrap();
        assert_eq!(of("rows"), of("new") + of("left_out"), "{file}: every row is taken or listed");
        new += of("new");
    }
    assert_eq!(u64::try_from(all.len()).unwrap(), new, "what was taken is there");
    assert_eq!(
        tables["person_rwanda.csv"],
        json!({ "rows": 86, "new": 85, "unchanged": 0, "left_out": 1 })
    );
    let listed = told["problems"].as_array().unwrap();
    assert!(
        listed
            .iter()
            .any(|one| one["line"] == 83 && one["reason"].as_str().unwrap().contains("no place")),
        "{listed:#?}"
    );
    // Whoever shares a family name and a birth date is not one person.
    let offered = lab.ask("phone", &["duplicates"]);
    println!("offered as duplicates: {}", offered["pairs"]);
    assert!(offered["pairs"].as_array().unwrap().len() <= 1, "{offered:#}");
    let Some(out) = std::env::var_os("HUZA_FHIR_OUT") else { return };
    std::fs::write(
        Path::new(&out).join("eheza.ndjson"),
        lab.on("phone", &["export"]).done().stdout,
    )
    .unwrap();
}
