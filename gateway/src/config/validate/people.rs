//! Consumers and groups that policies name: somebody should be called so, and somebody in there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plugins::chain::PoliciesConfig;
use plugins::contract::consumers::Directory;
use plugins::contract::place::{At, Span};
use plugins::contract::report::nearest;

use super::Context;

/// Who there is.
#[derive(Default)]
pub(super) struct People {
    pub(super) directory: Arc<Directory>,
    /// Whether a file beside the configuration says more, and changes by itself.
    pub(super) has_file: bool,
    /// Whether all of them could be read.
    pub(super) whole: bool,
}

/// Looks at the policies of all routes.
pub(super) fn check<'p>(
    routes: impl Iterator<Item = &'p PoliciesConfig>,
    people: &People,
    context: &mut Context<'_>,
) {
    if !people.whole {
        return;
    }
    let (mut consumers, mut groups) = (BTreeMap::new(), BTreeMap::new());
    for policies in routes {
        let mentioned = policies.mentions();
        consumers.extend(mentioned.consumers.iter().map(by_place));
        let claims = policies.auth.iter();
        let mut claims = claims.filter(|placed| placed.config.brings_groups());
        if claims.next().is_none() && !policies.auth.is_empty() {
            groups.extend(mentioned.groups.iter().map(by_place));
        }
    }
    for (_, (name, span)) in consumers {
        if people.directory.by_name(&name).is_none() && !context.damage.has("consumer", &name) {
            unknown_consumer(&name, span, people, context);
        }
    }
    let names: BTreeSet<&str> = groups.values().map(|(name, _)| name.as_str()).collect();
    let empty: BTreeSet<&str> = names
        .into_iter()
        .filter(|name| !people.directory.has_group(name))
        .collect();
    for (name, span) in groups.values() {
        if empty.contains(name.as_str()) {
            nobody_in(name, span.clone(), context);
        }
    }
}

/// What many routes name is looked at once.
fn by_place(name: &At<String>) -> (usize, (String, Span)) {
    let span = name.span();
    (span.start, ((**name).clone(), span))
}

/// A file may lose a consumer at any time: a configuration that still names it must go on being one, so that those who
/// were taken out of the file are out.
fn unknown_consumer(name: &str, span: Span, people: &People, context: &mut Context<'_>) {
    const CODE: &str = "authorize.no-such-consumer";
    let message = format!("no consumer is called `{name}`");
    let complaint = if people.has_file {
        let complaint = context.report.warn(span, CODE, message);
        complaint.label("neither a table nor the file of consumers has it")
    } else {
        let complaint = context.report.error(span, CODE, message);
        complaint.label(format!("there is no [consumer.{name}]"))
    };
    match nearest(name, people.directory.names()) {
        Some(near) => complaint.help(format!("did you mean `{near}`?")),
        None => complaint.help(format!("add [consumer.{name}], or remove the name")),
    };
}

fn nobody_in(name: &str, span: Span, context: &mut Context<'_>) {
    context
        .report
        .warn(
            span,
            "authorize.empty-group",
            format!("nobody is in the group `{name}`"),
        )
        .label("no consumer has it, and no provider here maps a claim to groups")
        .help("add it to a consumer, or write `groups = \"claim.NAME\"` in the provider");
}
