//! The tables `throttle`, `rate-limit` and `quota` as written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::rate::Rate;
use crate::contract::leaf::LeafError;
use crate::contract::mode::RawMode;
use crate::contract::place::At;
use crate::contract::value::Value;
use crate::leaf;

/// `throttle` or `rate-limit` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawLimit {
    /// Who is counted: a value of the request or a list of them. Default: `"identity"`, for throttle `"client.ip"`.
    pub(super) key: Option<At<Values>>,
    /// What everybody may use: `"100/min"`. Either this or `rates`.
    pub(super) rate: Option<At<Rate>>,
    /// What each plan may use: `{ free = "100/min", premium = "1000/min" }`.
    pub(super) rates: Option<At<BTreeMap<String, At<Rate>>>>,
    /// The value that names the plan. Default: `"consumer.plan"`.
    pub(super) plan: Option<At<Value>>,
    /// The plan of `rates` that holds for everybody else.
    pub(super) otherwise: Option<At<String>>,
    /// What may be used at once with `window = "bucket"`. Default: the count of the rate.
    pub(super) burst: Option<At<u64>>,
    /// How it is counted: `"bucket"` refills at the rate, `"sliding"` never admits more than the count in any window.
    pub(super) window: Option<At<RawWindow>>,
    /// What a request uses: a number, or a value of the request that is one. Default: `1`.
    pub(super) cost: Option<At<RawCost>>,
    /// The `[store.NAME]` in which all gateways count together. Left out: each counts for itself.
    pub(super) store: Option<At<String>>,
    /// While the store does not answer: `"local"` counts here, `"allow"` and `"deny"` do not count. Default: `"local"`.
    pub(super) on_error: Option<At<RawOnError>>,
    /// Whether a refusal of the store holds here until its time is over, 5 s at most, without asking again. Default: `true`.
    pub(super) local_refusals: Option<At<bool>>,
    /// The fields that tell clients what is left: `"ietf"`, `"legacy"`, `"both"` or `"none"`. Default: `"ietf"`.
    pub(super) headers: Option<At<RawHeaders>>,
    /// `"shadow"` counts and logs what would be refused.
    pub(super) mode: Option<At<RawMode>>,
}

/// `quota` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawQuota {
    /// Who is counted: a value of the request or a list of them. Default: `"identity"`.
    pub(super) key: Option<At<Values>>,
    /// What everybody may use in each hour, day or month: `"10000/day"`. Either this or `rates`.
    pub(super) rate: Option<At<Rate>>,
    /// What each plan may use: `{ free = "1000/day", premium = "1000000/month" }`.
    pub(super) rates: Option<At<BTreeMap<String, At<Rate>>>>,
    /// The value that names the plan. Default: `"consumer.plan"`.
    pub(super) plan: Option<At<Value>>,
    /// The plan of `rates` that holds for everybody else.
    pub(super) otherwise: Option<At<String>>,
    /// The time zone whose clock and calendar count: `"Europe/Berlin"`. Default: `"UTC"`.
    pub(super) time_zone: Option<At<ZoneName>>,
    /// What a request uses: a number, or a value of the request that is one. Default: `1`.
    pub(super) cost: Option<At<RawCost>>,
    /// The `[store.NAME]` in which all gateways count together, and which a restart does not empty.
    pub(super) store: Option<At<String>>,
    /// While the store does not answer: `"local"` counts here, `"allow"` and `"deny"` do not count. Default: `"local"`.
    pub(super) on_error: Option<At<RawOnError>>,
    /// Whether a refusal of the store holds here until its time is over, 5 s at most, without asking again. Default: `true`.
    pub(super) local_refusals: Option<At<bool>>,
    /// The fields that tell clients what is left: `"ietf"`, `"legacy"`, `"both"` or `"none"`. Default: `"ietf"`.
    pub(super) headers: Option<At<RawHeaders>>,
    /// `"shadow"` counts and logs what would be refused.
    pub(super) mode: Option<At<RawMode>>,
}

/// How requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RawWindow {
    /// A burst that refills at the rate.
    Bucket,
    /// Never more than the count in any window of that length.
    Sliding,
}

/// What happens while the store does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RawOnError {
    /// Each gateway counts for itself.
    #[default]
    Local,
    /// Requests pass uncounted.
    Allow,
    /// Requests are refused with 503.
    Deny,
}

impl RawOnError {
    /// The word for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// The fields that tell clients what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RawHeaders {
    /// `RateLimit` and `RateLimit-Policy`.
    #[default]
    Ietf,
    /// `X-RateLimit-Limit`, `-Remaining`, `-Reset`.
    Legacy,
    /// All of them.
    Both,
    /// None, but for `Retry-After`.
    None,
}

/// What a request uses, as written.
#[derive(Debug, Clone, PartialEq)]
pub enum RawCost {
    /// Always the same.
    Number(u64),
    /// What the request says.
    Value(Value),
}

/// A value, or a list of values.
#[derive(Debug, Clone)]
pub enum Values {
    /// One.
    One(Value),
    /// Several: who has them all is one.
    Many(Vec<At<Value>>),
}

/// A time zone by its name in the IANA database.
#[derive(Debug, Clone, PartialEq)]
pub struct ZoneName(pub(super) TimeZone);

leaf!(
    ZoneName,
    "time-zone",
    "a time zone: \"UTC\", \"Europe/Berlin\""
);

impl FromStr for ZoneName {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        TimeZone::get(text).map(Self).map_err(|_| {
            LeafError::new(format!("`{text}` is not a time zone"))
                .help("write a name of the IANA database, for example \"Europe/Berlin\"")
        })
    }
}

struct CostVisitor;

impl Visitor<'_> for CostVisitor {
    type Value = RawCost;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a value of the request")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<RawCost, E> {
        let wrong = |_| E::invalid_value(Unexpected::Signed(number), &self);
        u64::try_from(number).map(RawCost::Number).map_err(wrong)
    }

    fn visit_u64<E>(self, number: u64) -> Result<RawCost, E> {
        Ok(RawCost::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawCost, E> {
        text.parse().map(RawCost::Value).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for RawCost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CostVisitor)
    }
}

impl JsonSchema for RawCost {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "cost".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<Value>();
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1 }, value] })
    }
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the request, or a list of them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Values, E> {
        text.parse().map(Values::One).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Values, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Values::Many)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValuesVisitor)
    }
}

impl JsonSchema for Values {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "values".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<Value>();
        json_schema!({ "anyOf": [value, { "type": "array", "items": value }] })
    }
}
