//! `scopes` of `authorize`: the same for every request, or chosen by its method or by one of its values.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{Schema, SchemaGenerator};
use serde::Deserializer;
use serde::de::{MapAccess, Visitor};

use super::raw::{ListOr, names, nobody};
use super::rules::{Stop, Why};
use crate::contract::prelude::*;
use crate::contract::token::MethodName;

type List = Vec<At<String>>;

/// Scopes that differ from request to request, as written.
#[derive(Debug, Clone, Default)]
pub(super) struct RawScopes {
    by: RawBy,
    methods: BTreeMap<String, At<List>>,
}

/// The keys by which a value chooses; every other key is a method.
#[derive(Debug, Clone, Default, JsonSchema)]
struct RawBy {
    /// The value of the request that chooses, for example `"host.tenant"`.
    by: Option<At<Value>>,
    /// Scopes by what the value is.
    map: Option<At<BTreeMap<String, At<List>>>>,
    /// Scopes for any other value, and for none. Default: such requests are refused.
    otherwise: Option<At<List>>,
}

/// The scopes that a request takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ScopesConfig {
    /// Every request these.
    All(Vec<String>),
    /// By its method.
    ByMethod(Vec<(Method, Vec<String>)>),
    /// By one of its values.
    ByValue {
        value: At<Value>,
        map: BTreeMap<String, Vec<String>>,
        otherwise: Option<Vec<String>>,
    },
}

impl ScopesConfig {
    pub(super) fn validate(written: At<ListOr<RawScopes>>, report: &mut Report) -> Self {
        let span = written.span();
        match written.into_inner() {
            ListOr::List(list) => Self::All(texts(names("scopes", &At::new(list, span), report))),
            ListOr::Table(RawScopes { by, methods }) if by.is_empty() => {
                if methods.is_empty() {
                    nobody("scopes", span, report);
                }
                by_method(methods, report)
            }
            ListOr::Table(table) => table.by_value(span, report),
        }
    }

    /// The value that it chooses by.
    pub(super) fn needs(&self) -> Option<At<Value>> {
        match self {
            Self::ByValue { value, .. } => Some(value.clone()),
            Self::All(_) | Self::ByMethod(_) => None,
        }
    }

    /// What this request takes; a method or a value of which nothing is said is refused.
    pub(super) fn of(&self, request: &RequestView<'_>) -> Result<&[String], Stop> {
        match self {
            Self::All(scopes) => Ok(scopes),
            Self::ByMethod(methods) => of_method(methods, request.method).ok_or_else(|| {
                let method = request.method.clone();
                Stop::Denied(Why::MethodWithoutScopes(method))
            }),
            Self::ByValue {
                value,
                map,
                otherwise,
            } => {
                let found = request
                    .look_in(value, |text| map.get(text))
                    .map_err(|error| Stop::Unreadable((**value).clone(), error))?;
                let scopes = found.or(otherwise.as_ref()).map(Vec::as_slice);
                scopes.ok_or_else(|| Stop::Denied(Why::ValueWithoutScopes((**value).clone())))
            }
        }
    }
}

impl RawBy {
    fn is_empty(&self) -> bool {
        self.by.is_none() && self.map.is_none() && self.otherwise.is_none()
    }
}

impl RawScopes {
    fn by_value(self, span: Span, report: &mut Report) -> ScopesConfig {
        for list in self.methods.values() {
            report
                .error(
                    list.span(),
                    "authorize.scopes-mixed",
                    "scopes are chosen by the method or by a value",
                )
                .label("the key before this is none of `by`, `map` and `otherwise`")
                .help("keep one of the two, and write another `authorize` for the other one");
        }
        let map = self.by.map.map(At::into_inner).unwrap_or_default();
        if self.by.by.is_none() || map.is_empty() {
            report
                .error(
                    span.clone(),
                    "authorize.scopes-by",
                    "scopes that a value chooses take `by` and `map`",
                )
                .help("for example { by = \"host.tenant\", map = { acme = [\"acme.read\"] } }");
        }
        // An empty list is a statement here: this value takes no scope.
        let list = |list: At<List>| texts(list.into_inner());
        ScopesConfig::ByValue {
            value: self.by.by.unwrap_or_else(|| At::new(Value::Method, span)),
            map: map.into_iter().map(|(text, of)| (text, list(of))).collect(),
            otherwise: self.by.otherwise.map(list),
        }
    }
}

fn by_method(table: BTreeMap<String, At<List>>, report: &mut Report) -> ScopesConfig {
    let mut all = Vec::new();
    for (name, list) in table {
        match name.parse::<MethodName>() {
            // An empty list is a statement here: this method takes no scope.
            Ok(method) => all.push((method.method().clone(), texts(list.into_inner()))),
            Err(error) => {
                let complaint = report.error(list.span(), "authorize.method", error.message);
                complaint.label("the key before this");
                complaint.help(
                    error
                        .help
                        .unwrap_or_else(|| "write for example GET".to_owned()),
                );
            }
        }
    }
    ScopesConfig::ByMethod(all)
}

fn texts(list: List) -> Vec<String> {
    list.into_iter().map(At::into_inner).collect()
}

/// What a method takes; `GET` stands for `HEAD`, too.
fn of_method<'a>(methods: &'a [(Method, Vec<String>)], method: &Method) -> Option<&'a [String]> {
    let of = |method: &Method| methods.iter().find(|(name, _)| name == method);
    let found = of(method).or_else(|| {
        let head = *method == Method::HEAD;
        head.then(|| of(&Method::GET)).flatten()
    });
    found.map(|(_, scopes)| scopes.as_slice())
}

impl<'de> Deserialize<'de> for RawScopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawScopesVisitor)
    }
}

struct RawScopesVisitor;

impl<'de> Visitor<'de> for RawScopesVisitor {
    type Value = RawScopes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of scopes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawScopes, A::Error> {
        let mut table = RawScopes::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "by" => table.by.by = Some(map.next_value()?),
                "map" => table.by.map = Some(map.next_value()?),
                "otherwise" => table.by.otherwise = Some(map.next_value()?),
                _ => drop(table.methods.insert(key, map.next_value()?)),
            }
        }
        Ok(table)
    }
}

impl JsonSchema for RawScopes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "scopes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = RawBy::json_schema(generator);
        let method = generator.subschema_for::<Vec<String>>();
        schema.insert("additionalProperties".to_owned(), method.into());
        schema
    }
}
