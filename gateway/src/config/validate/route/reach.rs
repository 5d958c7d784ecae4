//! By which listeners a route is reached.

use std::collections::BTreeMap;

use plugins::contract::place::{At, Span};

use crate::config::raw::{Either, RawNames, RawRoute};
use crate::config::validate::{Context, Names};

/// The positions of the listeners by which a route is reached.
pub(super) fn listeners(
    name: &str,
    raw: &RawRoute,
    span: &Span,
    whole: bool,
    names: &Names,
    context: &mut Context<'_>,
) -> Option<Vec<usize>> {
    let known = &names.listeners;
    let Some(written) = &raw.listener else {
        match names.serving.as_slice() {
            [only] => return Some(vec![*only]),
            [] if known.len() <= 1 => return Some(known.values().copied().collect()),
            _ => {}
        }
        if whole {
            let listed: Vec<String> = known.keys().map(|name| format!("\"{name}\"")).collect();
            context
                .report
                .error(
                    span.clone(),
                    "route.listener",
                    format!("[route.{name}] does not say by which listener it is reached"),
                )
                .label("add `listener`")
                .help(format!(
                    "there are several: write listener = {}, a list, or \"any\"",
                    listed.join(" or ")
                ));
        }
        return None;
    };
    match &**written {
        RawNames::Short(any) if any == "any" => Some(known.values().copied().collect()),
        Either::Short(one) => context
            .reference("listener", one, &written.span(), known)
            .map(|position| vec![position]),
        Either::Long(list) => listed(list, &written.span(), known, context),
    }
}

fn listed(
    list: &[At<String>],
    span: &Span,
    known: &BTreeMap<String, usize>,
    context: &mut Context<'_>,
) -> Option<Vec<usize>> {
    if list.is_empty() {
        context
            .report
            .error(
                span.clone(),
                "route.listener",
                "`listener` names no listener",
            )
            .help("name one, or write \"any\"");
        return None;
    }
    let mut found = Some(Vec::new());
    for name in list {
        match context.reference("listener", name, &name.span(), known) {
            Some(position) => {
                if let Some(found) = found.as_mut().filter(|found| !found.contains(&position)) {
                    found.push(position);
                }
            }
            None => found = None,
        }
    }
    found
}
