//! How a route names a policy: by name, by an inline table, by a list of both, or `"none"`.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::place::{At, Span};

/// The value of a policy's key as written.
#[derive(Debug, Clone)]
pub enum PolicyRef<R> {
    /// A name of a table `[PLUGIN.NAME]`, or `none`.
    Named(String),
    /// The table itself.
    Inline(R),
    /// Several: all must pass.
    Many(Vec<At<PolicyRef<R>>>),
}

/// A validated policy with where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed<C> {
    /// The policy as meant.
    pub config: C,
    /// Its name; `None` for an inline table.
    pub name: Option<String>,
    /// Where the route (or `[defaults]`, `[always]`) says it.
    pub span: Span,
    /// Who says it.
    pub layer: Layer,
}

/// Who says that a route has a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// `[always]`: no route can drop it.
    Always,
    /// `[defaults]`: the route said nothing.
    Defaults,
    /// The route itself, or the one it is `like`.
    Route,
}

impl<'de, R: Deserialize<'de>> Deserialize<'de> for PolicyRef<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PolicyVisitor(PhantomData))
    }
}

struct PolicyVisitor<R>(PhantomData<R>);

impl<'de, R: Deserialize<'de>> Visitor<'de> for PolicyVisitor<R> {
    type Value = PolicyRef<R>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a policy's name, a table or a list of them")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(PolicyRef::Named(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        R::deserialize(MapAccessDeserializer::new(map)).map(PolicyRef::Inline)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(PolicyRef::Many)
    }
}

impl<R: JsonSchema> JsonSchema for PolicyRef<R> {
    fn schema_name() -> Cow<'static, str> {
        format!("PolicyRef_{}", R::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<R>();
        let name = json_schema!({ "type": "string", "format": "policy-name" });
        json_schema!({ "anyOf": [name, table, { "type": "array", "items": { "anyOf": [name, table] } }] })
    }
}
