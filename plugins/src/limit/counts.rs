//! The counts of one policy: a table for each plan, and the store in which several gateways count together.

use std::sync::Arc;

use super::Verdict;
use super::bucket::Bucket;
use super::calendar::{Calendar, Moment, Quota, micros};
use super::config::{CountsConfig, LimitConfig, PlanConfig, Rule};
use super::key::Key;
use super::refused::Refused;
use super::script;
use super::sliding::Sliding;
use super::table::Table;
use super::written::RawOnError;
use crate::contract::services::{Clock, Services, Store};

/// What one request asks for.
pub(super) struct Asked {
    pub(super) plan: usize,
    pub(super) key: Key,
    pub(super) cost: u64,
}

/// Where the answer comes from.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    /// From where it should.
    Counted(Verdict),
    /// From here, because the store does not answer.
    Instead(Verdict),
    /// The store does not answer, and the request passes.
    Allowed,
    /// The store does not answer, and the request does not pass.
    Denied,
}

/// The counts of one policy.
pub struct Counts {
    plans: Box<[Plan]>,
    is_stored: bool,
    clock: Arc<dyn Clock>,
}

/// The counts of one plan.
pub struct Plan {
    name: Box<str>,
    kind: Tables,
    /// What the store's keys start with: policies, plans and rules that differ are counted apart.
    prefix: Box<[u8]>,
    /// What the store has refused a moment ago; `None` without store.
    refused: Option<Refused>,
}

enum Tables {
    Bucket(Table<Bucket>),
    Sliding(Table<Sliding>),
    Calendar(Table<Quota>, Calendar),
}

impl Counts {
    /// Nothing is counted yet.
    pub(super) fn new(
        plugin: &str,
        policy: &str,
        config: &CountsConfig,
        services: &Services,
    ) -> Self {
        let is_stored = config.store.is_some();
        Self {
            plans: config
                .plans
                .iter()
                .map(|plan| Plan::new(plugin, policy, plan, is_stored))
                .collect(),
            is_stored,
            clock: services.clock.clone(),
        }
    }

    /// A plan by its position.
    pub fn plan(&self, position: usize) -> Option<&Plan> {
        self.plans.get(position)
    }

    /// All plans.
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// Counts a request, in this store where there is one. It may be another one after a reload that leaves the counts.
    pub(super) async fn take(
        &self,
        asked: &Asked,
        config: &LimitConfig,
        store: Option<&dyn Store>,
    ) -> Outcome {
        let Some(plan) = self.plans.get(asked.plan) else {
            // Positions come from the same configuration; were one wrong, nobody would be counted.
            return Outcome::Denied;
        };
        let Some(store) = store else {
            return Outcome::Counted(plan.take(asked, &*self.clock));
        };
        let local = plan.refused.as_ref().filter(|_| config.local_refusals);
        let now = steady(&*self.clock);
        if let Some(refused) = local.filter(|_| store.is_up())
            && let Some(verdict) = refused.find(&asked.key, asked.cost, now)
        {
            return Outcome::Counted(verdict);
        }
        match plan.ask(asked, store, &*self.clock).await {
            Ok(verdict) => {
                if let Some(refused) = local {
                    refused.remember(&asked.key, asked.cost, now, &verdict);
                }
                return Outcome::Counted(verdict);
            }
            // It may come back with other counts.
            Err(_) => local.into_iter().for_each(Refused::forget),
        }
        match config.on_error {
            RawOnError::Local => Outcome::Instead(plan.take(asked, &*self.clock)),
            RawOnError::Allow => Outcome::Allowed,
            RawOnError::Deny => Outcome::Denied,
        }
    }

    /// Whether the counts are in a store.
    pub fn is_in_store(&self) -> bool {
        self.is_stored
    }

    /// Shows every key of a plan that has used something: key, used and left.
    pub fn visit(&self, plan: &Plan, visitor: impl FnMut(&Key, u64, u64)) {
        plan.visit(&*self.clock, visitor);
    }
}

impl Plan {
    fn new(plugin: &str, policy: &str, config: &PlanConfig, is_stored: bool) -> Self {
        let kind = match &config.rule {
            Rule::Bucket(rule) => Tables::Bucket(Table::new(*rule)),
            Rule::Sliding(rule) => Tables::Sliding(Table::new(*rule)),
            Rule::Calendar { rule, length, zone } => {
                Tables::Calendar(Table::new(*rule), Calendar::new(zone.clone(), *length))
            }
        };
        let rule = script::rule(&config.rule);
        let prefix = format!("gateway:{plugin}:{policy}:{}:{rule}:", config.name);
        Self {
            name: config.name.clone(),
            kind,
            prefix: prefix.into_bytes().into(),
            refused: is_stored.then(Refused::default),
        }
    }

    /// Its name; empty where all have the same.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn take(&self, asked: &Asked, clock: &dyn Clock) -> Verdict {
        let Asked { key, cost, .. } = asked;
        match &self.kind {
            Tables::Bucket(table) => table.take(key, steady(clock), *cost),
            Tables::Sliding(table) => table.take(key, steady(clock), *cost),
            Tables::Calendar(table, calendar) => table.take(key, moment(calendar, clock), *cost),
        }
    }

    async fn ask(
        &self,
        asked: &Asked,
        store: &dyn Store,
        clock: &dyn Clock,
    ) -> Result<Verdict, script::NoVerdict> {
        let mut key = Vec::with_capacity(self.prefix.len() + 48);
        key.extend_from_slice(&self.prefix);
        key.extend_from_slice(asked.key.identity());
        match &self.kind {
            Tables::Bucket(table) => script::bucket(store, &key, table.rule(), asked.cost).await,
            Tables::Sliding(table) => script::sliding(store, &key, table.rule(), asked.cost).await,
            Tables::Calendar(table, calendar) => {
                let window = moment(calendar, clock).window;
                let next = calendar.following(window);
                script::calendar(store, &key, table.rule(), (window, next), asked.cost).await
            }
        }
    }

    fn visit(&self, clock: &dyn Clock, mut visitor: impl FnMut(&Key, u64, u64)) {
        match &self.kind {
            Tables::Bucket(table) => {
                let most = table.rule().burst;
                table.visit(steady(clock), |key, used| {
                    visitor(key, used, most.saturating_sub(used));
                });
            }
            Tables::Sliding(table) => {
                let most = table.rule().count;
                table.visit(steady(clock), |key, used| {
                    visitor(key, used, most.saturating_sub(used));
                });
            }
            Tables::Calendar(table, _) => {
                let (most, now) = (table.rule().count, micros(clock.now()));
                table.visit(now, |key, used| {
                    visitor(key, used, most.saturating_sub(used));
                });
            }
        }
    }
}

/// The steady clock in microseconds.
fn steady(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn moment(calendar: &Calendar, clock: &dyn Clock) -> Moment {
    let now = micros(clock.now());
    Moment {
        now,
        window: calendar.window(now),
    }
}
