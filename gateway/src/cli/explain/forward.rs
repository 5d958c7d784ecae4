//! Whither a request goes, and what the upstream gets of it.

use std::collections::BTreeSet;

use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use plugins::chain::Memory;
use plugins::contract::value::Value;
use plugins::contract::view::{RequestView, ResponseView};

use super::head::{failed, framed, without_hop_by_hop};
use super::reply::{self, Hooks, fields, joined};
use super::story::{Arm, Change, Field, Forward, Outcome, Target, Upstream};
use super::tell::Scene;
use super::{cache, retry};
use crate::admin::describe;
use crate::config::model::{self, SplitConfig, UpstreamConfig};
use crate::decide::{deadline, refusals};
use crate::proxy::headers::{self, Hop, Unfit};
use crate::runtime::action::{self, Action, Reason};

/// The end of the story of a request that passed.
pub(super) fn forwarded(
    scene: &Scene<'_>,
    admitted: usize,
    memory: &mut Memory,
) -> Result<Outcome, String> {
    let Action::Forward(forward) = &scene.route.action else {
        return Err("a route that does not forward has admitted a request".to_owned());
    };
    let (arm, reason) = match forward.choice.arm_and_reason(scene.view) {
        // Another request may go elsewhere, so the likeliest is shown.
        Ok((_, Reason::Chance)) => (
            likeliest(&scene.config.action).unwrap_or(admitted),
            Reason::Chance,
        ),
        Ok(chosen) => chosen,
        Err(_) => (admitted, Reason::Only),
    };
    let upstream = &forward
        .arms
        .get(arm)
        .ok_or("the arm does not exist")?
        .upstream
        .config;
    let mut head = without_hop_by_hop(scene.head)?;
    match prepare(scene, &mut head, upstream) {
        Ok(()) => {}
        Err(error) => {
            let hooks = Hooks {
                route: scene.route,
                view: scene.view,
                memory,
            };
            let id = scene.id.to_str().unwrap_or_default();
            let by = "the head for the upstream cannot be made".to_owned();
            return reply::made(by, &refusals::value(error), id, Some(hooks));
        }
    }
    hand_on(scene, &mut head)?;
    scene
        .route
        .chain
        .on_upstream_request(scene.view, &mut head, memory);
    framed(&mut head, scene.view.body)?;
    Ok(Outcome::Forward(Box::new(Forward {
        arms: arms(scene, forward, arm),
        why: why(scene, reason),
        upstream: self::upstream(scene, upstream),
        request_line: request_line(&head),
        changes: changes(&scene.head.headers, &head.headers),
        cache: cache::of(scene, &upstream.name),
        retry: retry::of(scene),
        hedge: retry::hedge(scene, upstream),
        answer_gets: answer_gets(scene, memory)?,
    })))
}

fn prepare(
    scene: &Scene<'_>,
    head: &mut RequestHeader,
    upstream: &UpstreamConfig,
) -> Result<(), Unfit> {
    let hop = Hop {
        view: scene.view,
        id: scene.id,
        peer: scene.peer,
        trusted: scene.trusted,
        secure: scene.view.secure,
        version: scene.head.version,
        // Which one is picked depends on the requests before.
        target: upstream
            .targets
            .first()
            .map_or("", |target| &*target.address),
    };
    headers::prepare(head, &hop, scene.route, upstream, scene.normalised)
}

/// The time that the upstream is told, as if none had passed yet.
fn hand_on(scene: &Scene<'_>, head: &mut RequestHeader) -> Result<(), String> {
    let (route, view) = (scene.route, scene.view);
    // What cannot be read was refused before.
    let asked = deadline::asked(route, view.method, view.headers)
        .ok()
        .flatten();
    if asked.is_none() && route.deadline_from.is_none() {
        return Ok(());
    }
    let left = asked.map_or(route.timeout, |asked| asked.min(route.timeout));
    let mut fields = head.headers.clone();
    deadline::hand_on(route, &mut fields, left);
    for (name, value) in &fields {
        if head.headers.get(name) != Some(value) {
            head.insert_header(name.clone(), value.clone())
                .map_err(failed)?;
        }
    }
    Ok(())
}

fn likeliest(action: &model::Action) -> Option<usize> {
    let model::Action::Split(split) = action else {
        return None;
    };
    let heaviest = split.arms.iter().map(|(_, weight)| *weight).max()?;
    split
        .arms
        .iter()
        .position(|(_, weight)| *weight == heaviest)
}

fn arms(scene: &Scene<'_>, forward: &action::Forward, chosen: usize) -> Vec<Arm> {
    let weights = match &scene.config.action {
        model::Action::Split(split) => Some(weights(split)),
        model::Action::Upstream(_) | model::Action::Redirect { .. } | model::Action::Respond(_) => {
            None
        }
    };
    let arm = |(index, arm): (usize, &action::Arm)| {
        let share = weights.as_ref().and_then(|weights| weights.get(index));
        Arm {
            upstream: arm.upstream.config.name.to_string(),
            weight: share.map(|(weight, _)| *weight),
            percent: share.map(|(_, percent)| *percent),
            chosen: index == chosen,
        }
    };
    forward
        .arms
        .iter()
        .take(forward.choices)
        .enumerate()
        .map(arm)
        .collect()
}

/// Weight and percent of every arm.
fn weights(split: &SplitConfig) -> Vec<(u32, u32)> {
    let total: u64 = split
        .arms
        .iter()
        .map(|(_, weight)| u64::from(*weight))
        .sum();
    let percent = |weight: u32| {
        (u64::from(weight) * 100)
            .checked_div(total)
            .and_then(|share| share.try_into().ok())
    };
    split
        .arms
        .iter()
        .map(|(_, weight)| (*weight, percent(*weight).unwrap_or_default()))
        .collect()
}

fn why(scene: &Scene<'_>, reason: Reason) -> Option<String> {
    match (reason, &scene.config.action) {
        (Reason::Mapped, model::Action::Upstream(model::Dispatch::By { value, .. })) => {
            Some(said(value, scene.view))
        }
        (Reason::Otherwise, model::Action::Upstream(model::Dispatch::By { value, .. })) => {
            Some(format!(
                "{}, which the map has not: otherwise",
                said(value, scene.view)
            ))
        }
        (Reason::Picked(place), model::Action::Split(split)) => {
            let conditions = split
                .pick
                .get(place)
                .map(|(_, conditions)| conditions.as_slice())
                .unwrap_or_default();
            let listed = conditions
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" and ");
            Some(format!("picked: {listed}"))
        }
        (
            Reason::Sticky,
            model::Action::Split(SplitConfig {
                sticky: Some(value),
                ..
            }),
        ) => Some(format!("always the same for {}", said(value, scene.view))),
        (
            Reason::Chance,
            model::Action::Split(SplitConfig {
                sticky: Some(value),
                ..
            }),
        ) => Some(format!(
            "{}, so the weights decide by chance; the likeliest is shown",
            said(value, scene.view)
        )),
        (Reason::Chance, _) => {
            Some("the weights decide by chance; the likeliest is shown".to_owned())
        }
        _ => None,
    }
}

fn said(value: &Value, view: &RequestView<'_>) -> String {
    match view.lookup(value) {
        Ok(text) => format!("{value} = \"{}\"", text.escape_debug()),
        Err(error) => format!("{value} {error}"),
    }
}

fn upstream(scene: &Scene<'_>, config: &UpstreamConfig) -> Upstream {
    let sources = &scene.snapshot.loaded.sources;
    let target = |target: &model::TargetConfig| Target {
        address: target.address.to_string(),
        weight: target.weight,
        at: sources.place(&target.span),
    };
    Upstream {
        name: config.name.to_string(),
        at: sources.place(&config.span),
        balance: config.balance.name(),
        targets: config.targets.iter().map(target).collect(),
        connect_timeout: describe::duration(config.connect_timeout),
        read_timeout: describe::duration(config.read_timeout),
        write_timeout: describe::duration(config.write_timeout),
    }
}

fn request_line(head: &RequestHeader) -> String {
    format!(
        "{} {} HTTP/1.1",
        head.method,
        String::from_utf8_lossy(head.raw_path())
    )
}

fn changes(before: &HeaderMap, after: &HeaderMap) -> Vec<Change> {
    let names: BTreeSet<&str> = before
        .keys()
        .chain(after.keys())
        .map(http::HeaderName::as_str)
        .collect();
    let value =
        |headers: &HeaderMap, name: &str| headers.contains_key(name).then(|| joined(headers, name));
    let change = |name: &str| {
        let (before, after) = (value(before, name), value(after, name));
        (before != after).then(|| Change {
            name: name.to_owned(),
            before,
            after,
        })
    };
    names.into_iter().filter_map(change).collect()
}

/// What the policies add to an answer.
fn answer_gets(scene: &Scene<'_>, memory: &mut Memory) -> Result<Vec<Field>, String> {
    let mut head = ResponseHeader::build(200, None).map_err(failed)?;
    scene.route.chain.on_response(
        scene.view,
        &mut ResponseView {
            head: &mut head,
            ours: false,
        },
        memory,
    );
    Ok(fields(&head.headers))
}
