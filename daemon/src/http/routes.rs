//! Every address, by its method: the table from which requests are served and which `openapi.json`
//! describes.

use futures::FutureExt as _;
use hyper::Method;
use percent_encoding::percent_decode_str;

use super::{
    call::{Answered, Call},
    changes, fhir, lists, persons,
    problem::Problem,
    visits,
};

/// What an app needs for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// One address and method.
pub(super) struct Route {
    pub(super) method: Method,
    /// Segments in braces stand for anything.
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) handle: fn(Call) -> Answered,
}

/// `Route`s, one a line: method, path, access, handler.
macro_rules! routes {
    ($($method:ident $path:literal $access:ident $handle:path;)*) => {
        vec![$(Route {
            method: Method::$method,
            path: $path,
            access: Access::$access,
            handle: |call| $handle(call).boxed(),
        }),*]
    };
}

/// All of them; where two fit, the first counts.
pub(super) fn all() -> Vec<Route> {
    routes! {
        GET "/v1/openapi.json" Read lists::openapi;
        GET "/v1/status" Read lists::status;
        GET "/v1/persons" Read persons::list;
        POST "/v1/persons" Write persons::add;
        GET "/v1/persons/{record}" Read persons::show;
        PATCH "/v1/persons/{record}" Write persons::set;
        GET "/v1/persons/{record}/visits" Read visits::list;
        POST "/v1/persons/{record}/visits" Write visits::add;
        POST "/v1/persons/{record}/visits/{visit}/void" Write visits::void;
        GET "/v1/persons/{record}/conflicts" Read persons::conflicts;
        GET "/v1/persons/{record}/receipts" Read persons::receipts;
        GET "/v1/conflicts" Read lists::conflicts;
        GET "/v1/reminders" Read lists::reminders;
        GET "/v1/forms" Read lists::forms;
        GET "/v1/forms/{form}" Read lists::form;
        GET "/v1/changes" Read changes::changes;
        GET "/fhir/metadata" Read fhir::metadata;
        GET "/fhir/Patient" Read fhir::people;
        POST "/fhir/Patient" Write fhir::create_patient;
        GET "/fhir/{type}" Read fhir::search;
        POST "/fhir/{type}" Write fhir::create;
        GET "/fhir/{type}/{id}" Read fhir::read;
        PUT "/fhir/{type}/{id}" Write fhir::update;
    }
}

/// The route for a request, and what its braces stand for.
pub(super) fn find<'r>(
    routes: &'r [Route],
    method: &Method,
    path: &str,
) -> Result<(&'r Route, Vec<String>), Problem> {
    let mut fitting = routes.iter().filter_map(|route| Some((route, matches(route.path, path)?)));
    let Some((first, filled)) = fitting.next() else {
        let hint = "`/v1/openapi.json` lists them, `/fhir/metadata` those of FHIR";
        return Err(Problem::new("not_found", "there is no such address", hint));
    };
    if first.method == *method {
        return Ok((first, filled));
    }
    let same: Vec<(&Route, Vec<String>)> =
        fitting.filter(|(route, _)| route.path == first.path).collect();
    if let Some((route, filled)) = same.iter().find(|(route, _)| route.method == *method) {
        return Ok((route, filled.clone()));
    }
    let allowed = core::iter::once(first).chain(same.iter().map(|(route, _)| *route));
    let allowed: Vec<&str> = allowed.map(|route| route.method.as_str()).collect();
    let allowed = allowed.join(", ");
    let hint = format!("it knows {allowed}");
    let problem =
        Problem::new("method_not_allowed", "the address does not know this method", &hint);
    Err(problem.with("allow", allowed))
}

/// What the braces of `pattern` stand for, if `path` fits it.
fn matches(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut filled = Vec::new();
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(filled),
            (Some(want), Some(is)) if want.starts_with('{') && !is.is_empty() => {
                filled.push(percent_decode_str(is).decode_utf8().ok()?.into_owned());
            }
            (Some(want), Some(is)) if want == is => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn a_path_finds_its_route_and_what_stands_for_the_braces() {
        let routes = all();
        let find = |method: Method, path: &str| {
            find(&routes, &method, path).map(|(route, filled)| (route.path, filled))
        };
        assert_eq!(find(Method::GET, "/v1/persons").unwrap(), ("/v1/persons", vec![]));
        let (path, filled) = find(Method::POST, "/v1/persons/a%20b/visits/7/void").unwrap();
        assert_eq!(path, "/v1/persons/{record}/visits/{visit}/void");
        assert_eq!(filled, ["a b", "7"]);
        assert_eq!(find(Method::GET, "/fhir/metadata").unwrap().0, "/fhir/metadata");
        assert_eq!(find(Method::GET, "/fhir/Patient").unwrap().0, "/fhir/Patient");
        assert_eq!(find(Method::GET, "/fhir/Flag").unwrap().0, "/fhir/{type}");
        for nowhere in ["/", "/v1", "/v1/persons/", "/v1/persons//visits", "/v2/persons"] {
            assert_eq!(find(Method::GET, nowhere).unwrap_err().code, "not_found", "{nowhere}");
        }
        let wrong = find(Method::DELETE, "/v1/persons").unwrap_err();
        assert_eq!(wrong.code, "method_not_allowed");
        assert_eq!(wrong.headers, [("allow", "GET, POST".to_owned())]);
    }

    #[test]
    fn the_document_describes_every_route_and_no_other() {
        let document: Value = serde_json::from_str(super::super::OPENAPI).unwrap();
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            let methods = methods.as_object().unwrap().keys().filter(|key| *key != "parameters");
            described.extend(methods.map(|method| (path.clone(), method.to_uppercase())));
        }
        let served =
            all().into_iter().map(|route| (route.path.to_owned(), route.method.to_string()));
        assert_eq!(described, served.collect());
    }

    #[test]
    fn the_document_names_every_type_of_fhir_with_what_may_be_done() {
        let document: Value = serde_json::from_str(super::super::OPENAPI).unwrap();
        let types = |path: &str, method: &str| -> BTreeSet<String> {
            let all = document["paths"][path][method]["parameters"].as_array().unwrap();
            let named = all.iter().find(|one| one["name"] == "type").unwrap();
            let named = named["schema"]["enum"].as_array().unwrap().iter();
            named.map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        let (all, written) = (fhir::names(false), fhir::names(true));
        assert_eq!(types("/fhir/{type}/{id}", "get"), all);
        assert_eq!(types("/fhir/{type}/{id}", "put"), written);
        // Patients have addresses of their own there.
        let but =
            |all: &BTreeSet<String>| all.iter().filter(|one| *one != "Patient").cloned().collect();
        assert_eq!(types("/fhir/{type}", "get"), but(&all));
        assert_eq!(types("/fhir/{type}", "post"), but(&written));
    }

    #[test]
    fn the_document_and_the_guide_list_every_code() {
        use crate::http::problem::CODES;
        let document: Value = serde_json::from_str(super::super::OPENAPI).unwrap();
        let listed = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
        let listed: Vec<&str> =
            listed.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        assert_eq!(listed, CODES.map(|(code, _, _)| code));
        let guide = include_str!("../../../docs/api.md");
        for (code, status, title) in CODES {
            let row = format!("| `{code}` | {status} | {title} |");
            assert!(guide.contains(&row), "docs/api.md has no row {row}");
        }
    }
}
