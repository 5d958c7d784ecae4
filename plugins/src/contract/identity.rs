//! Who asks: what authentication found, and the consumer that it belongs to.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

/// Somebody who was authenticated.
#[derive(Clone, PartialEq)]
pub struct Identity {
    /// The `[auth.NAME]` that said so.
    pub provider: Arc<str>,
    /// Who issued the credential, where it says so.
    pub issuer: Option<Arc<str>>,
    /// Whom the credential names; unique within provider and issuer.
    pub subject: Arc<str>,
    /// The `[consumer.NAME]`, where there is one.
    pub consumer: Option<Arc<Consumer>>,
    /// The plan: that of a claim, else the consumer's.
    pub plan: Option<Arc<str>>,
    /// Groups of the claims and of the consumer.
    pub groups: Vec<Box<str>>,
    /// Scopes of the claims.
    pub scopes: Vec<Box<str>>,
    /// The claims; empty for credentials that carry none.
    pub claims: Map<String, Value>,
    key: Box<str>,
}

/// `[consumer.NAME]`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Consumer {
    /// Its name.
    pub name: Arc<str>,
    /// Its plan.
    pub plan: Option<Arc<str>>,
    /// Its groups.
    pub groups: Vec<Box<str>>,
    /// What the operator wrote beside.
    pub metadata: Map<String, Value>,
}

impl Identity {
    /// Somebody without consumer, plan, groups, scopes and claims.
    pub fn new(
        provider: impl Into<Arc<str>>,
        issuer: Option<Arc<str>>,
        subject: impl Into<Arc<str>>,
    ) -> Self {
        let (provider, subject) = (provider.into(), subject.into());
        let key = key(&provider, issuer.as_deref(), &subject);
        Self {
            provider,
            issuer,
            subject,
            consumer: None,
            plan: None,
            groups: Vec::new(),
            scopes: Vec::new(),
            claims: Map::new(),
            key,
        }
    }

    /// The value `identity`: provider, issuer and subject as one text that no other three make.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The claim of this name; where none has the whole name, its dots are steps into objects.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name).or_else(|| {
            let mut steps = name.split('.');
            let first = self.claims.get(steps.next()?)?;
            steps.try_fold(first, |value, step| value.get(step))
        })
    }
}

/// Lengths keep the parts apart, whatever is in them.
fn key(provider: &str, issuer: Option<&str>, subject: &str) -> Box<str> {
    let issuer = issuer.unwrap_or_default();
    format!("{provider}/{}:{issuer}/{subject}", issuer.len()).into()
}

impl fmt::Debug for Identity {
    /// Without claims: they may hold anything about a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("provider", &self.provider)
            .field("consumer", &self.consumer.as_ref().map(|it| &it.name))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_of_different_people_differ() {
        let key = |issuer: Option<&str>, subject: &str| {
            let issuer = issuer.map(Arc::from);
            Identity::new("idp", issuer, subject).key().to_owned()
        };
        assert_ne!(key(Some("a"), "b/c"), key(Some("a/b"), "c"));
        assert_ne!(key(None, "a"), key(Some("a"), ""));
    }

    #[test]
    fn a_claim_is_found_by_its_whole_name_or_by_steps() {
        let mut identity = Identity::new("idp", None, "me");
        identity.claims = json!({ "https://x.example/plan": 1, "a": { "b": "c" }, "a.d": 2 })
            .as_object()
            .unwrap()
            .clone();
        assert_eq!(identity.claim("https://x.example/plan"), Some(&json!(1)));
        assert_eq!(identity.claim("a.b"), Some(&json!("c")));
        assert_eq!(identity.claim("a.d"), Some(&json!(2)));
        assert_eq!(identity.claim("a.b.c"), None);
    }
}
