//! `authorize` as written and as meant.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Deserializer;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};

use super::condition::Condition;
use super::scopes::{RawScopes, ScopesConfig};
use crate::contract::consumers::Mentioned;
use crate::contract::mode::{Date, RawMode};
use crate::contract::prelude::*;

/// `authorize` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawAuthorize {
    /// Scopes that it takes all of: a list; lists by method; or `{ by, map, otherwise }`, lists by a value of the request. A
    /// method or a value without a list is refused.
    scopes: Option<At<ListOr<RawScopes>>>,
    /// Scopes of which it takes one.
    scopes_any: Option<At<Vec<At<String>>>>,
    /// Groups of which it takes one.
    groups: Option<At<Vec<At<String>>>>,
    /// What claims must be: a text, which may hold values of the request, or a list of texts of which it takes one.
    claims: Option<BTreeMap<String, At<TextOrList>>>,
    /// Consumers that may pass: a list, or `{ allow = […], deny = […] }`.
    consumers: Option<At<ListOr<RawConsumers>>>,
    /// A condition in CEL over `request`, `client.ip`, `claims`, `consumer` and `identity`.
    when: Option<At<Condition>>,
    /// `"shadow"` counts and logs what would be refused; needs `shadow-until`.
    mode: Option<At<RawMode>>,
    /// The day from which shadowed rules refuse again.
    shadow_until: Option<At<Date>>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawConsumers {
    /// Consumers that may pass; everybody else is refused.
    allow: Option<At<Vec<At<String>>>>,
    /// Consumers that are refused, also where `allow` names them.
    deny: Option<At<Vec<At<String>>>>,
}

/// A list of texts, or a table.
#[derive(Debug, Clone)]
pub(super) enum ListOr<T> {
    List(Vec<At<String>>),
    Table(T),
}

/// A text, or a list of texts.
#[derive(Debug, Clone)]
enum TextOrList {
    Text(Template),
    List(Vec<At<Template>>),
}

/// `authorize` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthorizeConfig {
    pub(super) scopes: Option<ScopesConfig>,
    pub(super) scopes_any: Option<Vec<String>>,
    pub(super) groups: Option<Vec<At<String>>>,
    pub(super) claims: Vec<(String, Vec<At<Template>>)>,
    pub(super) allow: Option<Vec<At<String>>>,
    pub(super) deny: Vec<At<String>>,
    pub(super) when: Option<At<Condition>>,
    pub(super) mode: Mode,
    /// Where the table is.
    table: At<()>,
}

impl RawAuthorize {
    pub(super) fn validate(self, table: Span, report: &mut Report) -> AuthorizeConfig {
        if self.is_empty() {
            report
                .error(
                    table.clone(),
                    "authorize.empty",
                    "this `authorize` asks for nothing",
                )
                .help("add `scopes`, `groups`, `claims`, `consumers` or `when`");
        }
        let (allow, deny) = consumers(self.consumers, report);
        AuthorizeConfig {
            scopes: self
                .scopes
                .map(|scopes| ScopesConfig::validate(scopes, report)),
            scopes_any: self
                .scopes_any
                .map(|list| plain(names("scopes-any", &list, report))),
            groups: self.groups.map(|list| names("groups", &list, report)),
            claims: claims(self.claims.unwrap_or_default(), report),
            allow,
            deny,
            when: self.when,
            mode: Mode::until(self.mode, self.shadow_until, table.clone(), report),
            table: At::new((), table),
        }
    }

    fn is_empty(&self) -> bool {
        let lists = self.scopes_any.is_none() && self.groups.is_none() && self.scopes.is_none();
        let claims = self.claims.as_ref().is_none_or(BTreeMap::is_empty);
        lists && claims && self.consumers.is_none() && self.when.is_none()
    }
}

impl AuthorizeConfig {
    /// Somebody must have been authenticated, whatever the parts are.
    pub(super) fn needs(&self) -> Vec<At<Value>> {
        let mut needs = vec![At::new(Value::Identity, self.table.span())];
        needs.extend(self.scopes.as_ref().and_then(ScopesConfig::needs));
        for template in self.claims.iter().flat_map(|(_, texts)| texts) {
            let values = template.values().cloned();
            needs.extend(values.map(|value| At::new(value, template.span())));
        }
        needs
    }

    /// Whom it names.
    pub(super) fn mentions(&self) -> Mentioned {
        let allow = self.allow.iter().flatten();
        Mentioned {
            consumers: allow.chain(&self.deny).cloned().collect(),
            groups: self.groups.clone().unwrap_or_default(),
        }
    }
}

/// Plain texts of a list that must name something.
pub(super) fn names(key: &str, list: &At<Vec<At<String>>>, report: &mut Report) -> Vec<At<String>> {
    if list.is_empty() {
        nobody(key, list.span(), report);
    }
    (**list).clone()
}

fn plain(list: Vec<At<String>>) -> Vec<String> {
    list.into_iter().map(At::into_inner).collect()
}

pub(super) fn nobody(key: &str, span: Span, report: &mut Report) {
    report
        .error(span, "authorize.empty-list", format!("`{key}` is empty"))
        .label("names nothing")
        .help("name something, or remove the key");
}

type Consumers = (Option<Vec<At<String>>>, Vec<At<String>>);

fn consumers(written: Option<At<ListOr<RawConsumers>>>, report: &mut Report) -> Consumers {
    let Some(written) = written else {
        return (None, Vec::new());
    };
    let span = written.span();
    match written.into_inner() {
        ListOr::List(list) => {
            let list = names("consumers", &At::new(list, span), report);
            (Some(list), Vec::new())
        }
        ListOr::Table(RawConsumers {
            allow: None,
            deny: None,
        }) => {
            nobody("consumers", span, report);
            (None, Vec::new())
        }
        ListOr::Table(RawConsumers { allow, deny }) => {
            let allow = allow.map(|list| names("allow", &list, report));
            let deny = deny.map(|list| names("deny", &list, report));
            (allow, deny.unwrap_or_default())
        }
    }
}

fn claims(
    written: BTreeMap<String, At<TextOrList>>,
    report: &mut Report,
) -> Vec<(String, Vec<At<Template>>)> {
    let mut all = Vec::new();
    for (name, texts) in written {
        let span = texts.span();
        if let Err(error) = format!("claim.{name}").parse::<Value>() {
            report
                .error(span.clone(), "authorize.claim", error.message)
                .label("the key before this");
        }
        let texts = match texts.into_inner() {
            TextOrList::Text(text) => vec![At::new(text, span)],
            TextOrList::List(list) => {
                if list.is_empty() {
                    nobody(&name, span, report);
                }
                list
            }
        };
        all.push((name, texts));
    }
    all
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ListOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListOrVisitor(PhantomData))
    }
}

struct ListOrVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListOrVisitor<T> {
    type Value = ListOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or a table")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(ListOr::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(ListOr::Table)
    }
}

impl<T: JsonSchema> JsonSchema for ListOr<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("list_or_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<Vec<String>>();
        let table = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [list, table] })
    }
}

impl<'de> Deserialize<'de> for TextOrList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrListVisitor)
    }
}

struct TextOrListVisitor;

impl<'de> Visitor<'de> for TextOrListVisitor {
    type Value = TextOrList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Template::deserialize(StrDeserializer::new(text)).map(TextOrList::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(TextOrList::List)
    }
}

impl JsonSchema for TextOrList {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "text_or_list".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = generator.subschema_for::<Template>();
        let list = generator.subschema_for::<Vec<Template>>();
        json_schema!({ "anyOf": [text, list] })
    }
}
