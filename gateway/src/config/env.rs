//! Environment variables, and their names inside strings: `${NAME}`, `${NAME:-default}`, `$${` for a literal `${`.

use std::borrow::Cow;
use std::ops::Range;

pub use plugins::contract::secret::Env;

/// The variables of this process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// Why a string cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EnvError {
    /// The bytes of the string that are wrong.
    pub(super) at: Range<usize>,
    /// What is wrong.
    pub(super) message: String,
    /// What would be right.
    pub(super) help: String,
}

/// Fills in every variable of a string, or reports all that cannot be.
pub(super) fn interpolate<'a>(text: &'a str, env: &dyn Env) -> Result<Cow<'a, str>, Vec<EnvError>> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let (mut filled, mut errors, mut at) = (String::with_capacity(text.len()), Vec::new(), 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("$${") {
            filled.push_str("${");
            at += 3;
        } else if rest.starts_with("${") {
            let length = rest.find('}').map_or(rest.len(), |end| end + 1);
            let reference = rest.get(..length).unwrap_or(rest);
            match resolve(reference, env) {
                Ok(value) => filled.push_str(&value),
                Err((message, help)) => errors.push(EnvError {
                    at: at..at + length,
                    message,
                    help,
                }),
            }
            at += length;
        } else {
            let length = rest
                .char_indices()
                .skip(1)
                .find(|(_, c)| *c == '$')
                .map_or(rest.len(), |(next, _)| next);
            filled.push_str(rest.get(..length).unwrap_or(rest));
            at += length;
        }
    }
    if errors.is_empty() {
        Ok(Cow::Owned(filled))
    } else {
        Err(errors)
    }
}

/// The value of one `${…}`.
fn resolve(reference: &str, env: &dyn Env) -> Result<String, (String, String)> {
    let Some(inside) = reference
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
    else {
        return Err((
            "`${` is never closed".to_owned(),
            "close it with `}`, or write `$${` for a literal `${`".to_owned(),
        ));
    };
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err((
            format!("`{name}` cannot name an environment variable"),
            "write `${NAME}` or `${NAME:-default}`; `$${` is a literal `${`".to_owned(),
        ));
    }
    match (env.var(name), default) {
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err((
            format!("the environment variable `{name}` is not set"),
            format!("set it, or give a default: `${{{name}:-…}}`"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn fill(text: &str) -> Result<String, Vec<String>> {
        let env = BTreeMap::from([("HOST".to_owned(), "a.example".to_owned())]);
        interpolate(text, &env)
            .map(Cow::into_owned)
            .map_err(|errors| {
                let part = |error: &EnvError| text.get(error.at.clone()).unwrap().to_owned();
                errors.iter().map(part).collect()
            })
    }

    #[test]
    fn fills_in_variables_and_defaults() {
        assert_eq!(fill("http://${HOST}/ä"), Ok("http://a.example/ä".into()));
        assert_eq!(fill("${PORT:-80}${X:-}"), Ok("80".into()));
        assert_eq!(fill("$${HOST} costs 5$ $"), Ok("${HOST} costs 5$ $".into()));
        assert_eq!(fill("{path.id}$"), Ok("{path.id}$".into()));
    }

    #[test]
    fn reports_every_reference_that_cannot_be_filled_in() {
        assert_eq!(
            fill("${NO} ${HOST} ${2}"),
            Err(vec!["${NO}".into(), "${2}".into()])
        );
        assert_eq!(fill("a${HOST"), Err(vec!["${HOST".into()]));
        assert_eq!(fill("${}"), Err(vec!["${}".into()]));
    }
}
