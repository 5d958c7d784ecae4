//! From claims to an identity: which claims name the consumer, the plan, the scopes and the groups.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::claims::find;
use super::fault::Fault;
use crate::contract::identity::Identity;

/// The claim that names whoever a token is about (RFC 7519 section 4.1.2).
const SUBJECT: &str = "sub";
/// The claim of scopes where the provider's table names none (RFC 8693 section 4.2, RFC 7662 section 2.2).
const SCOPE: &str = "scope";

/// Names of claims.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mapping {
    /// The claim that names the consumer.
    pub consumer: Option<Box<str>>,
    /// The claim that holds the plan.
    pub plan: Option<Box<str>>,
    /// The claim that holds the scopes: one text with spaces between them, or a list.
    pub scopes: Option<Box<str>>,
    /// The claim that holds the groups: a list, or one text that is one group.
    pub groups: Option<Box<str>>,
}

impl Mapping {
    /// Who these claims are about, without a consumer yet. Whoever has no `sub` goes by the claim that names the consumer:
    /// two who are nobody must not share their limits.
    pub fn identity(
        &self,
        provider: &Arc<str>,
        claims: Map<String, Value>,
    ) -> Result<Identity, Fault> {
        let subject = match text(&claims, SUBJECT)? {
            Some(subject) => subject,
            None => self
                .named_consumer(&claims)?
                .ok_or_else(|| Fault::Missing(SUBJECT.into()))?,
        };
        let issuer = text(&claims, "iss")?.map(Arc::from);
        let mut identity = Identity::new(Arc::clone(provider), issuer, subject);
        if let Some(plan) = &self.plan {
            identity.plan = text(&claims, plan)?.map(Arc::from);
        }
        let scopes = self.scopes.as_deref().unwrap_or(SCOPE);
        identity.scopes = list(&claims, scopes, |text| {
            text.split_ascii_whitespace().collect()
        })?;
        if let Some(groups) = &self.groups {
            identity.groups = list(&claims, groups, |text| vec![text])?;
        }
        identity.claims = claims;
        Ok(identity)
    }

    /// What the claim that names the consumer says, where the provider's table names one.
    pub fn named_consumer<'a>(
        &self,
        claims: &'a Map<String, Value>,
    ) -> Result<Option<&'a str>, Fault> {
        match &self.consumer {
            Some(name) => text(claims, name),
            None => Ok(None),
        }
    }
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Fault> {
    match find(claims, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Fault::WrongType(name.into())),
    }
}

fn list(
    claims: &Map<String, Value>,
    name: &str,
    split: impl FnOnce(&str) -> Vec<&str>,
) -> Result<Vec<Box<str>>, Fault> {
    let wrong = || Fault::WrongType(name.into());
    let items = match find(claims, name) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => split(text),
        Some(Value::Array(items)) => {
            let items = items.iter().map(Value::as_str);
            items.collect::<Option<_>>().ok_or_else(wrong)?
        }
        Some(_) => return Err(wrong()),
    };
    Ok(items.into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapping() -> Mapping {
        Mapping {
            consumer: None,
            plan: Some("https://example.com/plan".into()),
            scopes: None,
            groups: Some("realm_access.roles".into()),
        }
    }

    fn identity(mapping: &Mapping, claims: Value) -> Result<Identity, Fault> {
        let Value::Object(claims) = claims else {
            panic!("claims are an object");
        };
        mapping.identity(&"idp".into(), claims)
    }

    fn boxed(texts: &[&str]) -> Vec<Box<str>> {
        texts.iter().copied().map(Into::into).collect()
    }

    #[test]
    fn reads_the_claims_that_the_table_names() {
        let claims = json!({
            "iss": "https://idp", "sub": "me", "scope": "orders.read  orders.write", "https://example.com/plan": "gold",
            "realm_access": { "roles": ["admin", "a b"] },
        });
        let identity = identity(&mapping(), claims).unwrap();
        assert_eq!((&*identity.provider, &*identity.subject), ("idp", "me"));
        assert_eq!(identity.issuer.as_deref(), Some("https://idp"));
        assert_eq!(identity.plan.as_deref(), Some("gold"));
        assert_eq!(identity.scopes, boxed(&["orders.read", "orders.write"]));
        assert_eq!(identity.groups, boxed(&["admin", "a b"]));
        assert_eq!(identity.claim("sub"), Some(&json!("me")));
    }

    #[test]
    fn scopes_and_groups_may_be_a_text_or_a_list() {
        let mapping = Mapping {
            scopes: Some("scp".into()),
            groups: Some("team".into()),
            ..Mapping::default()
        };
        let read = |claims| identity(&mapping, claims).map(|it| (it.scopes, it.groups));
        assert_eq!(
            read(json!({ "sub": "me", "scp": ["a", "b c"], "team": "the team" })),
            Ok((boxed(&["a", "b c"]), boxed(&["the team"])))
        );
        assert_eq!(
            read(json!({ "sub": "me", "scp": null, "scope": "x" })),
            Ok((vec![], vec![]))
        );
        for wrong in [json!(1), json!({}), json!(["a", 1]), json!(true)] {
            assert_eq!(
                read(json!({ "sub": "me", "scp": wrong })),
                Err(Fault::WrongType("scp".into()))
            );
            assert_eq!(
                read(json!({ "sub": "me", "team": wrong })),
                Err(Fault::WrongType("team".into()))
            );
        }
    }

    #[test]
    fn somebody_must_be_meant() {
        assert_eq!(
            identity(&mapping(), json!({})).unwrap_err(),
            Fault::Missing("sub".into())
        );
        assert_eq!(
            identity(&mapping(), json!({ "sub": 7 })).unwrap_err(),
            Fault::WrongType("sub".into())
        );
        let by_client = Mapping {
            consumer: Some("azp".into()),
            ..Mapping::default()
        };
        assert_eq!(
            &*identity(&by_client, json!({ "azp": "app" }))
                .unwrap()
                .subject,
            "app"
        );
        assert_eq!(
            &*identity(&by_client, json!({ "azp": "app", "sub": "me" }))
                .unwrap()
                .subject,
            "me"
        );
        assert_eq!(
            identity(&by_client, json!({ "azp": 1 })).unwrap_err(),
            Fault::WrongType("azp".into())
        );
        let wrong = json!({ "sub": "me", "https://example.com/plan": ["gold"] });
        assert_eq!(
            identity(&mapping(), wrong).unwrap_err(),
            Fault::WrongType("https://example.com/plan".into())
        );
    }
}
