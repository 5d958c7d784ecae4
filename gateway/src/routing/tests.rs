//! The router against a naive search, over random tables and random requests.

use proptest::prelude::*;

use super::*;

mod naive;
mod table;

use naive::Naive;
use table::{Ask, asks, specs};

fn planted(specs: &[RouteSpec]) -> Router {
    Router {
        hosts: Hosts::plant(specs),
    }
}

fn spec(id: u32, line: &str) -> RouteSpec {
    let matcher = Matcher::parse_line(line).unwrap();
    RouteSpec {
        id,
        matcher,
        guards: Guards::NONE,
    }
}

fn find(router: &Router, method: &str, host: &str, path: &str) -> Found {
    let ask = Ask::new(method, host, path);
    ask.request(|request| router.find(request, &mut Captures::default()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn finds_what_a_naive_search_finds(specs in specs(), asks in asks()) {
        let router = planted(&specs);
        for ask in &asks {
            let mut captures = Captures::default();
            let found = ask.request(|request| router.find(request, &mut captures));
            let naive = Naive::find(&specs, ask);
            prop_assert_eq!(&found, &naive.found, "{:?}", ask);
            let values: Vec<(String, String)> = captures
                .iter()
                .map(|(_, name, _)| {
                    let value = captures.value(name, &ask.host, &ask.path).unwrap();
                    (name.to_owned(), value.to_owned())
                })
                .collect();
            prop_assert_eq!(values, naive.captures, "{:?}", ask);
        }
    }

    #[test]
    fn listening_changes_nothing(specs in specs(), asks in asks()) {
        let router = planted(&specs);
        for ask in &asks {
            let mut trace = Trace::default();
            let (silent, traced) = ask.request(|request| {
                let silent = router.find(request, &mut Captures::default());
                (silent, router.find_traced(request, &mut Captures::default(), &mut trace))
            });
            prop_assert_eq!(&silent, &traced);
            let chosen: Vec<u32> = trace.candidates.iter()
                .filter(|(_, verdict)| *verdict == Verdict::Chosen)
                .map(|(id, _)| *id)
                .collect();
            match silent {
                Found::Route(id) => prop_assert_eq!(chosen, vec![id]),
                Found::MethodNotAllowed(_) | Found::NotFound | Found::Ambiguous { .. } => {
                    prop_assert!(chosen.is_empty());
                }
            }
        }
    }

    #[test]
    fn order_of_routes_means_nothing_without_conflicts(specs in specs(), asks in asks()) {
        let Ok(router) = Router::build(&specs) else { return Ok(()) };
        let reversed: Vec<_> = specs.iter().rev().cloned().collect();
        let backwards = Router::build(&reversed).unwrap();
        for ask in &asks {
            let found = ask.request(|request| router.find(request, &mut Captures::default()));
            let other = ask.request(|request| backwards.find(request, &mut Captures::default()));
            let ambiguous = matches!(found, Found::Ambiguous { .. });
            prop_assert!(found == other || ambiguous, "{:?}", ask);
        }
    }

    #[test]
    fn conflicts_tell_the_truth(specs in specs(), asks in asks()) {
        let conflicts = Router::build(&specs).err().unwrap_or_default();
        let router = planted(&specs);
        for ask in &asks {
            let mut trace = Trace::default();
            let found = ask.request(|request| {
                router.find_traced(request, &mut Captures::default(), &mut trace)
            });
            let Found::Route(to) = found else { continue };
            let reached = conflicts.iter()
                .any(|one| matches!(one, Conflict::Unreachable { route, .. } if *route == to));
            let tied = conflicts.iter().any(|one| matches!(one, Conflict::Tie { .. }));
            prop_assert!(!reached || tied, "route {} is reached by {:?}", to, ask);
            let failed = trace.candidates.iter()
                .filter(|(_, verdict)| matches!(verdict, Verdict::Condition { .. }))
                .map(|(from, _)| *from);
            for from in failed {
                lost_guards_are_reported(&specs, &conflicts, from, to)?;
            }
        }
    }
}

fn lost_guards_are_reported(
    specs: &[RouteSpec],
    conflicts: &[Conflict],
    from: u32,
    to: u32,
) -> Result<(), TestCaseError> {
    let by_id = |id| {
        specs
            .iter()
            .find(|spec: &&RouteSpec| spec.id == id)
            .unwrap()
    };
    let (one, other) = (by_id(from), by_id(to));
    if naive::disjoint(&one.matcher, &other.matcher) {
        return Ok(());
    }
    for lost in one.guards.missing_in(other.guards) {
        let told = conflicts.iter().any(|conflict| {
            matches!(conflict, Conflict::FallThroughLoses { from: known, guard, .. }
                if *known == from && *guard == lost)
        });
        prop_assert!(
            told,
            "{} falls to {} and loses {}",
            one.matcher,
            other.matcher,
            lost
        );
    }
    Ok(())
}

#[test]
fn rest_takes_the_path_itself_and_below_but_no_neighbour() {
    let router = planted(&[spec(1, "/a/**")]);
    for path in ["/a", "/a/", "/a/b", "/a/b/c/"] {
        assert_eq!(
            find(&router, "GET", "h.test", path),
            Found::Route(1),
            "{path}"
        );
    }
    for path in ["/", "/ab", "/A", "/b/a"] {
        assert_eq!(
            find(&router, "GET", "h.test", path),
            Found::NotFound,
            "{path}"
        );
    }
}

#[test]
fn goes_back_to_the_next_best_path() {
    let router = planted(&[spec(1, "/a/{x}/c"), spec(2, "/{x}/b/d"), spec(3, "/**")]);
    assert_eq!(find(&router, "GET", "", "/a/b/c"), Found::Route(1));
    assert_eq!(find(&router, "GET", "", "/a/b/d"), Found::Route(2));
    assert_eq!(find(&router, "GET", "", "/a/b/e"), Found::Route(3));
}

#[test]
fn methods_do_not_fall_through() {
    let router = planted(&[spec(1, "GET /a"), spec(2, "PURGE /a"), spec(3, "/**")]);
    let Found::MethodNotAllowed(allow) = find(&router, "POST", "", "/a") else {
        panic!("POST was let through");
    };
    assert_eq!(allow.to_string(), "GET, HEAD, PURGE");
    assert_eq!(find(&router, "HEAD", "", "/a"), Found::Route(1));
    assert_eq!(find(&router, "POST", "", "/b"), Found::Route(3));
}

#[test]
fn less_specific_hosts_are_tried_when_no_path_fits() {
    let router = planted(&[
        spec(1, "a.example.com/x"),
        spec(2, "*.example.com/y"),
        spec(3, "/**"),
    ]);
    assert_eq!(find(&router, "GET", "a.example.com", "/x"), Found::Route(1));
    assert_eq!(find(&router, "GET", "a.example.com", "/y"), Found::Route(2));
    assert_eq!(find(&router, "GET", "a.example.com", "/z"), Found::Route(3));
    assert_eq!(
        find(&router, "GET", "b.a.example.com", "/y"),
        Found::Route(3)
    );
    assert_eq!(find(&router, "GET", ".example.com", "/y"), Found::Route(3));
    assert_eq!(find(&router, "GET", "example.com", "/y"), Found::Route(3));
}

#[test]
fn captures_host_label_segment_and_rest() {
    let router = planted(&[spec(1, "{tenant}.example.com/o/*/{id}/{tail*}")]);
    let ask = Ask::new("GET", "acme.example.com", "/o/x/7/b/c");
    let mut captures = Captures::default();
    let found = ask.request(|request| router.find(request, &mut captures));
    assert_eq!(found, Found::Route(1));
    let value = |name| captures.value(name, &ask.host, &ask.path);
    assert_eq!(value("tenant"), Some("acme"));
    assert_eq!(value("id"), Some("7"));
    assert_eq!(value("tail"), Some("b/c"));
    assert_eq!(value("other"), None);
}

#[test]
fn finds_the_path_with_the_other_slash() {
    let router = planted(&[spec(1, "/a/"), spec(2, "/b"), spec(3, "POST /c")]);
    let other =
        |path: &str| Ask::new("GET", "", path).request(|request| router.find_other_slash(request));
    assert_eq!(other("/a"), Some((1, "/a/".to_owned())));
    assert_eq!(other("/b/"), Some((2, "/b".to_owned())));
    assert_eq!(other("/c/"), None);
    assert_eq!(other("/"), None);
}

#[test]
fn reads_parameters_and_cookies_however_they_are_spelt() {
    use pattern::{Condition, ConditionSource};
    let mut one = spec(1, "/**");
    one.matcher.conditions = vec![
        Condition::parse(ConditionSource::Query, "a b", "x&y").unwrap(),
        Condition::parse(ConditionSource::Cookie, "beta", "*").unwrap(),
    ];
    let router = planted(&[one]);
    let mut ask = Ask::new("GET", "", "/");
    ask.cookies = vec![("alpha".into(), "1".into()), ("beta".into(), "2".into())];
    for (query, fits) in [
        ("a+b=x%26y", true),
        ("%61%20b=x%26y", true),
        ("&&c&a+b=%78%26y&d=", true),
        ("A+b=x%26y", false),
        ("a%2Bb=x%26y", false),
    ] {
        ask.query = Some(query.to_owned());
        let found = ask.request(|request| router.find(request, &mut Captures::default()));
        assert_eq!(found == Found::Route(1), fits, "{query}");
    }
    ask.query = Some("a+b=x%26y&a%20b=x%26y".to_owned());
    let found = ask.request(|request| router.find(request, &mut Captures::default()));
    assert_eq!(
        found,
        Found::Ambiguous {
            source: ConditionSource::Query,
            name: "a b".into()
        }
    );
}
