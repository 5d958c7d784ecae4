//! What `headers` does to one side: as written, as meant, compiled.

use std::collections::BTreeMap;

use crate::contract::prelude::*;
use crate::contract::token::FieldName;

/// Fields of a connection, not of a message (RFC 9110 section 7.6.1, RFC 9112 section 6), which decide where it ends.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// One side of `headers` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawEdits {
    /// Fields to have exactly once, with this value.
    set: Option<BTreeMap<String, At<Template>>>,
    /// Fields to add to those of the same name.
    add: Option<BTreeMap<String, At<Template>>>,
    /// Fields to take away.
    remove: Option<At<Vec<At<String>>>>,
}

/// One side of `headers` as meant: one change a name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct EditsConfig {
    by_name: BTreeMap<String, EditConfig>,
}

#[derive(Debug, Clone, PartialEq)]
enum EditConfig {
    Set(At<Template>),
    Add(At<Template>),
    Remove,
}

/// One side of `headers`, compiled.
pub(super) struct Edits {
    edits: Box<[(HeaderName, Edit)]>,
}

enum Edit {
    Set(Text),
    Add(Text),
    Remove,
}

enum Text {
    Literal(HeaderValue),
    Template(Template),
}

impl RawEdits {
    pub(super) fn validate(self, report: &mut Report) -> EditsConfig {
        let mut collector = Collector {
            by_name: BTreeMap::new(),
            places: BTreeMap::new(),
            report,
        };
        for (name, value) in self.set.into_iter().flatten() {
            collector.insert(
                &name,
                value.span(),
                Some(&value),
                EditConfig::Set(value.clone()),
            );
        }
        for (name, value) in self.add.into_iter().flatten() {
            collector.insert(
                &name,
                value.span(),
                Some(&value),
                EditConfig::Add(value.clone()),
            );
        }
        for name in self.remove.map(At::into_inner).into_iter().flatten() {
            collector.insert(&name, name.span(), None, EditConfig::Remove);
        }
        EditsConfig {
            by_name: collector.by_name,
        }
    }
}

struct Collector<'a> {
    by_name: BTreeMap<String, EditConfig>,
    places: BTreeMap<String, Span>,
    report: &'a mut Report,
}

impl Collector<'_> {
    fn insert(&mut self, name: &str, span: Span, value: Option<&Template>, edit: EditConfig) {
        let Some(name) = self.checked_name(name, span.clone()) else {
            return;
        };
        if value.is_some_and(breaks_line) {
            self.report
                .error(
                    span.clone(),
                    "headers.value",
                    format!("the value of `{name}` holds a control character"),
                )
                .help("a field's value is one line of text");
        }
        if let Some(first) = self.places.insert(name.clone(), span.clone()) {
            self.report
                .error(span, "headers.twice", format!("`{name}` is changed twice"))
                .label("changed again here")
                .related(first, "the first change is here")
                .help("`set` replaces, `add` appends, `remove` takes away: keep one of them for a name");
        }
        self.by_name.insert(name, edit);
    }

    /// The name in lower case, if this plugin may change the field.
    fn checked_name(&mut self, name: &str, span: Span) -> Option<String> {
        let field = match name.parse::<FieldName>() {
            Ok(field) => field,
            Err(error) => {
                let complaint = self.report.error(span, "headers.name", error.message);
                error.help.map(|help| complaint.help(help));
                return None;
            }
        };
        let name = field.name().as_str();
        if name == "host" {
            self.report
                .error(span, "headers.host", "`host` cannot be changed here")
                .help("use the key `host` of the route or of the upstream");
            return None;
        }
        if FRAMING.contains(&name) {
            self.report
                .error(
                    span,
                    "headers.framing",
                    format!("`{name}` belongs to the connection and cannot be changed"),
                )
                .help("the gateway writes it itself; remove it here");
            return None;
        }
        Some(name.to_owned())
    }
}

fn breaks_line(value: &Template) -> bool {
    value
        .texts()
        .any(|text| text.contains(|c: char| c.is_control() && c != '\t'))
}

impl EditsConfig {
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// These changes, and the other's where a name has none here.
    pub(super) fn over(mut self, default: &Self) -> Self {
        for (name, edit) in &default.by_name {
            self.by_name
                .entry(name.clone())
                .or_insert_with(|| edit.clone());
        }
        self
    }

    /// The values of the request that the changes need.
    pub(super) fn needs(&self) -> impl Iterator<Item = At<Value>> {
        self.by_name.values().flat_map(|edit| {
            let value = match edit {
                EditConfig::Set(value) | EditConfig::Add(value) => Some(value),
                EditConfig::Remove => None,
            };
            value.into_iter().flat_map(|text| {
                text.values()
                    .map(|value| At::new(value.clone(), text.span()))
            })
        })
    }

    pub(super) fn compile(&self) -> Result<Edits, CompileError> {
        let compile = |(name, edit): (&String, &EditConfig)| {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|error| CompileError::from_error(&error))?;
            Ok((name, edit.compile()?))
        };
        Ok(Edits {
            edits: self.by_name.iter().map(compile).collect::<Result<_, _>>()?,
        })
    }
}

impl EditConfig {
    fn compile(&self) -> Result<Edit, CompileError> {
        Ok(match self {
            Self::Set(value) => Edit::Set(Text::compile(value)?),
            Self::Add(value) => Edit::Add(Text::compile(value)?),
            Self::Remove => Edit::Remove,
        })
    }
}

impl Text {
    fn compile(template: &Template) -> Result<Self, CompileError> {
        match template.literal() {
            Some(literal) => HeaderValue::from_bytes(literal.as_bytes())
                .map(Self::Literal)
                .map_err(|error| CompileError::from_error(&error)),
            None => Ok(Self::Template(template.clone())),
        }
    }

    /// The value for this request; `None` where a part is missing.
    fn value(&self, request: &RequestView<'_>) -> Option<HeaderValue> {
        match self {
            Self::Literal(value) => Some(value.clone()),
            Self::Template(template) => {
                let mut text = String::new();
                template.render(request, Place::Header, &mut text).ok()?;
                HeaderValue::try_from(text).ok()
            }
        }
    }
}

/// The two kinds of head have the same methods but no common trait.
pub(super) trait Head {
    fn set(&mut self, name: &HeaderName, value: HeaderValue);
    fn add(&mut self, name: &HeaderName, value: HeaderValue);
    fn remove(&mut self, name: &HeaderName);
}

macro_rules! head {
    ($head:ty) => {
        // Names and values are typed, so nothing is left that could be invalid.
        impl Head for $head {
            fn set(&mut self, name: &HeaderName, value: HeaderValue) {
                self.insert_header(name, value).ok();
            }

            fn add(&mut self, name: &HeaderName, value: HeaderValue) {
                self.append_header(name, value).ok();
            }

            fn remove(&mut self, name: &HeaderName) {
                self.remove_header(name);
            }
        }
    };
}

head!(RequestHeader);
head!(ResponseHeader);

impl Edits {
    /// The values of the request that the changes need.
    pub(super) fn values(&self) -> impl Iterator<Item = &Value> {
        self.edits
            .iter()
            .filter_map(|(_, edit)| match edit {
                Edit::Set(Text::Template(text)) | Edit::Add(Text::Template(text)) => {
                    Some(text.values())
                }
                Edit::Set(Text::Literal(_)) | Edit::Add(Text::Literal(_)) | Edit::Remove => None,
            })
            .flatten()
    }

    /// Changes a head. A field to set whose value is missing is removed: the client's own must not pass for ours.
    pub(super) fn apply(&self, request: &RequestView<'_>, head: &mut impl Head) {
        for (name, edit) in &self.edits {
            match edit {
                Edit::Set(text) => match text.value(request) {
                    Some(value) => head.set(name, value),
                    None => head.remove(name),
                },
                Edit::Add(text) => {
                    if let Some(value) = text.value(request) {
                        head.add(name, value);
                    }
                }
                Edit::Remove => head.remove(name),
            }
        }
    }
}
