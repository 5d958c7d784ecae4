//! Listens to the chain and writes every policy's verdict down, and which policies were not asked.

use plugins::chain::{Observer, Step};
use plugins::contract::facts::Facts;
use plugins::contract::flow::Flow;

use super::story::{Policy, Verdict};
use crate::admin::describe;
use crate::config::model::RouteConfig;
use crate::config::source::SourceMap;
use crate::runtime::action::Action;
use crate::runtime::route::Route;

/// Writes down every policy's verdict.
pub(super) struct Heard<'a> {
    pub(super) sources: &'a SourceMap,
    /// Where policies say why.
    pub(super) facts: &'a Facts,
    pub(super) policies: Vec<Policy>,
}

impl Observer for Heard<'_> {
    fn verdict(&mut self, step: &Step<'_>, flow: &Flow) {
        let answer = match flow {
            Flow::Continue => None,
            Flow::Reply(answer) => Some(answer),
        };
        let refusal = answer.and_then(|answer| answer.refusal);
        self.policies.push(Policy {
            plugin: step.plugin,
            name: step.name.map(str::to_owned),
            layer: describe::layer(step.layer),
            at: self.sources.place(step.span),
            verdict: match (answer, refusal) {
                (None, _) => Verdict::Passes,
                (Some(_), None) => Verdict::Answers,
                (Some(_), Some(_)) if step.shadowed => Verdict::WouldRefuse,
                (Some(_), Some(_)) => Verdict::Refuses,
            },
            status: answer.map(|answer| answer.status.as_u16()),
            code: refusal.map(|refusal| refusal.code),
            why: self.facts.take_notes(),
        });
    }
}

impl Heard<'_> {
    /// Policies are asked in the order in which the route has them, so those behind the last one were not.
    pub(super) fn with_those_not_asked(self, route: &RouteConfig) -> Vec<Policy> {
        let Self {
            sources,
            mut policies,
            ..
        } = self;
        let (asked, mut place) = (policies.len(), 0);
        route.policies.visit(|plugin, name, span, layer| {
            place += 1;
            if place > asked {
                policies.push(Policy {
                    plugin,
                    name: name.map(str::to_owned),
                    layer: describe::layer(layer),
                    at: sources.place(span),
                    verdict: Verdict::NotAsked,
                    status: None,
                    code: None,
                    why: Vec::new(),
                });
            }
        });
        policies
    }
}

/// Who made the answer: a policy, or else the action.
pub(super) fn answered_by(policies: &[Policy], route: &Route) -> String {
    let answers = |policy: &&Policy| matches!(policy.verdict, Verdict::Refuses | Verdict::Answers);
    if let Some(policy) = policies.iter().find(answers) {
        return format!("the policy {}", policy.plugin);
    }
    match route.action {
        Action::Forward(_) => "the dispatch of the route",
        Action::Redirect { .. } => "the redirect of the route",
        Action::Respond { .. } => "the respond of the route",
    }
    .to_owned()
}
