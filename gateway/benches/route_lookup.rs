//! What finding a route costs as the table grows: it should not depend on the number of routes.

#![expect(clippy::expect_used, reason = "a bench with a broken table must stop")]

use divan::{AllocProfiler, Bencher, black_box};
use gateway::routing::path::{PathPolicy, normalise};
use gateway::routing::pattern::Matcher;
use gateway::routing::{Captures, Found, Guards, RouteRequest, RouteSpec, Router};
use http::{HeaderMap, Method};

/// Shows in the report whether a lookup allocates: it must not.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const SIZES: [u32; 4] = [10, 100, 1_000, 10_000];

/// Two thirds literal routes and one third with a capture, over fifty hosts.
fn table(size: u32) -> Vec<RouteSpec> {
    let line = |id: u32| {
        let (host, service) = (id % 50, id / 3);
        match id % 3 {
            0 => format!("GET h{host}.example.com/api/v1/service-{service}/items"),
            1 => format!("h{host}.example.com/api/v1/service-{service}/status"),
            _ => format!("h{host}.example.com/api/v1/service-{service}/orders/{{id}}"),
        }
    };
    let spec = |id| RouteSpec {
        id,
        matcher: Matcher::parse_line(&line(id)).expect("lines above are patterns"),
        guards: Guards::NONE,
    };
    (0..size).map(spec).collect()
}

/// Looks up one path, which belongs to a route in the middle of the table.
fn lookup(bencher: Bencher<'_, '_>, size: u32, kind: u32, tail: &str) {
    let router = Router::build(&table(size)).expect("the table has no conflicts");
    let id = size / 6 * 3 + kind;
    let host = format!("h{}.example.com", id % 50);
    let path = format!("/api/v1/service-{}/{tail}", id / 3);
    let headers = HeaderMap::new();
    let request = RouteRequest {
        method: &Method::GET,
        host: &host,
        path: &path,
        query: None,
        headers: &headers,
    };
    let mut captures = Captures::default();
    let expected = if tail == "nothing" {
        Found::NotFound
    } else {
        Found::Route(id)
    };
    assert_eq!(router.find(&request, &mut captures), expected);
    bencher.bench_local(|| router.find(black_box(&request), &mut captures));
}

#[divan::bench(args = SIZES)]
fn literal(bencher: Bencher<'_, '_>, size: u32) {
    lookup(bencher, size, 0, "items");
}

#[divan::bench(args = SIZES)]
fn captured(bencher: Bencher<'_, '_>, size: u32) {
    lookup(bencher, size, 2, "orders/4711");
}

#[divan::bench(args = SIZES)]
fn missing(bencher: Bencher<'_, '_>, size: u32) {
    lookup(bencher, size, 0, "nothing");
}

#[divan::bench(args = SIZES, sample_count = 10)]
fn build(bencher: Bencher<'_, '_>, size: u32) {
    let table = table(size);
    bencher.bench_local(|| Router::build(black_box(&table)).is_ok());
}

#[divan::bench(args = ["/api/v1/service-7/items", "/a/../b%2d/./c"])]
fn normal_form(bencher: Bencher<'_, '_>, path: &str) {
    bencher.bench_local(|| normalise(black_box(path), PathPolicy::default()).is_ok());
}

fn main() {
    divan::main();
}
