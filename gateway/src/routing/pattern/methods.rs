//! The methods of a route: all, or a list in which `GET` brings `HEAD`.

use std::fmt;

use http::Method;

use super::PatternError;

const KNOWN: [Method; 9] = [
    Method::CONNECT,
    Method::DELETE,
    Method::GET,
    Method::HEAD,
    Method::OPTIONS,
    Method::PATCH,
    Method::POST,
    Method::PUT,
    Method::TRACE,
];

/// A set of methods. The nine of HTTP cost a bit test; others are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Methods {
    /// Any method at all; the other fields are then empty.
    any: bool,
    /// A bit for each of [`KNOWN`].
    known: u16,
    /// Sorted, without repetition.
    custom: Vec<Method>,
}

impl Methods {
    /// Every method.
    pub const ANY: Self = Self {
        any: true,
        known: 0,
        custom: Vec::new(),
    };

    /// No method yet: to be filled by [`Methods::insert`].
    pub const NONE: Self = Self {
        any: false,
        known: 0,
        custom: Vec::new(),
    };

    /// Reads `GET,POST`.
    pub fn parse_list(text: &str) -> Result<Self, PatternError> {
        let mut methods = Self::NONE;
        let mut at = 0;
        for name in text.split(',') {
            methods.insert(name).map_err(|error| error.shifted(at))?;
            at += name.len() + 1;
        }
        Ok(methods)
    }

    /// Adds one method by name; `GET` adds `HEAD`.
    pub fn insert(&mut self, name: &str) -> Result<(), PatternError> {
        let method = parse_name(name)?;
        // GET brings HEAD, so HEAD beside GET is not a repetition.
        if self.allows(&method) && method != Method::HEAD {
            let message = format!("the method {method} is named twice");
            return Err(PatternError::new(0..name.len(), message));
        }
        if method == Method::GET {
            self.known |= bit(&Method::HEAD);
        }
        match bit(&method) {
            0 => {
                self.custom.push(method);
                self.custom.sort_by(|a, b| a.as_str().cmp(b.as_str()));
            }
            bit => self.known |= bit,
        }
        Ok(())
    }

    /// Whether the method is one of these.
    pub fn allows(&self, method: &Method) -> bool {
        self.any || self.known & bit(method) != 0 || self.custom.contains(method)
    }

    /// Whether these are all methods.
    pub const fn is_any(&self) -> bool {
        self.any
    }

    /// Whether some method is in both sets.
    pub(in crate::routing) fn overlaps(&self, other: &Self) -> bool {
        (self.any && *other != Self::NONE)
            || (other.any && *self != Self::NONE)
            || self.known & other.known != 0
            || self
                .custom
                .iter()
                .any(|method| other.custom.contains(method))
    }

    /// Adds every method of the other set.
    pub(in crate::routing) fn extend(&mut self, other: &Self) {
        self.any |= other.any;
        self.known |= other.known;
        self.custom.extend(other.custom.iter().cloned());
        self.custom.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        self.custom.dedup();
    }

    /// Keeps what the other set has too.
    pub(in crate::routing) fn retain(&mut self, other: &Self) {
        if self.any {
            *self = other.clone();
        } else if !other.any {
            self.known &= other.known;
            self.custom.retain(|method| other.custom.contains(method));
        }
    }

    /// Takes the other set away. "Any" without a few is still "any": a set that errs by holding more.
    pub(in crate::routing) fn remove(&mut self, other: &Self) {
        if other.any {
            *self = Self::NONE;
        } else {
            self.known &= !other.known;
            self.custom.retain(|method| !other.custom.contains(method));
        }
    }

    /// Every method named here, in alphabetical order, `HEAD` included; none for "any".
    pub fn iter(&self) -> impl Iterator<Item = &Method> {
        let mut all: Vec<&Method> = KNOWN
            .iter()
            .filter(|method| self.known & bit(method) != 0)
            .chain(&self.custom)
            .collect();
        all.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        all.into_iter()
    }
}

fn parse_name(name: &str) -> Result<Method, PatternError> {
    let at = 0..name.len();
    if name.is_empty() {
        return Err(PatternError::new(at, "a method is missing"));
    }
    let method = Method::from_bytes(name.as_bytes())
        .map_err(|_| PatternError::new(at.clone(), format!("\"{name}\" is not a method")))?;
    if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        let error = PatternError::new(at, "methods are written in upper case");
        return Err(error.help(format!("write {}", name.to_ascii_uppercase())));
    }
    Ok(method)
}

/// The method's bit in a set; none for methods that HTTP does not define.
fn bit(method: &Method) -> u16 {
    match *method {
        Method::CONNECT => 1,
        Method::DELETE => 1 << 1,
        Method::GET => 1 << 2,
        Method::HEAD => 1 << 3,
        Method::OPTIONS => 1 << 4,
        Method::PATCH => 1 << 5,
        Method::POST => 1 << 6,
        Method::PUT => 1 << 7,
        Method::TRACE => 1 << 8,
        _ => 0,
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.any {
            return f.write_str("any");
        }
        let implied = |method: &Method| *method == Method::HEAD && self.allows(&Method::GET);
        for (at, method) in self.iter().filter(|method| !implied(method)).enumerate() {
            write!(f, "{}{method}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}
