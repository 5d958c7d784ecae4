//! The rules of one `authorize`, asked one after the other; the first that does not hold refuses.

use serde_json::Value as Json;

use super::condition::{Condition, Judged};
use super::raw::AuthorizeConfig;
use super::scopes::ScopesConfig;
use crate::contract::identity::Identity;
use crate::contract::prelude::*;

/// The compiled rules.
pub(super) struct Rules {
    scopes: Option<ScopesConfig>,
    scopes_any: Option<Vec<String>>,
    groups: Option<Vec<String>>,
    claims: Vec<(String, Vec<Template>)>,
    allow: Option<Vec<String>>,
    deny: Vec<String>,
    when: Option<Condition>,
}

/// Why a request may not pass.
pub(super) enum Stop {
    /// A rule does not hold.
    Denied(Why),
    /// A scope is missing.
    Scope(Why),
    /// A value that a rule needs cannot be read: repeated, or not text.
    Unreadable(Value, ValueError),
}

/// The reason for the operator.
pub(super) enum Why {
    MethodWithoutScopes(Method),
    ValueWithoutScopes(Value),
    Scopes(Vec<String>),
    NoScopeOf(Vec<String>),
    NoGroupOf(Vec<String>),
    Claim(String, String),
    Missing(Value),
    NoConsumer,
    Consumer(&'static str),
    Condition(String),
}

impl Rules {
    pub(super) fn compile(config: &AuthorizeConfig) -> Self {
        let texts = |texts: &[At<Template>]| texts.iter().map(|text| (**text).clone()).collect();
        let names = |names: &Vec<At<String>>| names.iter().map(|name| (**name).clone()).collect();
        Self {
            scopes: config.scopes.clone(),
            scopes_any: config.scopes_any.clone(),
            groups: config.groups.as_ref().map(names),
            claims: config
                .claims
                .iter()
                .map(|(name, of)| (name.clone(), texts(of)))
                .collect(),
            allow: config.allow.as_ref().map(names),
            deny: names(&config.deny),
            when: config.when.as_deref().cloned(),
        }
    }

    pub(super) fn judge(&self, request: &RequestView<'_>, identity: &Identity) -> Result<(), Stop> {
        self.scopes(request, identity)?;
        self.groups(identity)?;
        self.consumers(identity)?;
        for (name, texts) in &self.claims {
            claim(name, texts, request, identity)?;
        }
        self.condition(request, identity)
    }

    fn scopes(&self, request: &RequestView<'_>, identity: &Identity) -> Result<(), Stop> {
        let has = |scope: &String| identity.scopes.iter().any(|own| **own == **scope);
        let needed = match &self.scopes {
            None => [].as_slice(),
            Some(scopes) => scopes.of(request)?,
        };
        if !needed.iter().all(has) {
            let missing = needed.iter().filter(|scope| !has(scope)).cloned().collect();
            return Err(Stop::Scope(Why::Scopes(missing)));
        }
        match &self.scopes_any {
            Some(any) if !any.iter().any(has) => Err(Stop::Scope(Why::NoScopeOf(any.clone()))),
            _ => Ok(()),
        }
    }

    fn groups(&self, identity: &Identity) -> Result<(), Stop> {
        let has = |group: &String| identity.groups.iter().any(|own| **own == **group);
        match &self.groups {
            Some(groups) if !groups.iter().any(has) => {
                Err(Stop::Denied(Why::NoGroupOf(groups.clone())))
            }
            _ => Ok(()),
        }
    }

    fn consumers(&self, identity: &Identity) -> Result<(), Stop> {
        let name = identity.consumer.as_ref().map(|consumer| &*consumer.name);
        let denied = |why| Err(Stop::Denied(why));
        match (name, &self.allow) {
            (Some(name), _) if self.deny.iter().any(|one| one == name) => {
                denied(Why::Consumer("is among those that `deny` names"))
            }
            (Some(name), Some(allow)) if !allow.iter().any(|one| one == name) => {
                denied(Why::Consumer("is not among those that may pass"))
            }
            (None, Some(_)) => denied(Why::NoConsumer),
            _ => Ok(()),
        }
    }

    fn condition(&self, request: &RequestView<'_>, identity: &Identity) -> Result<(), Stop> {
        let Some(condition) = &self.when else {
            return Ok(());
        };
        match condition.judge(request, identity) {
            Judged::Holds => Ok(()),
            Judged::Fails(why) => Err(Stop::Denied(Why::Condition(why))),
            Judged::Unreadable(value, error) => Err(Stop::Unreadable(value, error)),
        }
    }
}

fn claim(
    name: &str,
    texts: &[Template],
    request: &RequestView<'_>,
    identity: &Identity,
) -> Result<(), Stop> {
    let claim = identity.claim(name);
    let mut wanted = Vec::new();
    for text in texts {
        let text = text.plain(request).map_err(|(value, error)| match error {
            ValueError::Missing => Stop::Denied(Why::Missing(value)),
            ValueError::Repeated | ValueError::NotText | ValueError::NotPath => {
                Stop::Unreadable(value, error)
            }
        })?;
        if claim.is_some_and(|claim| is(claim, &text)) {
            return Ok(());
        }
        wanted.push(text.into_owned());
    }
    Err(Stop::Denied(Why::Claim(name.to_owned(), wanted.join(", "))))
}

/// Whether a claim is this text, or a list that holds it.
fn is(claim: &Json, text: &str) -> bool {
    if let Json::Array(members) = claim {
        return members.iter().any(|member| is_plain(member, text));
    }
    is_plain(claim, text)
}

fn is_plain(claim: &Json, text: &str) -> bool {
    match claim {
        Json::String(own) => own == text,
        Json::Number(number) => number.to_string() == text,
        Json::Bool(value) => (if *value { "true" } else { "false" }) == text,
        Json::Null | Json::Array(_) | Json::Object(_) => false,
    }
}

impl Why {
    /// The reason in words, for `explain`. Names what was asked for and what was there, but no claim that nobody asked for.
    pub(super) fn told(&self, identity: &Identity) -> String {
        match self {
            Self::MethodWithoutScopes(method) => {
                format!("`scopes` says nothing of {method}, so it is refused")
            }
            Self::ValueWithoutScopes(value) => {
                format!("`scopes` says nothing of this {value}, so it is refused")
            }
            Self::Scopes(missing) => format!(
                "missing {}; {}",
                counted("scope", missing),
                has("scope", &identity.scopes)
            ),
            Self::NoScopeOf(any) => format!(
                "none of the scopes {}; {}",
                quoted(any),
                has("scope", &identity.scopes)
            ),
            Self::NoGroupOf(any) => format!(
                "none of the groups {}; {}",
                quoted(any),
                has("group", &identity.groups)
            ),
            Self::Claim(name, wanted) => match identity.claim(name) {
                Some(claim) => format!("the claim `{name}` is {claim} and should be `{wanted}`"),
                None => format!("the claim `{name}` is missing and should be `{wanted}`"),
            },
            Self::Missing(value) => format!("the request has no {value}"),
            Self::NoConsumer => "nobody who is a consumer, and only consumers may pass".to_owned(),
            Self::Consumer(what) => {
                let name = identity.consumer.as_ref().map_or("", |it| &it.name);
                format!("the consumer `{name}` {what}")
            }
            Self::Condition(why) => format!("`when` {why}"),
        }
    }
}

fn counted(noun: &str, names: &[String]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{noun}{plural} {}", quoted(names))
}

fn has(noun: &str, names: &[Box<str>]) -> String {
    if names.is_empty() {
        return format!("there is no {noun} at all");
    }
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("there {verb} {}", counted(noun, &names))
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
