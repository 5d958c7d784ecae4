//! `match` of a route, and conditions wherever they stand.

use std::collections::BTreeMap;

use plugins::contract::place::{At, Span};

use super::Context;
use crate::config::leaf::MatchLine;
use crate::config::raw::{Either, RawCondition, RawConditions, RawMatch};
use crate::routing::pattern::{Condition, ConditionError, ConditionSource, Matcher, Methods};

/// What stands under `header`, `query` or `cookie`.
type Raw = Option<BTreeMap<String, At<RawCondition>>>;

pub(super) fn matcher(
    raw: At<Either<MatchLine, RawMatch>>,
    context: &mut Context<'_>,
) -> Option<Matcher> {
    let span = raw.span();
    let table = match raw.into_inner() {
        Either::Short(line) => return Some(line.0),
        Either::Long(table) => table,
    };
    let methods = methods(table.method, context);
    let conditions = all(
        [
            (ConditionSource::Header, table.header),
            (ConditionSource::Query, table.query),
            (ConditionSource::Cookie, table.cookie),
        ],
        context,
    );
    let hosts = hosts(table.host, context);
    let path = table.path.into_inner().0;
    match Matcher::new(methods?, hosts?, path, conditions?) {
        Ok(matcher) => Some(matcher),
        Err(error) => {
            let complaint = context.report.error(span, "route.match", error.message);
            if let Some(help) = error.help {
                complaint.help(help);
            }
            None
        }
    }
}

fn methods(raw: Option<At<Vec<At<String>>>>, context: &mut Context<'_>) -> Option<Methods> {
    let Some(list) = raw else {
        return Some(Methods::ANY);
    };
    if list.is_empty() {
        return nothing(list.span(), "method", context);
    }
    let mut methods = Some(Methods::NONE);
    for name in list.into_inner() {
        let inserted = methods.as_mut().map_or(Ok(()), |all| all.insert(&name));
        if let Err(error) = inserted {
            let place = context.inside(&name.span(), &name, &error.at);
            let complaint = context.report.error(place, "route.match", error.message);
            if let Some(help) = error.help {
                complaint.help(help);
            }
            methods = None;
        }
    }
    methods
}

fn hosts(
    raw: Option<At<Vec<At<crate::config::leaf::MatchHost>>>>,
    context: &mut Context<'_>,
) -> Option<Vec<crate::routing::pattern::HostPattern>> {
    let Some(list) = raw else {
        return Some(Vec::new());
    };
    if list.is_empty() {
        return nothing(list.span(), "host", context);
    }
    Some(
        list.into_inner()
            .into_iter()
            .map(|host| host.into_inner().0)
            .collect(),
    )
}

fn nothing<T>(span: Span, key: &str, context: &mut Context<'_>) -> Option<T> {
    context
        .report
        .error(
            span,
            "route.match",
            format!("`{key}` is empty, so nothing could match"),
        )
        .help("name one, or remove the key: then any fits");
    None
}

/// The conditions of a `pick`.
pub(super) fn conditions(raw: RawConditions, context: &mut Context<'_>) -> Option<Vec<Condition>> {
    all(
        [
            (ConditionSource::Header, raw.header),
            (ConditionSource::Query, raw.query),
            (ConditionSource::Cookie, raw.cookie),
        ],
        context,
    )
}

/// Reads all conditions; `None` if any is wrong.
fn all(raw: [(ConditionSource, Raw); 3], context: &mut Context<'_>) -> Option<Vec<Condition>> {
    let listed = raw.into_iter().flat_map(|(source, table)| {
        table
            .unwrap_or_default()
            .into_iter()
            .map(move |(name, test)| (source, name, test))
    });
    let read: Vec<Option<Condition>> = listed
        .map(|(source, name, test)| condition(source, &name, &test, context))
        .collect();
    read.into_iter().collect()
}

fn condition(
    source: ConditionSource,
    name: &str,
    raw: &At<RawCondition>,
    context: &mut Context<'_>,
) -> Option<Condition> {
    let (parsed, text, span) = match &**raw {
        Either::Short(text) => (Condition::parse(source, name, text), text, raw.span()),
        Either::Long(exact) => {
            let text: &String = &exact.exact;
            (
                Condition::exact(source, name, text),
                text,
                exact.exact.span(),
            )
        }
    };
    match parsed {
        Ok(condition) => Some(condition),
        Err(error) => {
            let (place, error) = match error {
                ConditionError::Name(error) => (span, error),
                ConditionError::Test(error) => (context.inside(&span, text, &error.at), error),
            };
            let complaint = context
                .report
                .error(place, "route.condition", error.message);
            if let Some(help) = error.help {
                complaint.help(help);
            }
            None
        }
    }
}
