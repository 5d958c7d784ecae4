//! Leaves of the configuration that are strings with an inner grammar: times, sizes, networks, header names …
//!
//! A leaf is a type with `FromStr<Err = LeafError>`. [`leaf!`](crate::leaf) makes it readable by serde and gives it a
//! schema with a `format`; the loader looks the format up in [`FORMATS`] and checks every leaf of a file before anything
//! is read, which is how all mistakes come out in one run.

use std::fmt;
use std::ops::Range;

/// Why a text is not a value of a leaf's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafError {
    /// What is wrong, one phrase: "`10` has no unit".
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// The bytes of the text that are wrong, where one part is.
    pub at: Option<Range<usize>>,
}

impl LeafError {
    /// An error about the whole text.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            at: None,
        }
    }

    /// Says what would be right.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Points at a part of the text.
    pub fn at(mut self, range: Range<usize>) -> Self {
        self.at = Some(range);
        self
    }
}

impl fmt::Display for LeafError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for LeafError {}

/// A named grammar and its check.
pub type Format = (&'static str, fn(&str) -> Result<(), LeafError>);

/// Checks a text against a leaf's grammar, forgetting the value.
pub fn check<T: std::str::FromStr<Err = LeafError>>(text: &str) -> Result<(), LeafError> {
    text.parse::<T>().map(|_value| ())
}

/// The formats of the leaves that the contract and the plugins define. The gateway adds its own.
pub const FORMATS: &[Format] = &[
    ("time", check::<super::units::Time>),
    ("size", check::<super::units::Size>),
    ("byte-rate", check::<super::units::ByteRate>),
    ("share", check::<super::units::Share>),
    ("rate", check::<crate::limit::rate::Rate>),
    ("time-zone", check::<crate::limit::written::ZoneName>),
    ("ip-network", check::<crate::ip_filter::Network>),
    ("file-reference", check::<super::file::FileRef>),
    ("secret-reference", check::<super::secret::SecretRef>),
    ("date", check::<super::mode::Date>),
    ("method-name", check::<super::token::MethodName>),
    ("header-name", check::<super::token::FieldName>),
    ("media-range", check::<crate::protect::ContentType>),
    ("origin", check::<crate::cors::origin::Origin>),
    ("condition", check::<crate::authorize::Condition>),
    ("key-set", check::<crate::auth::jwt::KeySet>),
    ("service-url", check::<crate::auth::jwt::ServiceUrl>),
    ("value", check::<super::value::Value>),
    ("key-hash", check::<crate::auth::hash::KeyHash>),
    ("password-hash", check::<crate::auth::hash::PasswordHash>),
    ("template", check::<super::template::Template>),
];

/// Makes a type with `FromStr<Err = LeafError>` readable by serde and gives it a schema: a string with this `format`.
#[macro_export]
macro_rules! leaf {
    ($type:ty, $format:literal, $description:literal) => {
        impl<'de> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <::std::borrow::Cow<'de, str> as ::serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(::serde::de::Error::custom)
            }
        }

        impl ::schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                $format.into()
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                ::schemars::json_schema!({ "type": "string", "format": $format, "description": $description })
            }
        }
    };
}
