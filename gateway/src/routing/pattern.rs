//! What a route matches: the types behind `match = …` and the parser of match lines.
//!
//! Called by configuration validation only. Promises that a pattern can match some normalised
//! request, that no capture is named twice, and that `Display` gives text that parses back.

use std::fmt;
use std::ops::Range;

mod condition;
mod host;
mod methods;
mod path;

pub use condition::{Condition, ConditionError, ConditionSource, ConditionTest};
pub use host::HostPattern;
pub use methods::Methods;
pub use path::{PathPattern, Segment};

/// The most captures that one pattern may have: a request keeps their places without a heap.
pub const CAPTURES_MAX: usize = 16;

/// Why a text is no pattern, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatternError {
    /// The bytes of the given text that are wrong.
    pub at: Range<usize>,
    /// What is wrong, as a clause: "a host has no port".
    pub message: String,
    /// The cure, where one is known.
    pub help: Option<String>,
}

impl PatternError {
    fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
            help: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same error in a text that has `by` bytes before the one parsed.
    fn shifted(mut self, by: usize) -> Self {
        self.at = self.at.start + by..self.at.end + by;
        self
    }
}

/// Where a capture takes its value from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptureKind {
    /// One host label: `host.NAME`.
    Host,
    /// One path segment, not empty: `path.NAME`.
    Path,
    /// The rest of the path without its leading slash, perhaps empty: `path.NAME`.
    PathRest,
}

/// Everything that a route asks of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Matcher {
    /// Which methods.
    pub methods: Methods,
    /// Which hosts; none means any.
    pub hosts: Vec<HostPattern>,
    /// Which paths.
    pub path: PathPattern,
    /// What headers, query parameters and cookies must say; all must hold.
    pub conditions: Vec<Condition>,
}

impl Matcher {
    /// Puts the parts together and checks them against each other; the error's place means nothing.
    pub fn new(
        methods: Methods,
        hosts: Vec<HostPattern>,
        path: PathPattern,
        conditions: Vec<Condition>,
    ) -> Result<Self, PatternError> {
        let matcher = Self {
            methods,
            hosts,
            path,
            conditions,
        };
        matcher.check()?;
        Ok(matcher)
    }

    /// Reads `"GET,POST {tenant}.api.example.com/orders/{id}"`: methods and host may be left out.
    pub fn parse_line(text: &str) -> Result<Self, PatternError> {
        let (methods, target, target_at) = split_line(text)?;
        let methods = match methods {
            Some((names, at)) => Methods::parse_list(names).map_err(|error| error.shifted(at))?,
            None => Methods::ANY,
        };
        let Some((host, path)) = target.find('/').and_then(|at| target.split_at_checked(at)) else {
            let error = PatternError::new(0..target.len(), "the path is missing");
            return Err(error
                .help(format!("write \"{target}/**\" for every path"))
                .shifted(target_at));
        };
        let hosts = if host.is_empty() {
            Vec::new()
        } else {
            vec![HostPattern::parse(host).map_err(|error| error.shifted(target_at))?]
        };
        let path_at = target_at + host.len();
        let path = PathPattern::parse(path).map_err(|error| error.shifted(path_at))?;
        Self::new(methods, hosts, path, Vec::new()).map_err(|mut error| {
            error.at = target_at..target_at + target.len();
            error
        })
    }

    /// The names that the pattern captures, in the order in which a search finds them: host first.
    pub fn captures(&self) -> impl Iterator<Item = (CaptureKind, &str)> {
        // The hosts agree on the name (`check_hosts`), so the first speaks for all.
        let host = self.hosts.first().and_then(HostPattern::capture);
        let host = host.map(|name| (CaptureKind::Host, name));
        host.into_iter().chain(self.path.captures())
    }

    fn check(&self) -> Result<(), PatternError> {
        self.check_hosts()?;
        let names: Vec<&str> = self.captures().map(|(_, name)| name).collect();
        let twice = names
            .iter()
            .enumerate()
            .find(|(at, name)| names.iter().skip(at + 1).any(|other| other == *name));
        if let Some((_, name)) = twice {
            let error = PatternError::new(0..0, format!("the name {{{name}}} is used twice"));
            return Err(error.help("give each capture a name of its own"));
        }
        if self.methods == Methods::NONE {
            return Err(PatternError::new(0..0, "no method is named").help("leave it out for any"));
        }
        if names.len() > CAPTURES_MAX {
            let message = format!(
                "{} captures are too many: at most {CAPTURES_MAX}",
                names.len()
            );
            return Err(
                PatternError::new(0..0, message).help("write * where the value is not used")
            );
        }
        self.check_conditions()
    }

    /// A capture must be there whichever of the hosts matched.
    fn check_hosts(&self) -> Result<(), PatternError> {
        for (at, host) in self.hosts.iter().enumerate() {
            if self
                .hosts
                .iter()
                .skip(at + 1)
                .any(|other| other.overlaps(host))
            {
                return Err(PatternError::new(
                    0..0,
                    format!("the host {host} is named twice"),
                ));
            }
            let first = self.hosts.first().and_then(HostPattern::capture);
            if host.capture() != first {
                let error = PatternError::new(0..0, "the hosts do not capture the same name");
                return Err(error.help("split the route, or write *. in each host"));
            }
        }
        Ok(())
    }

    fn check_conditions(&self) -> Result<(), PatternError> {
        for (at, condition) in self.conditions.iter().enumerate() {
            if self
                .conditions
                .iter()
                .skip(at + 1)
                .any(|other| other.same_key(condition))
            {
                let message = format!(
                    "two conditions on {} {}",
                    condition.source(),
                    condition.name()
                );
                return Err(PatternError::new(0..0, message).help("join them into one \"~regex\""));
            }
        }
        Ok(())
    }
}

/// Methods with their place, if there are any, and the target with its place.
type LineParts<'a> = (Option<(&'a str, usize)>, &'a str, usize);

fn split_line(text: &str) -> Result<LineParts<'_>, PatternError> {
    let place = |word: &str| word.as_ptr().addr() - text.as_ptr().addr();
    let mut words = text.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (None, ..) => {
            let error = PatternError::new(0..text.len(), "the match line is empty");
            Err(error.help("write \"/**\" for every request"))
        }
        (Some(target), None, _) => Ok((None, target, place(target))),
        (Some(methods), Some(target), None) => {
            Ok((Some((methods, place(methods))), target, place(target)))
        }
        (Some(_), Some(_), Some(extra)) => {
            let at = place(extra);
            let error = PatternError::new(at..text.len(), "a match line has at most two words");
            Err(error.help("write it as \"GET,POST host/path\", without spaces between methods"))
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.methods.is_any() {
            write!(f, "{} ", self.methods)?;
        }
        for (at, host) in self.hosts.iter().enumerate() {
            write!(f, "{}{host}", if at == 0 { "" } else { "|" })?;
        }
        write!(f, "{}", self.path)?;
        for (at, condition) in self.conditions.iter().enumerate() {
            write!(
                f,
                "{}{condition}",
                if at == 0 { " where " } else { " and " }
            )?;
        }
        Ok(())
    }
}

/// Reads `{name}` (or `{name*}`): the name, if the text is a placeholder with a good one.
fn placeholder(text: &str) -> Option<Result<&str, PatternError>> {
    let name = text.strip_prefix('{')?.strip_suffix('}')?;
    let good = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
    Some(if good {
        Ok(name)
    } else {
        let error = PatternError::new(1..text.len() - 1, format!("\"{name}\" is not a name"));
        Err(error.help("a name starts with a-z and goes on with a-z, 0-9, - or _"))
    })
}

#[cfg(test)]
mod tests;
