//! What is kept and what is not.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, StatusCode};

use super::{Asker, Exchange, Keeping, Refused, keep};
use crate::cache::policy::{Rules, Statuses};
use crate::cache::query::Glob;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

fn kept(
    rules: &Rules,
    asker: Asker,
    status: u16,
    fields: &[(&str, &str)],
) -> Result<Keeping, Refused> {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let exchange = Exchange {
        asked: now(),
        arrived: now(),
    };
    keep(
        rules,
        asker,
        StatusCode::from_u16(status).unwrap(),
        &map,
        exchange,
    )
}

fn lifetime(rules: &Rules, asker: Asker, fields: &[(&str, &str)]) -> Result<u64, Refused> {
    kept(rules, asker, 200, fields).map(|keeping| keeping.times.lifetime.as_secs())
}

const ANYBODY: Asker = Asker {
    authorization: false,
    cookie: false,
};
const SIGNED_IN: Asker = Asker {
    authorization: true,
    cookie: false,
};
const WITH_COOKIE: Asker = Asker {
    authorization: false,
    cookie: true,
};

fn minute() -> Rules {
    Rules {
        ttl: Some(Duration::from_mins(1)),
        ..Rules::default()
    }
}

#[test]
fn the_origin_comes_before_the_route() {
    let rules = minute();
    assert_eq!(lifetime(&rules, ANYBODY, &[]), Ok(60));
    assert_eq!(
        lifetime(&rules, ANYBODY, &[("cache-control", "max-age=5")]),
        Ok(5)
    );
    assert_eq!(
        lifetime(&rules, ANYBODY, &[("cache-control", "no-store")]),
        Err(Refused::NoStore)
    );
    assert_eq!(
        lifetime(&rules, ANYBODY, &[("cache-control", "private")]),
        Err(Refused::Private)
    );
    assert_eq!(
        lifetime(&rules, ANYBODY, &[("vary", "*")]),
        Err(Refused::Vary)
    );
    let targeted = [
        ("cdn-cache-control", "max-age=7"),
        ("cache-control", "no-store"),
    ];
    assert_eq!(lifetime(&rules, ANYBODY, &targeted), Ok(7));
    let empty = [("cdn-cache-control", ""), ("cache-control", "no-store")];
    assert_eq!(lifetime(&rules, ANYBODY, &empty), Err(Refused::NoStore));
}

#[test]
fn ttl_is_never_for_what_may_be_personal() {
    let rules = minute();
    assert_eq!(lifetime(&rules, WITH_COOKIE, &[]), Err(Refused::NoLifetime));
    assert_eq!(
        lifetime(&rules, SIGNED_IN, &[]),
        Err(Refused::Authorization)
    );
    assert_eq!(
        lifetime(&rules, ANYBODY, &[("set-cookie", "a=b")]),
        Err(Refused::SetCookie)
    );
    let explicit = [("cache-control", "max-age=5")];
    assert_eq!(
        lifetime(&rules, SIGNED_IN, &explicit),
        Err(Refused::Authorization)
    );
    for allowed in [
        "max-age=5, public",
        "s-maxage=5",
        "max-age=5, must-revalidate",
    ] {
        assert_eq!(
            lifetime(&rules, SIGNED_IN, &[("cache-control", allowed)]),
            Ok(5)
        );
    }
    let public = [
        ("set-cookie", "a=b"),
        ("cache-control", "public, max-age=5"),
    ];
    assert_eq!(lifetime(&rules, ANYBODY, &public), Ok(5));
    let sloppy = [("set-cookie", "a=b"), ("cache-control", "max-age=5")];
    assert_eq!(lifetime(&rules, ANYBODY, &sloppy), Err(Refused::SetCookie));
    let forced = Rules {
        ttl_override: Some(Duration::from_mins(1)),
        ..Rules::default()
    };
    assert_eq!(
        lifetime(&forced, WITH_COOKIE, &[]),
        Err(Refused::NoLifetime)
    );
    assert_eq!(
        lifetime(&forced, ANYBODY, &[("cache-control", "max-age=5")]),
        Ok(60)
    );
    assert_eq!(
        lifetime(&forced, ANYBODY, &[("cache-control", "no-store")]),
        Err(Refused::NoStore)
    );
}

#[test]
fn ignored_cookies_are_not_kept() {
    let rules = Rules {
        ignored_cookies: vec![Glob::new("_ga*")],
        ..minute()
    };
    let keeping = kept(&rules, ANYBODY, 200, &[("set-cookie", "_ga1=b; path=/")]).unwrap();
    assert_eq!(keeping.without, [http::header::SET_COOKIE]);
    let both = [("set-cookie", "_ga1=b"), ("set-cookie", "session=b")];
    assert_eq!(kept(&rules, ANYBODY, 200, &both), Err(Refused::SetCookie));
}

#[test]
fn a_status_needs_a_reason_to_be_kept() {
    let rules = Rules {
        ttl_by_status: vec![(
            Statuses {
                first: 404,
                last: 404,
            },
            Duration::from_secs(5),
        )],
        ..minute()
    };
    assert!(kept(&rules, ANYBODY, 404, &[]).is_ok());
    assert_eq!(kept(&rules, ANYBODY, 500, &[]), Err(Refused::NoLifetime));
    let explicit = [("cache-control", "max-age=5")];
    assert!(kept(&rules, ANYBODY, 599, &explicit).is_ok());
    assert_eq!(kept(&rules, ANYBODY, 206, &explicit), Err(Refused::Status));
    let understand = [("cache-control", "max-age=5, must-understand, no-store")];
    assert_eq!(
        kept(&rules, ANYBODY, 599, &understand),
        Err(Refused::NotUnderstood)
    );
    assert!(kept(&rules, ANYBODY, 200, &understand).is_ok());
}

#[test]
fn what_is_stale_at_once_needs_a_validator() {
    let rules = Rules::default();
    assert_eq!(
        lifetime(&rules, ANYBODY, &[("cache-control", "max-age=0")]),
        Err(Refused::Useless)
    );
    assert_eq!(lifetime(&rules, ANYBODY, &[]), Err(Refused::NoLifetime));
    let tagged = [("cache-control", "no-cache"), ("etag", "\"a\"")];
    assert_eq!(lifetime(&rules, ANYBODY, &tagged), Ok(0));
}
