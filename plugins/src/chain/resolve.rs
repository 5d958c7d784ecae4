//! From what `[always]`, `[defaults]` and a route say of a policy to the list that the route has.

use std::collections::BTreeMap;

use crate::contract::place::{At, Span};
use crate::contract::plugin::Plugin;
use crate::contract::policy::{Layer, Placed, PolicyRef};
use crate::contract::report::Report;

/// The named policies of one plugin, with the place of each.
pub type Named<C> = BTreeMap<String, At<C>>;

/// What one layer says: nothing, or these (`"none"` is an empty list).
pub type Layered<C> = Option<Vec<Placed<C>>>;

pub(crate) fn named<P: Plugin>(
    raw: BTreeMap<String, At<P::Raw>>,
    report: &mut Report,
) -> Named<P::Config> {
    raw.into_iter()
        .filter_map(|(name, table)| {
            let span = table.span();
            P::validate(table, report).map(|config| (name, At::new(config, span)))
        })
        .collect()
}

pub(crate) fn layer<P: Plugin>(
    raw: Option<At<PolicyRef<P::Raw>>>,
    layer: Layer,
    named: &Named<P::Config>,
    report: &mut Report,
) -> Layered<P::Config> {
    let raw = raw?;
    let mut found = Vec::new();
    collect::<P>(raw, layer, named, report, &mut found);
    if !found.is_empty() {
        found = P::gather(found, named, report);
    }
    if P::SINGLE && found.len() > 1 {
        let span = found.last().map_or(0..0, |placed| placed.span.clone());
        too_many::<P>(
            span,
            found.first().map(|placed| placed.span.clone()),
            report,
        );
    }
    Some(found)
}

/// Flattens a name, a table or a list into policies.
fn collect<P: Plugin>(
    raw: At<PolicyRef<P::Raw>>,
    layer: Layer,
    named: &Named<P::Config>,
    report: &mut Report,
    found: &mut Vec<Placed<P::Config>>,
) {
    let span = raw.span();
    match raw.into_inner() {
        PolicyRef::Named(name) if name == "none" => {}
        PolicyRef::Named(name) => match named.get(&name) {
            Some(config) => found.push(Placed {
                config: (**config).clone(),
                name: Some(name),
                span,
                layer,
            }),
            None => unknown::<P>(&name, span, named, report),
        },
        PolicyRef::Inline(table) => {
            let config = P::validate(At::new(table, span.clone()), report);
            found.extend(config.map(|config| Placed {
                config,
                name: None,
                span,
                layer,
            }));
        }
        PolicyRef::Many(items) => {
            for item in items {
                collect::<P>(item, layer, named, report, found);
            }
        }
    }
}

pub(super) fn join<P: Plugin>(
    always: Option<&[Placed<P::Config>]>,
    defaults: Option<&[Placed<P::Config>]>,
    own: Layered<P::Config>,
    report: &mut Report,
) -> Vec<Placed<P::Config>> {
    let mut joined: Vec<_> = always.unwrap_or_default().to_vec();
    let replaceable = match (own, defaults) {
        (Some(own), Some(defaults)) => over::<P>(own, defaults),
        (Some(own), None) => own,
        (None, defaults) => defaults.unwrap_or_default().to_vec(),
    };
    if let (true, Some(first), Some(second)) = (P::SINGLE, joined.first(), replaceable.first()) {
        too_many::<P>(second.span.clone(), Some(first.span.clone()), report);
    }
    joined.extend(replaceable);
    joined
}

/// A route's policies over the defaults; `"none"` (an empty list) drops them. Plugins that merge do so into the last of
/// the route's own, which the others overrule.
fn over<P: Plugin>(
    mut own: Vec<Placed<P::Config>>,
    defaults: &[Placed<P::Config>],
) -> Vec<Placed<P::Config>> {
    if let Some(last) = own.pop() {
        let config = defaults
            .iter()
            .fold(last.config, |own, default| P::over(own, &default.config));
        own.push(Placed { config, ..last });
    }
    own
}

fn unknown<P: Plugin>(name: &str, span: Span, named: &Named<P::Config>, report: &mut Report) {
    let plugin = P::NAME;
    let complaint = report.error(
        span,
        "config.unknown-reference",
        format!("unknown {plugin} `{name}`"),
    );
    complaint.label(format!("no [{plugin}.{name}]"));
    match crate::contract::report::nearest(name, named.keys().map(String::as_str)) {
        Some(near) => complaint.help(format!("did you mean `{near}`?")),
        None if named.is_empty() => complaint.help(format!(
            "there is no [{plugin}.…] table; write the table here or add one"
        )),
        None => complaint.help(format!("there are {}", names(named.keys()))),
    };
}

fn names<'a>(keys: impl Iterator<Item = &'a String>) -> String {
    keys.map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn too_many<P: Plugin>(span: Span, other: Option<Span>, report: &mut Report) {
    let plugin = P::NAME;
    let complaint = report.error(
        span,
        "policy.only-once",
        format!("a route can have only one `{plugin}`"),
    );
    complaint.label("the second one");
    if let Some(other) = other {
        complaint.related(other, "the first one is here");
    }
    complaint.help("keep one of the two");
}
