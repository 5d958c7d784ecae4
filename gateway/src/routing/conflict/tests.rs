//! Each kind of conflict, and its nearest neighbour that is none.

use super::super::pattern::{Condition, ConditionSource, Matcher};
use super::super::{Guards, RouteSpec, Router};
use super::*;

/// Conditions as `x=1`, on headers.
fn route(id: u32, line: &str, conditions: &[&str]) -> RouteSpec {
    let mut matcher = Matcher::parse_line(line).unwrap();
    matcher.conditions = conditions
        .iter()
        .map(|text| {
            let (name, test) = text.split_once('=').unwrap();
            Condition::parse(ConditionSource::Header, name, test).unwrap()
        })
        .collect();
    RouteSpec {
        id,
        matcher,
        guards: Guards::NONE,
    }
}

fn guarded(id: u32, line: &str, conditions: &[&str]) -> RouteSpec {
    RouteSpec {
        guards: Guards::NONE.with(Guard::Auth),
        ..route(id, line, conditions)
    }
}

fn conflicts(specs: &[RouteSpec]) -> Vec<Conflict> {
    Router::build(specs).err().unwrap_or_default()
}

#[test]
fn equal_routes_tie_unless_provably_disjoint() {
    let tie = vec![Conflict::Tie { a: 1, b: 2 }];
    for (one, other, expected) in [
        (route(1, "/a/{x}", &[]), route(2, "/a/{y}", &[]), &tie),
        (route(1, "GET /a", &[]), route(2, "/a", &[]), &tie),
        (route(1, "/a", &["x=1"]), route(2, "/a", &["y=1"]), &tie),
        (route(1, "/a", &["x=1"]), route(2, "/a", &["x=~1|2"]), &tie),
        (route(1, "/a", &["x=*"]), route(2, "/a", &["x=1"]), &tie),
        (route(1, "*.a.com/", &[]), route(2, "{t}.a.com/", &[]), &tie),
        (route(1, "GET /a", &[]), route(2, "POST /a", &[]), &vec![]),
        (route(1, "/a", &["x=1"]), route(2, "/a", &["x=2"]), &vec![]),
        (route(1, "/a", &["x=*"]), route(2, "/a", &["x=!"]), &vec![]),
        (
            route(1, "/a", &["x=1"]),
            route(2, "/a", &["x=~2|3"]),
            &vec![],
        ),
        (route(1, "/a", &[]), route(2, "/a/", &[]), &vec![]),
        (route(1, "/a", &[]), route(2, "/a/**", &[]), &vec![]),
        (route(1, "/a", &[]), route(2, "/a", &["x=1"]), &vec![]),
    ] {
        let text = format!("{} / {}", one.matcher, other.matcher);
        assert_eq!(&conflicts(&[one, other]), expected, "{text}");
    }
}

#[test]
fn a_route_behind_a_full_house_is_out_of_reach() {
    let both = [route(1, "/a", &["x=*"]), route(2, "/a", &["x=!"])];
    let with = |third: RouteSpec| conflicts(&[&both[..], &[third]].concat());
    let expected = vec![Conflict::Unreachable {
        route: 3,
        by: vec![1, 2],
    }];
    assert_eq!(with(route(3, "/a", &[])), expected);
    assert_eq!(with(route(3, "/b", &[])), vec![]);
    assert_eq!(with(route(3, "/{x}", &[])), vec![]);
    let four = [
        route(1, "/a", &["x=*", "y=*"]),
        route(2, "/a", &["x=*", "y=!"]),
        route(3, "GET /a", &["x=!", "y=!"]),
        route(4, "/a", &["x=*"]),
    ];
    assert_eq!(
        conflicts(&four),
        vec![Conflict::Unreachable {
            route: 4,
            by: vec![1, 2]
        }]
    );
}

#[test]
fn falling_through_loses_no_guard() {
    let loses = |to| {
        vec![Conflict::FallThroughLoses {
            from: 1,
            to,
            guard: Guard::Auth,
        }]
    };
    let from = |line| guarded(1, line, &["x=1"]);
    for (specs, expected) in [
        (vec![from("/a"), route(2, "/a", &[])], loses(2)),
        (vec![from("/a"), route(2, "/**", &[])], loses(2)),
        (vec![from("h.test/a"), route(2, "*.test/a", &[])], loses(2)),
        (vec![from("/{p}"), route(2, "*.test/b", &[])], vec![]),
        (vec![from("h.test/{p}"), route(2, "/b", &[])], loses(2)),
        (vec![from("h.test/**"), route(2, "/b/c", &[])], loses(2)),
        // Guarded, more specific, of another method, of another path, or with other conditions.
        (vec![from("/a"), guarded(2, "/**", &[])], vec![]),
        (vec![from("/{p}"), route(2, "/a", &[])], vec![]),
        (vec![from("GET /a"), route(2, "POST /**", &[])], vec![]),
        (vec![from("/a"), route(2, "/b", &[])], vec![]),
        (vec![from("/a"), route(2, "/a", &["x=2"])], vec![]),
        // Something guarded stands between, or the search ends in 405.
        (
            vec![from("/a"), guarded(2, "/a", &[]), route(3, "/**", &[])],
            vec![],
        ),
        (
            vec![
                from("GET /a"),
                guarded(2, "GET /{p}", &[]),
                route(3, "/**", &[]),
            ],
            vec![],
        ),
        (
            vec![
                from("GET /a"),
                guarded(2, "POST /{p}", &[]),
                route(3, "/**", &[]),
            ],
            vec![],
        ),
        (
            vec![from("/a"), guarded(2, "/a", &["y=1"]), route(3, "/a", &[])],
            {
                let second = Conflict::FallThroughLoses {
                    from: 2,
                    to: 3,
                    guard: Guard::Auth,
                };
                [loses(3), vec![Conflict::Tie { a: 1, b: 2 }, second]].concat()
            },
        ),
        // A conditioned route between does not take everything either.
        (
            vec![
                from("/a"),
                guarded(2, "/{p}", &["y=1"]),
                guarded(3, "/**", &[]),
            ],
            vec![],
        ),
        (
            vec![
                from("/a"),
                guarded(2, "/{p}", &["y=1"]),
                route(3, "/**", &[]),
            ],
            {
                let second = Conflict::FallThroughLoses {
                    from: 2,
                    to: 3,
                    guard: Guard::Auth,
                };
                [loses(3), vec![second]].concat()
            },
        ),
        // A narrower route between does not take everything.
        (
            vec![
                from("h.test/{p}"),
                guarded(2, "/b", &[]),
                route(3, "/**", &[]),
            ],
            loses(3),
        ),
        // Without conditions nothing falls.
        (
            vec![guarded(1, "GET /a", &[]), route(2, "/**", &[])],
            vec![],
        ),
    ] {
        let text: Vec<String> = specs.iter().map(|spec| spec.matcher.to_string()).collect();
        let mut expected: Vec<Conflict> = expected;
        expected.sort();
        assert_eq!(conflicts(&specs), expected, "{text:?}");
    }
}
