//! Leaves of `[access-log]`: where it goes and what a line holds.

use std::str::FromStr;

use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
use plugins::contract::leaf::LeafError;
use plugins::contract::report::nearest;
use plugins::contract::value::Value;
use plugins::leaf;

use crate::config::model::{AccessLogPath, LogField};

/// Where the access log goes.
#[derive(Debug, Clone)]
pub(in crate::config) struct LogPath(pub(in crate::config) AccessLogPath);

/// One field of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum LogEntry {
    /// What the gateway knows.
    Known(LogField),
    /// What the request says, and its name in the line.
    Value(Box<str>, Value),
}

leaf!(
    LogPath,
    "log-path",
    "\"stdout\", \"off\" or the path of a file"
);
leaf!(
    LogEntry,
    "log-field",
    "a field of a line, \"status\", or a value of the request, \"header.user-agent\""
);

impl FromStr for LogPath {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        match text {
            "stdout" => Ok(Self(AccessLogPath::Stdout)),
            "off" => Ok(Self(AccessLogPath::Off)),
            // A mistyped word must not become a file's name.
            _ if text.contains('/') => Ok(Self(AccessLogPath::File(text.into()))),
            _ => Err(LeafError::new(format!(
                "`{text}` is neither \"stdout\" nor \"off\" nor a path"
            ))
            .help(format!(
                "write a path with a slash, for example \"./{text}\""
            ))),
        }
    }
}

impl FromStr for LogEntry {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        if let Ok(field) = text.parse() {
            return Ok(Self::Known(field));
        }
        match text {
            // Every line has it, so that the others follow a comma.
            "time" => Err(LeafError::new("every line begins with its time").help("leave it out")),
            "query" => Err(LeafError::new("the query may hold credentials")
                .help("write query = true beside `fields`, or name one parameter: \"query.page\"")),
            _ if text.contains('.') => value(text),
            _ => {
                let names = LogField::ALL.iter().map(|field| field.name());
                let error = LeafError::new(format!("a line of the access log has no `{text}`"));
                Err(match nearest(text, names) {
                    Some(near) => error.help(format!("did you mean `{near}`?")),
                    None => error.help("write a field of the default line, or a value of the request: \"header.user-agent\""),
                })
            }
        }
    }
}

fn value(text: &str) -> Result<LogEntry, LeafError> {
    let value: Value = text.parse()?;
    if let Value::Header(AUTHORIZATION | PROXY_AUTHORIZATION) = value {
        return Err(LeafError::new("credentials are never logged")
            .help("log who was authenticated: \"consumer\", \"claim.sub\""));
    }
    Ok(LogEntry::Value(text.into(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fields_and_values() {
        let read = |text: &str| text.parse::<LogEntry>();
        assert_eq!(read("status"), Ok(LogEntry::Known(LogField::Status)));
        assert_eq!(read("host"), Ok(LogEntry::Known(LogField::Host)));
        let agent = Value::Header(http::header::USER_AGENT);
        let named = LogEntry::Value("header.user-agent".into(), agent);
        assert_eq!(read("header.user-agent"), Ok(named));
        for wrong in [
            "",
            "time",
            "query",
            "Status",
            "statuz",
            "header.authorization",
            "header.Proxy-Authorization",
            "header.cookie",
            "claims.sub",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
