//! The tables `throttle`, `rate-limit` and `quota` as meant: who is counted, by which plan, against what.

mod rules;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use rules::Shape;

use super::rate::{COUNT_MAX, Rate};
use super::written::{RawCost, RawHeaders, RawLimit, RawOnError, RawQuota, Values};
use crate::contract::prelude::*;

pub use rules::Rule;

/// A limit as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitConfig {
    /// What decides whether counts of another configuration are the same.
    pub counts: CountsConfig,
    /// Which plan a request has; `None` where there is only one.
    pub plan: Option<At<Value>>,
    /// The position of the plan for everybody else.
    pub otherwise: usize,
    /// What a request uses.
    pub cost: Cost,
    /// What happens while the store does not answer.
    pub on_error: RawOnError,
    /// Whether refusals of the store hold here for a moment.
    pub local_refusals: bool,
    /// The fields that tell clients what is left.
    pub headers: RawHeaders,
    /// Enforce or shadow.
    pub mode: Mode,
}

/// What is counted, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct CountsConfig {
    /// Who is counted: one or more.
    pub key: Vec<At<Value>>,
    /// In the order of their names; one without a name where all have the same.
    pub plans: Vec<PlanConfig>,
    /// The store's name.
    pub store: Option<At<String>>,
}

/// What one plan may use.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanConfig {
    /// Its name; empty where all have the same.
    pub name: Box<str>,
    /// How it is counted.
    pub rule: Rule,
}

/// What a request uses.
#[derive(Debug, Clone, PartialEq)]
pub enum Cost {
    /// Always the same.
    Fixed(u64),
    /// What the request says; 1 where it says nothing.
    Value(At<Value>),
}

/// When a policy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before anybody is authenticated.
    Early,
    /// After that.
    Late,
}

/// Both tables with one set of names.
struct Written {
    table: Span,
    raw: RawLimit,
    shape: Shape,
    stage: Stage,
}

/// Validates `throttle` or `rate-limit`.
pub fn validate_limit(raw: At<RawLimit>, stage: Stage, report: &mut Report) -> Option<LimitConfig> {
    let table = raw.span();
    let mut raw = raw.into_inner();
    let shape = Shape::Window {
        burst: raw.burst.take(),
        window: raw.window.take(),
    };
    let written = Written {
        table,
        raw,
        shape,
        stage,
    };
    written.validate(report)
}

/// Validates `quota`.
pub fn validate_quota(raw: At<RawQuota>, report: &mut Report) -> Option<LimitConfig> {
    let table = raw.span();
    let raw = raw.into_inner();
    let zone = raw
        .time_zone
        .map_or(TimeZone::UTC, |zone| zone.into_inner().0);
    let written = Written {
        table,
        shape: Shape::Calendar(zone),
        stage: Stage::Late,
        raw: RawLimit {
            key: raw.key,
            rate: raw.rate,
            rates: raw.rates,
            plan: raw.plan,
            otherwise: raw.otherwise,
            burst: None,
            window: None,
            cost: raw.cost,
            store: raw.store,
            on_error: raw.on_error,
            local_refusals: raw.local_refusals,
            headers: raw.headers,
            mode: raw.mode,
        },
    };
    written.validate(report)
}

impl Written {
    fn validate(mut self, report: &mut Report) -> Option<LimitConfig> {
        let key = self.key(report);
        let plans = self.plans(report);
        let cost = self.cost(report);
        let (plan, otherwise, plans) = plans?;
        let cost = cost?;
        too_dear(&cost, self.raw.cost.as_ref(), &plans, report);
        let raw = self.raw;
        if let (None, Some(on_error)) = (&raw.store, &raw.on_error) {
            report
                .error(
                    on_error.span(),
                    "limit.on-error",
                    "`on-error` without `store` does nothing",
                )
                .help("add store = \"NAME\" or remove this key");
        }
        if let (None, Some(local)) = (&raw.store, &raw.local_refusals) {
            report
                .error(
                    local.span(),
                    "limit.local-refusals",
                    "`local-refusals` without `store` does nothing",
                )
                .help("add store = \"NAME\" or remove this key");
        }
        Some(LimitConfig {
            counts: CountsConfig {
                key: key?,
                plans,
                store: raw.store,
            },
            plan,
            otherwise,
            cost,
            on_error: raw.on_error.map(At::into_inner).unwrap_or_default(),
            local_refusals: raw.local_refusals.is_none_or(At::into_inner),
            headers: raw.headers.map(At::into_inner).unwrap_or_default(),
            mode: Mode::open_ended(raw.mode),
        })
    }

    fn key(&mut self, report: &mut Report) -> Option<Vec<At<Value>>> {
        let Some(key) = self.raw.key.take() else {
            let value = match self.stage {
                Stage::Early => Value::ClientIp,
                Stage::Late => Value::Identity,
            };
            return Some(vec![At::new(value, self.table.clone())]);
        };
        let span = key.span();
        let values = match key.into_inner() {
            Values::One(value) => vec![At::new(value, span)],
            Values::Many(values) if values.is_empty() => {
                report
                    .error(
                        span,
                        "limit.no-key",
                        "an empty `key` would count all requests as one",
                    )
                    .help("name a value, or leave the key out; for all together write \"route\"");
                return None;
            }
            Values::Many(values) => values,
        };
        for value in &values {
            self.known_by_now(value, report);
        }
        Some(values)
    }

    /// Before authentication nobody is known.
    fn known_by_now(&self, value: &At<Value>, report: &mut Report) {
        let late = matches!(
            **value,
            Value::Identity | Value::Claim(_) | Value::ConsumerName | Value::ConsumerPlan
        );
        if late && self.stage == Stage::Early {
            let message = format!(
                "`{}` is not known yet: a throttle comes before `auth`",
                **value
            );
            report
                .error(value.span(), "limit.too-early", message)
                .help("use rate-limit, which comes after it, or count by client.ip");
        }
    }

    /// The value that names the plan, the plan for the others, and all plans.
    fn plans(
        &mut self,
        report: &mut Report,
    ) -> Option<(Option<At<Value>>, usize, Vec<PlanConfig>)> {
        match (self.raw.rate.take(), self.raw.rates.take()) {
            (Some(rate), None) => {
                self.without_rates(report);
                let rule = self.shape.rule(&rate, report)?;
                let name = Box::default();
                Some((None, 0, vec![PlanConfig { name, rule }]))
            }
            (None, Some(rates)) => self.by_plan(rates, report),
            (Some(rate), Some(rates)) => {
                report
                    .error(
                        rates.span(),
                        "limit.two-rates",
                        "there are `rate` and `rates`",
                    )
                    .related(rate.span(), "`rate` is here")
                    .help("keep one of the two");
                None
            }
            (None, None) => {
                report
                    .error(
                        self.table.clone(),
                        "limit.no-rate",
                        "this limit has no `rate`",
                    )
                    .help("write rate = \"100/min\", or rates = { … } by plan");
                None
            }
        }
    }

    fn without_rates(&self, report: &mut Report) {
        let plan = self.raw.plan.as_ref().map(At::span);
        let otherwise = self.raw.otherwise.as_ref().map(At::span);
        for (key, span) in [("plan", plan), ("otherwise", otherwise)] {
            if let Some(span) = span {
                report
                    .error(span, "limit.no-plans", format!("`{key}` without `rates` does nothing"))
                    .help("write rates = { free = \"100/min\" } instead of `rate`, or remove this key");
            }
        }
    }

    fn by_plan(
        &mut self,
        rates: At<BTreeMap<String, At<Rate>>>,
        report: &mut Report,
    ) -> Option<(Option<At<Value>>, usize, Vec<PlanConfig>)> {
        let span = rates.span();
        let plan = self.raw.plan.take();
        let plan = plan.unwrap_or_else(|| At::new(Value::ConsumerPlan, span.clone()));
        self.known_by_now(&plan, report);
        let rates = rates.into_inner();
        let mut plans = Vec::new();
        for (name, rate) in &rates {
            let rule = self.shape.rule(rate, report)?;
            let name = name.as_str().into();
            plans.push(PlanConfig { name, rule });
        }
        let Some(otherwise) = &self.raw.otherwise else {
            report
                .error(
                    span,
                    "limit.otherwise",
                    "`rates` without `otherwise` leaves unknown plans without a limit",
                )
                .help("name the plan that holds for everybody else: otherwise = \"free\"");
            return None;
        };
        let position = plans.iter().position(|plan| *plan.name == ***otherwise);
        if position.is_none() {
            let complaint = report.error(
                otherwise.span(),
                "limit.otherwise",
                format!("`{}` is not a plan of `rates`", **otherwise),
            );
            let names: Vec<&str> = rates.keys().map(String::as_str).collect();
            complaint.help(format!("the plans are {}", names.join(", ")));
        }
        Some((Some(plan), position?, plans))
    }

    fn cost(&self, report: &mut Report) -> Option<Cost> {
        let Some(cost) = &self.raw.cost else {
            return Some(Cost::Fixed(1));
        };
        match &**cost {
            RawCost::Number(number) if (1..=COUNT_MAX).contains(number) => {
                Some(Cost::Fixed(*number))
            }
            RawCost::Number(_) => {
                report
                    .error(cost.span(), "limit.cost", "a request costs at least 1")
                    .help(format!("write a number from 1 to {COUNT_MAX}"));
                None
            }
            RawCost::Value(value) => {
                let value = At::new(value.clone(), cost.span());
                self.known_by_now(&value, report);
                Some(Cost::Value(value))
            }
        }
    }
}

/// A request that costs more than there ever is would always be refused.
fn too_dear(cost: &Cost, written: Option<&At<RawCost>>, plans: &[PlanConfig], report: &mut Report) {
    let (Cost::Fixed(cost), Some(written)) = (cost, written) else {
        return;
    };
    for plan in plans {
        let (most, _) = plan.rule.budget();
        if *cost > most {
            report
                .error(
                    written.span(),
                    "limit.cost",
                    format!("a request costs {cost}, but there are never more than {most}"),
                )
                .help("lower `cost`, or raise the rate or `burst`");
            return;
        }
    }
}
