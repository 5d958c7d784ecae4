//! A value that is a string for the simple case and a table or a list for the rest.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{
    BoolDeserializer, MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer,
};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A string or a truth value (`S`) or something with parts (`P`), a table or a list. Keeps places, which `untagged` would lose.
#[derive(Debug, Clone)]
pub(in crate::config) enum Either<S, P> {
    /// The string or truth value.
    Short(S),
    /// The table or list.
    Long(P),
}

impl<'de, S: Deserialize<'de>, P: Deserialize<'de>> Deserialize<'de> for Either<S, P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherVisitor(PhantomData))
    }
}

struct EitherVisitor<S, P>(PhantomData<(S, P)>);

impl<'de, S: Deserialize<'de>, P: Deserialize<'de>> Visitor<'de> for EitherVisitor<S, P> {
    type Value = Either<S, P>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a truth value, a table or a list")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        S::deserialize(StrDeserializer::new(text)).map(Either::Short)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        S::deserialize(BoolDeserializer::new(value)).map(Either::Short)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        P::deserialize(MapAccessDeserializer::new(map)).map(Either::Long)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        P::deserialize(SeqAccessDeserializer::new(list)).map(Either::Long)
    }
}

impl<S: JsonSchema, P: JsonSchema> JsonSchema for Either<S, P> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}_or_{}", S::schema_name(), P::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let short = generator.subschema_for::<S>();
        let long = generator.subschema_for::<P>();
        json_schema!({ "anyOf": [short, long] })
    }
}
