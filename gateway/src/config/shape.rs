//! The shape check: walks the tree beside the schema and reports everything that does not fit, in one run.
//!
//! Fills in environment variables on the way. What does not fit is taken out of the tree, so that the rest can still be
//! validated; what was taken from is remembered in [`Damage`], so that nobody complains about the gaps.

use std::borrow::Cow;

use plugins::contract::leaf::{self, LeafError};
use plugins::contract::place::Span;
use plugins::contract::report::Report;
use serde_json::Value;
use toml::de::{DeArray, DeTable, DeValue};

mod damage;
mod expect;
mod text;
mod unknown;

pub(super) use damage::Damage;
use expect::{with_article, wrong_type};
pub(super) use text::inside;

use super::dom::{Key, Node, kind};
use super::env::{Env, interpolate};
use super::leaf::{FORMATS, name_error};
use super::schema::{alternatives, is_map, object_of, resolved, schema};
use super::source::SourceMap;

/// A check of a string's grammar.
type Check = fn(&str) -> Result<(), LeafError>;

/// The check of a format that the schema names.
pub(super) fn format_check(format: &str) -> Option<Check> {
    leaf::FORMATS
        .iter()
        .chain(FORMATS)
        .find(|(name, _)| *name == format)
        .map(|(_, check)| *check)
}

/// Checks a whole configuration and takes out what does not fit.
pub(super) fn check(
    root: &mut DeTable<'_>,
    sources: &SourceMap,
    env: &dyn Env,
    report: &mut Report,
) -> Damage {
    let mut walk = Walk {
        sources,
        env,
        report,
        path: Vec::new(),
        damage: Damage::default(),
    };
    walk.table(root, schema(), &(0..0));
    let mut damage = walk.damage;
    damage.drop_references(root);
    damage
}

struct Walk<'a> {
    sources: &'a SourceMap,
    env: &'a dyn Env,
    report: &'a mut Report,
    /// Keys from the top to the node that is looked at.
    path: Vec<String>,
    damage: Damage,
}

/// Whether a node stays in the tree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    Keep,
    Drop,
}

impl Walk<'_> {
    /// Remembers that something was wrong here.
    fn hurt(&mut self) {
        self.damage.add(&self.path);
    }

    fn table(&mut self, table: &mut DeTable<'_>, schema: &Value, span: &Span) -> Fit {
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema
            .get("additionalProperties")
            .filter(|one| one.is_object() || is_anything(one));
        let mut meant = Vec::new();
        let mut dropped = Vec::new();
        for (key, mut node) in std::mem::take(table) {
            let name = key.get_ref().as_ref().to_owned();
            let known = properties
                .and_then(|properties| properties.get(&name))
                .or(others);
            let Some(known) = known else {
                meant.extend(self.unknown_key(&key, &node, schema));
                continue;
            };
            self.path.push(name.clone());
            let before = self.report.complaints().len();
            let fit = match self.name(&key) {
                Fit::Keep => self.value(&mut node, known),
                Fit::Drop => Fit::Drop,
            };
            let wrong = self.report.complaints().len() > before;
            let fit = if wrong && is_whole(&self.path) {
                Fit::Drop
            } else {
                fit
            };
            self.path.pop();
            match fit {
                Fit::Keep => drop(table.insert(key, node)),
                Fit::Drop => dropped.push(name),
            }
        }
        self.required(table, schema, span, &meant, &dropped)
    }

    /// Checks the name of a named object.
    fn name(&mut self, key: &Key<'_>) -> Fit {
        let [table, name] = self.path.as_slice() else {
            return Fit::Keep;
        };
        let Some(why) = name_error(name).filter(|_| is_map(table)) else {
            return Fit::Keep;
        };
        self.report
            .error(
                key.span(),
                "config.name",
                format!("`{name}` cannot name {}", with_article(table)),
            )
            .help(why);
        self.hurt();
        Fit::Drop
    }

    /// Complains about keys that must be there. A table without them cannot be read.
    fn required(
        &mut self,
        table: &DeTable<'_>,
        schema: &Value,
        span: &Span,
        meant: &[String],
        dropped: &[String],
    ) -> Fit {
        let required = schema.get("required").and_then(Value::as_array);
        let names = required.into_iter().flatten().filter_map(Value::as_str);
        let mut fit = Fit::Keep;
        // The validator has more to say about a file without listeners.
        let at_top = self.path.is_empty();
        for name in names.filter(|name| !at_top && !table.contains_key(*name)) {
            fit = Fit::Drop;
            let excused = |names: &[String]| names.iter().any(|other| other == name);
            if !excused(meant) && !excused(dropped) {
                self.missing(name, schema, span);
            }
        }
        fit
    }

    fn missing(&mut self, name: &str, schema: &Value, span: &Span) {
        let about = schema
            .pointer(&format!("/properties/{name}/description"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        let message = format!("{} has no `{name}`", self.here());
        self.report
            .error(span.clone(), "config.missing-key", message)
            .label(format!("add `{name}`"))
            .help(format!("`{name}`: {about}"));
        self.hurt();
    }

    /// The table that is looked at, as people name it.
    fn here(&self) -> String {
        match self.path.as_slice() {
            [] => "the configuration".to_owned(),
            [table] => format!("[{table}]"),
            [table, name] => format!("[{table}.{name}]"),
            [.., last] => format!("`{last}`"),
        }
    }

    fn value(&mut self, node: &mut Node<'_>, schema: &Value) -> Fit {
        let found = kind(node.get_ref());
        let choices = alternatives(schema);
        let fitting: Vec<&Value> = choices
            .iter()
            .copied()
            .filter(|choice| accepts(choice, found))
            .collect();
        let Some(first) = fitting.first() else {
            let key = self.path.last().map_or("", String::as_str);
            wrong_type(key, node, &choices, self.report);
            if choices.iter().any(|choice| is_secret(choice)) {
                self.damage.hide(node.span());
            }
            self.hurt();
            return Fit::Drop;
        };
        if is_anything(first) {
            return Fit::Keep;
        }
        let span = node.span();
        match node.get_mut() {
            DeValue::String(text) => self.string(text, &span, &fitting),
            DeValue::Integer(number) => {
                let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
                self.range(number, &span, first)
            }
            DeValue::Array(items) => self.items(items, first),
            DeValue::Table(table) => self.table(table, first, &span),
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => Fit::Keep,
        }
    }

    fn items(&mut self, items: &mut DeArray<'_>, schema: &Value) -> Fit {
        let Some(item) = schema.get("items") else {
            return Fit::Keep;
        };
        let mut dropped = false;
        let taken = std::mem::replace(items, DeArray::new());
        for mut node in taken {
            if self.value(&mut node, item) == Fit::Keep {
                items.push(node);
            } else {
                dropped = true;
            }
        }
        // An empty list means something; this one only lost its items.
        if dropped && items.is_empty() {
            Fit::Drop
        } else {
            Fit::Keep
        }
    }

    fn range(&mut self, number: Option<i64>, span: &Span, schema: &Value) -> Fit {
        let bound = |key: &str| schema.get(key).and_then(Value::as_i64);
        // Integers that no bound names are read into 32 bits.
        let (min, max) = (
            bound("minimum").unwrap_or(0),
            bound("maximum").unwrap_or_else(|| i64::from(u32::MAX)),
        );
        if number.is_some_and(|number| (min..=max).contains(&number)) {
            return Fit::Keep;
        }
        let key = self.path.last().map_or("", String::as_str);
        let wrong = if number.is_some_and(|number| number < min) {
            "small"
        } else {
            "large"
        };
        let message = format!("`{key}` is too {wrong}");
        let complaint = self.report.error(span.clone(), "config.range", message);
        if wrong == "small" {
            complaint.help(format!("at least {min}"));
        } else {
            complaint.help(format!("at most {max}"));
        }
        self.hurt();
        Fit::Drop
    }

    fn string(&mut self, text: &mut Cow<'_, str>, span: &Span, choices: &[&Value]) -> Fit {
        if let Some(format) = choices.iter().find_map(|choice| secret_format(choice)) {
            return self.secret(text, span, format);
        }
        // Read, and complained about, long before.
        if self.path.first().is_some_and(|top| top == "include") {
            return Fit::Keep;
        }
        let mut filled = false;
        match interpolate(text, self.env) {
            Ok(Cow::Borrowed(_)) => {}
            Ok(Cow::Owned(value)) => {
                *text = Cow::Owned(value);
                filled = true;
            }
            Err(errors) => {
                for error in errors {
                    let place = inside(self.sources, span, text, &error.at);
                    self.report
                        .error(place, "config.variable", error.message)
                        .help(error.help);
                }
                self.hurt();
                return Fit::Drop;
            }
        }
        let Err(error) = text::fits(text, choices) else {
            return Fit::Keep;
        };
        let place = match &error.at {
            Some(at) => inside(self.sources, span, text, at),
            None => span.clone(),
        };
        // An address with a password in it is wrong, and shown nowhere.
        let hidden = choices.iter().any(|choice| may_hold_password(choice)) && text.contains('@');
        if hidden {
            self.damage.hide(span.clone());
        }
        let complaint = self.report.error(place, "config.value", error.message);
        if filled && !hidden {
            complaint.label(format!("is \"{text}\" when the variables are filled in"));
        }
        if let Some(help) = error.help {
            complaint.help(help);
        }
        self.hurt();
        Fit::Drop
    }

    /// Checks a reference to a secret, or its hash. What is neither may be the secret: it is shown nowhere.
    fn secret(&mut self, text: &str, span: &Span, format: &str) -> Fit {
        let Some(Err(error)) = format_check(format).map(|check| check(text)) else {
            return Fit::Keep;
        };
        self.damage.hide(span.clone());
        let complaint = self
            .report
            .error(span.clone(), "config.secret", error.message);
        complaint.help(error.help.unwrap_or_default());
        self.hurt();
        Fit::Drop
    }
}

/// Whether a node is taken out whole if anything in it is wrong: half a policy, a pattern or an action means something
/// that nobody wrote.
fn is_whole(path: &[String]) -> bool {
    match path {
        [table, _] if matches!(table.as_str(), "always" | "defaults") => true,
        [plugin, _] => plugins::chain::NAMES.contains(&plugin.as_str()),
        [table, _, _] => table == "route",
        _ => false,
    }
}

fn is_secret(schema: &Value) -> bool {
    secret_format(schema).is_some()
}

/// The format of what stands for a secret.
fn secret_format(schema: &Value) -> Option<&str> {
    let format = schema.get("format").and_then(Value::as_str)?;
    matches!(format, "secret-reference" | "key-hash" | "password-hash").then_some(format)
}

/// Whether anything fits: the operator's own data.
fn is_anything(schema: &Value) -> bool {
    *schema == Value::Bool(true)
}

fn may_hold_password(schema: &Value) -> bool {
    schema.get("format").and_then(Value::as_str) == Some("redis-url")
}

/// Whether a schema takes values of this kind.
fn accepts(schema: &Value, kind: &str) -> bool {
    if is_anything(schema) {
        return true;
    }
    let fits = |name: &Value| {
        name.as_str()
            .is_some_and(|name| name == kind || (name == "number" && kind == "integer"))
    };
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().any(fits),
        Some(name) => fits(name),
        None => schema.get("const").is_some_and(Value::is_string) && kind == "string",
    }
}
