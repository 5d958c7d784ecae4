//! What the documents say of the plugins is held against the code.

use super::*;
use crate::contract::flow::ReplyBody;

/// Each plugin's file, and the guide.
const FILES: &[(&str, &str)] = &[
    ("ip-filter", include_str!("../../ip_filter.rs")),
    ("protect", include_str!("../../protect.rs")),
    ("cors", include_str!("../../cors.rs")),
    ("throttle", include_str!("../../throttle.rs")),
    ("auth", include_str!("../../auth.rs")),
    ("authorize", include_str!("../../authorize.rs")),
    ("rate-limit", include_str!("../../rate_limit.rs")),
    ("quota", include_str!("../../quota.rs")),
    ("concurrency", include_str!("../../concurrency.rs")),
    ("idempotency", include_str!("../../idempotency.rs")),
    ("headers", include_str!("../../headers.rs")),
];
const GUIDE: &str = include_str!("../../../README.md");

fn docs(file: &str) -> String {
    let lines = file.lines().filter_map(|line| line.strip_prefix("//!"));
    lines
        .flat_map(|line| [line.strip_prefix(' ').unwrap_or(line), "\n"])
        .collect()
}

#[test]
fn every_refusal_carries_its_plugins_name_and_is_documented() {
    assert_eq!(
        NAMES,
        FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>()
    );
    for refusal in refusals() {
        let (code, status) = (refusal.code, refusal.status);
        let owner = FILES
            .iter()
            .find(|(name, _)| code.split('.').next() == Some(name));
        let docs = docs(owner.unwrap().1);
        assert!(
            docs.contains(&format!("`{code}`")),
            "`{code}` is not in its plugin's docs"
        );
        assert!(
            GUIDE.contains(&format!("| `{code}` | {status} |")),
            "`{code}` is not in README.md"
        );
        // 503 where what the gateway itself needs is out of order, 504 where the request's time is over.
        let ours = matches!(status, 503 | 504);
        assert!((400..500).contains(&status) || ours, "{code}");
    }
}

#[test]
fn every_example_in_the_docs_can_be_used() {
    for (name, file) in FILES.iter().chain([&("README.md", GUIDE)]) {
        let text = if *file == GUIDE {
            GUIDE.to_owned()
        } else {
            docs(file)
        };
        let mut examples = 0;
        for example in text.split("```toml\n").skip(1) {
            let example = example.split("```").next().unwrap();
            let mut named: toml::Table = example.parse().unwrap();
            let routes = named.remove("route").unwrap();
            named.retain(|key, _| NAMES.contains(&key));
            for route in routes.as_table().unwrap().values() {
                let mut route = route.as_table().unwrap().clone();
                route.retain(|key, _| NAMES.contains(&key));
                examples += route.len();
                let table = toml::Table::from_iter([
                    ("named".to_owned(), named.clone().into()),
                    ("route".to_owned(), route.into()),
                ]);
                config(&table.to_string());
            }
        }
        assert!(examples > 0, "{name} has no example");
    }
}

#[test]
fn every_format_in_the_schema_has_its_check() {
    let schema = schemars::schema_for!((RawPolicies, RawNamed))
        .to_value()
        .to_string();
    let formats: Vec<&str> = schema
        .split(r#""format":""#)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(
        formats.contains(&"origin") && formats.contains(&"template"),
        "{formats:?}"
    );
    for format in formats
        .into_iter()
        .filter(|format| !matches!(*format, "policy-name" | "uint32" | "uint64"))
    {
        assert!(
            crate::contract::leaf::FORMATS
                .iter()
                .any(|(name, _)| *name == format),
            "{format}"
        );
    }
}

#[test]
fn a_refusal_is_a_problem_without_inner_details() {
    for refusal in refusals() {
        let reply = crate::contract::flow::Reply::refusal(refusal);
        assert_eq!(reply.status.as_u16(), refusal.status);
        assert!(matches!(reply.body, ReplyBody::Problem { detail: None }));
        assert!(
            refusal.title.ends_with('.'),
            "{}: a title is a sentence",
            refusal.code
        );
    }
}
