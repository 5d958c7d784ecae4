//! Values of the request that a route needs: they must exist on that route.

use plugins::contract::place::Span;
use plugins::contract::report::nearest;
use plugins::contract::template::Template;
use plugins::contract::value::Value;

use super::Context;
use crate::routing::pattern::{CaptureKind, Matcher};

impl Context<'_> {
    /// Checks every value of a template.
    pub(super) fn template(&mut self, template: &Template, span: &Span, matcher: Option<&Matcher>) {
        for value in template.values() {
            let place = self.part(span, &format!("{{{value}}}"));
            self.value(value, &place, matcher);
        }
    }

    /// Checks one value. `matcher` is `None` where the pattern itself is wrong.
    pub(super) fn value(&mut self, value: &Value, span: &Span, matcher: Option<&Matcher>) {
        match value {
            Value::Claim(_) | Value::ConsumerName | Value::ConsumerPlan | Value::Identity
                if !self.authenticated =>
            {
                self.report
                    .error(
                        span.clone(),
                        "value.needs-auth",
                        format!("`{value}` needs a route with `auth`"),
                    )
                    .label("nobody is authenticated here")
                    .help("add auth = \"NAME\" to the route, or use client.ip or header.NAME");
            }
            Value::HostPart(name) => {
                if let Some(matcher) = matcher.filter(|matcher| !host_has(matcher, name)) {
                    self.not_captured(value, name, span, matcher);
                }
            }
            Value::PathPart(name) => {
                if let Some(matcher) = matcher.filter(|matcher| !path_has(matcher, name)) {
                    self.not_captured(value, name, span, matcher);
                }
            }
            Value::Claim(_)
            | Value::ConsumerName
            | Value::ConsumerPlan
            | Value::Identity
            | Value::ClientIp
            | Value::Method
            | Value::Host
            | Value::Query(_)
            | Value::Header(_)
            | Value::Cookie(_)
            | Value::Route
            | Value::Listener => {}
        }
    }

    fn not_captured(&mut self, value: &Value, name: &str, span: &Span, matcher: &Matcher) {
        let captured: Vec<String> = matcher
            .captures()
            .map(|(kind, name)| match kind {
                CaptureKind::Host => format!("host.{name}"),
                CaptureKind::Path | CaptureKind::PathRest => format!("path.{name}"),
            })
            .collect();
        let complaint = self.report.error(
            span.clone(),
            "value.not-captured",
            format!("`{value}` is not captured by the route's pattern"),
        );
        let near = nearest(&value.to_string(), captured.iter().map(String::as_str));
        match near {
            Some(near) => complaint.help(format!("did you mean `{near}`?")),
            None if captured.is_empty() => complaint.help(format!(
                "the pattern captures nothing: write {{{name}}} where the part stands in it"
            )),
            None => complaint.help(format!("the pattern captures {}", captured.join(", "))),
        };
    }

    /// The place of a part of a text, if the text is written as it is meant.
    pub(super) fn part(&self, span: &Span, part: &str) -> Span {
        let written = self.sources.text(span).unwrap_or_default();
        match written.find(part) {
            Some(at) => span.start + at..span.start + at + part.len(),
            None => span.clone(),
        }
    }
}

/// Whether every host of the pattern has this part.
fn host_has(matcher: &Matcher, name: &str) -> bool {
    let hosts = &matcher.hosts;
    !hosts.is_empty() && hosts.iter().all(|host| host.capture() == Some(name))
}

fn path_has(matcher: &Matcher, name: &str) -> bool {
    matcher.path.captures().any(|(_, other)| other == name)
}
