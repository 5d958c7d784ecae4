//! What a route's `auth` means when it names several: one policy, of whose providers any will do.

use std::collections::BTreeMap;

use super::config::{AuthConfig, ProviderConfig};
use crate::contract::mode::Mode;
use crate::contract::policy::Placed;
use crate::contract::prelude::*;
use crate::contract::report::nearest;

/// The named tables.
type Named = BTreeMap<String, At<AuthConfig>>;

/// Makes one of what one layer says.
pub(super) fn gather(
    found: Vec<Placed<AuthConfig>>,
    named: &Named,
    report: &mut Report,
) -> Vec<Placed<AuthConfig>> {
    let (Some(first), Some(last)) = (found.first(), found.last()) else {
        return found;
    };
    let alone = found.len() == 1;
    let (layer, span) = (
        first.layer,
        first.span.start..last.span.end.max(first.span.end),
    );
    // `keys, people`: what people read; a table without a name has none to be called by.
    let called: Option<Vec<&str>> = found.iter().map(|placed| placed.name.as_deref()).collect();
    let name = called.map(|called| called.join(", "));
    let mut optional = false;
    let mut providers: Vec<(ProviderConfig, Span)> = Vec::new();
    for placed in found {
        let group = !placed.config.any.is_empty();
        if group && !alone {
            nested(placed.span, report);
            continue;
        }
        optional |= placed.config.optional;
        let own = placed.config.providers.into_iter();
        providers.extend(own.map(|provider| {
            let name = placed.name.clone();
            (ProviderConfig { name, ..provider }, placed.span.clone())
        }));
        for name in &placed.config.any {
            providers.extend(resolve(name, named, report).map(|found| (found, name.span())));
        }
    }
    let mode = mode(&providers, report);
    complain_about_twins(&providers, report);
    let config = AuthConfig {
        providers: providers
            .into_iter()
            .map(|(provider, _)| provider)
            .collect(),
        any: Vec::new(),
        optional,
        mode,
    };
    vec![Placed {
        config,
        name,
        span,
        layer,
    }]
}

fn nested(span: Span, report: &mut Report) {
    report
        .error(
            span,
            "auth.nested",
            "a list of providers cannot hold another list",
        )
        .help("name the providers themselves");
}

/// The provider that `any` names.
fn resolve(name: &At<String>, named: &Named, report: &mut Report) -> Option<ProviderConfig> {
    let known: &str = name;
    let Some(config) = named.get(known) else {
        let message = format!("unknown auth `{known}`");
        let complaint = report.error(name.span(), "config.unknown-reference", message);
        complaint.label(format!("no [auth.{known}]"));
        if let Some(near) = nearest(known, named.keys().map(String::as_str)) {
            complaint.help(format!("did you mean `{near}`?"));
        }
        return None;
    };
    if !config.any.is_empty() {
        nested(name.span(), report);
    }
    let provider = config.providers.first()?;
    Some(ProviderConfig {
        name: Some(known.to_owned()),
        ..provider.clone()
    })
}

/// The mode of all providers together: none may let pass what another refuses.
fn mode(providers: &[(ProviderConfig, Span)], report: &mut Report) -> Mode {
    let Some((first, _)) = providers.first() else {
        return Mode::Enforce;
    };
    if let Some((_, span)) = providers.iter().find(|(other, _)| other.mode != first.mode) {
        report
            .error(
                span.clone(),
                "auth.mixed-modes",
                "providers of one route must all be enforced, or all in shadow until the same day",
            )
            .help("what one of them lets pass the others cannot refuse");
    }
    first.mode
}

fn complain_about_twins(providers: &[(ProviderConfig, Span)], report: &mut Report) {
    for (index, (provider, span)) in providers.iter().enumerate() {
        let before = providers.get(..index).unwrap_or_default();
        let twin = before
            .iter()
            .find(|(other, _)| provider.name.is_some() && other.name == provider.name);
        if let Some((_, other)) = twin {
            report
                .error(span.clone(), "auth.twice", "this provider is named twice")
                .related(other.clone(), "first here")
                .help("remove one of the two");
        }
    }
}
