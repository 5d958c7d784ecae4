//! What a condition sees of a request: made when it is asked for, borrowed where that is possible.

use std::collections::HashMap;
use std::sync::Arc;

use cel::common::types::{CelBool, CelString};
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::objects::{Key, Map};
use serde_json::Value as Json;

use super::check::Reads;
use crate::contract::identity::Identity;
use crate::contract::value::{Value, ValueError};
use crate::contract::view::RequestView;

/// Members of a list that a macro goes through.
const MEMBERS_MAX: usize = 256;

/// The names of a condition and what they stand for.
pub(super) struct World<'a> {
    seen: Option<(&'a RequestView<'a>, &'a Identity)>,
    headers: cel::Value,
    query: cel::Value,
    loops: bool,
}

impl<'a> World<'a> {
    /// Nobody's request.
    pub(super) fn empty() -> Self {
        Self {
            seen: None,
            headers: map(HashMap::new()),
            query: map(HashMap::new()),
            loops: false,
        }
    }

    /// A request by somebody, or which of the values that the condition reads cannot be read.
    pub(super) fn new(
        request: &'a RequestView<'a>,
        identity: &'a Identity,
        reads: &Reads,
    ) -> Result<Self, (Value, ValueError)> {
        let (mut headers, mut query) = (HashMap::new(), HashMap::new());
        for value in &reads.values {
            let (name, into) = if let Value::Header(name) = value {
                (name.as_str(), &mut headers)
            } else if let Value::Query(name) = value {
                (&**name, &mut query)
            } else {
                continue;
            };
            match request.lookup(value) {
                Ok(text) => {
                    into.insert(key(name), text_of(&text));
                }
                Err(ValueError::Missing) => {}
                Err(error) => return Err((value.clone(), error)),
            }
        }
        Ok(Self {
            seen: Some((request, identity)),
            headers: map(headers),
            query: map(query),
            loops: reads.loops,
        })
    }

    fn consumer(&self) -> Option<cel::Value> {
        let (_, identity) = self.seen?;
        let Some(consumer) = &identity.consumer else {
            return Some(cel::Value::Null);
        };
        let metadata = Json::Object(consumer.metadata.clone());
        Some(map(HashMap::from([
            (key("name"), text_of(&consumer.name)),
            (key("plan"), optional(consumer.plan.as_deref())),
            (key("groups"), self.list(&consumer.groups)?),
            (key("metadata"), self.json(&metadata)?),
        ])))
    }

    fn identity(&self) -> Option<cel::Value> {
        let (_, identity) = self.seen?;
        Some(map(HashMap::from([
            (key("provider"), text_of(&identity.provider)),
            (key("issuer"), optional(identity.issuer.as_deref())),
            (key("subject"), text_of(&identity.subject)),
            (key("plan"), optional(identity.plan.as_deref())),
            (key("groups"), self.list(&identity.groups)?),
            (key("scopes"), self.list(&identity.scopes)?),
        ])))
    }

    /// `claims`, or one of them where that is all that is asked for.
    fn claims(&self, name: &str) -> Option<cel::Value> {
        let (_, identity) = self.seen?;
        if name == "claims" {
            let all = identity.claims.iter();
            let all = all.map(|(name, claim)| Some((key(name), self.json(claim)?)));
            return Some(map(all.collect::<Option<_>>()?));
        }
        let name = name.strip_prefix("claims.")?;
        self.json(identity.claims.get(name).filter(|_| !name.contains('.'))?)
    }

    fn list(&self, names: &[Box<str>]) -> Option<cel::Value> {
        self.short(names.len())?;
        let names = names.iter().map(|name| text_of(name)).collect();
        Some(cel::Value::List(Arc::new(names)))
    }

    /// `None` where a macro would have to go through too much: then the condition cannot be told.
    fn short(&self, length: usize) -> Option<()> {
        (!self.loops || length <= MEMBERS_MAX).then_some(())
    }

    fn json(&self, value: &Json) -> Option<cel::Value> {
        Some(match value {
            Json::Null => cel::Value::Null,
            Json::Bool(value) => cel::Value::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(whole), _) => cel::Value::Int(whole),
                (None, Some(whole)) => cel::Value::UInt(whole),
                (None, None) => cel::Value::Float(number.as_f64()?),
            },
            Json::String(text) => text_of(text),
            Json::Array(members) => {
                self.short(members.len())?;
                let members = members.iter().map(|member| self.json(member));
                cel::Value::List(Arc::new(members.collect::<Option<_>>()?))
            }
            Json::Object(members) => {
                self.short(members.len())?;
                let members = members.iter();
                let members = members.map(|(name, member)| Some((key(name), self.json(member)?)));
                map(members.collect::<Option<_>>()?)
            }
        })
    }
}

impl VariableResolver for World<'_> {
    /// The interpreter asks for the longest name first: `request.path`, then `request`.
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let text = |text: &'b str| Some(CowVal::owned(CelString::from(text)));
        let value = match name {
            "request.headers" => self.headers.clone(),
            "request.query" => self.query.clone(),
            "request.method" => return text(self.seen?.0.method.as_str()),
            "request.host" => return text(self.seen?.0.host),
            "request.path" => return text(self.seen?.0.path),
            "request.secure" => return Some(CowVal::owned(CelBool::from(self.seen?.0.secure))),
            "client.ip" => {
                let client = self.seen?.0.client?;
                return Some(CowVal::owned(CelString::from(client.to_string())));
            }
            "consumer" => self.consumer()?,
            "identity" => self.identity()?,
            name if name.starts_with("claims") => self.claims(name)?,
            _ => return None,
        };
        value.try_into().ok().map(CowVal::Owned)
    }
}

fn key(name: &str) -> Key {
    Key::String(Arc::new(name.to_owned()))
}

fn text_of(text: &str) -> cel::Value {
    cel::Value::String(Arc::new(text.to_owned()))
}

fn optional(text: Option<&str>) -> cel::Value {
    text.map_or(cel::Value::Null, text_of)
}

fn map(members: HashMap<Key, cel::Value>) -> cel::Value {
    cel::Value::Map(Map {
        map: Arc::new(members),
    })
}
