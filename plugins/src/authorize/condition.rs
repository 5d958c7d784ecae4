//! `when`: a condition in CEL (Common Expression Language).
//!
//! | name | is |
//! |---|---|
//! | `request.method`, `.host`, `.path` | text |
//! | `request.secure` | whether the client came by TLS |
//! | `request.headers['x-tenant']`, `request.query['v']` | text; missing where the request has none |
//! | `client.ip` | text |
//! | `claims` | what the token says |
//! | `consumer` | `name`, `plan`, `groups`, `metadata`; null where there is none |
//! | `identity` | `provider`, `issuer`, `subject`, `plan`, `groups`, `scopes` |
//!
//! Bounded, since the interpreter recurses and has no budget of its own: a source of at most 1 KiB is read and checked on a
//! thread with a large stack; what is deeper than [`DEPTH_MAX`] or nests macros more than twice is refused at load, so that
//! no request can exhaust the stack of a worker. Headers and parameters are named by literals: nobody loops over what a
//! client sent, and one that is there twice is noticed. Macros take lists of at most 256 members.

mod check;
mod world;

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, Program};

use crate::contract::identity::Identity;
use crate::contract::prelude::*;
use crate::leaf;
use check::Reads;
use world::World;

const SOURCE_MAX: usize = 1024;
/// Of the tree of an expression.
pub(super) const DEPTH_MAX: usize = 40;
/// The parser recurses with the source; a KiB of it needs a few MiB without optimisation.
const STACK: usize = 16 << 20;

/// The standard functions: making them takes ten times as long as most conditions.
static LIBRARY: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(Env::default().with_optional_support(false).with_stdlib()));

/// A condition that was read and checked. Equal by text.
#[derive(Clone)]
pub struct Condition {
    text: Box<str>,
    compiled: Arc<Compiled>,
}

struct Compiled {
    program: Program,
    reads: Reads,
}

leaf!(
    Condition,
    "condition",
    "a condition in CEL: \"claims.level >= 3 && request.method == 'GET'\""
);

/// What a condition says of a request.
pub(super) enum Judged {
    Holds,
    /// It does not, or it cannot be told: for `explain`.
    Fails(String),
    /// A header or parameter that it reads is repeated, or not text.
    Unreadable(Value, ValueError),
}

impl FromStr for Condition {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        if text.len() > SOURCE_MAX {
            return Err(LeafError::new(format!(
                "a condition has at most {SOURCE_MAX} bytes, this one has {}",
                text.len()
            ))
            .help("split it, or let the identity provider put the verdict into a claim"));
        }
        let source = text.to_owned();
        let thread = std::thread::Builder::new().stack_size(STACK);
        let reading = thread.spawn(move || Compiled::read(&source));
        let failed = || LeafError::new("the condition could not be read");
        let reading = reading.map_err(|_| failed())?;
        let compiled = reading.join().map_err(|_| failed())??;
        Ok(Self {
            text: text.into(),
            compiled: Arc::new(compiled),
        })
    }
}

impl Compiled {
    /// Reads and checks a source; what is too deep is dropped here, too, since that recurses as well.
    fn read(source: &str) -> Result<Self, LeafError> {
        let program = Program::compile(source).map_err(|errors| {
            let first = errors.errors.first();
            let what = first.map_or("it cannot be read", |error| &error.msg);
            LeafError::new(format!("not a condition: {}", what.trim()))
                .help("conditions are written in CEL, for example \"claims.level >= 3\"")
        })?;
        let reads = check::check(program.expression())?;
        let compiled = Self { program, reads };
        compiled.try_out()?;
        Ok(compiled)
    }

    /// Evaluates once with nobody's request: whatever overflows or panics does so here.
    fn try_out(&self) -> Result<(), LeafError> {
        let world = World::empty();
        match self.program.execute(&world.context()) {
            Ok(cel::Value::Bool(_)) | Err(_) => Ok(()),
            Ok(_) => Err(check::no_condition()),
        }
    }
}

impl Condition {
    pub(super) fn judge(&self, request: &RequestView<'_>, identity: &Identity) -> Judged {
        let world = match World::new(request, identity, &self.compiled.reads) {
            Ok(world) => world,
            Err((value, error)) => return Judged::Unreadable(value, error),
        };
        match self.compiled.program.execute(&world.context()) {
            Ok(cel::Value::Bool(true)) => Judged::Holds,
            Ok(cel::Value::Bool(false)) => Judged::Fails("does not hold".to_owned()),
            Ok(_) => Judged::Fails("came to something else than yes or no".to_owned()),
            Err(error) => Judged::Fails(format!("cannot be told: {error}")),
        }
    }
}

impl World<'_> {
    fn context(&self) -> Context<'_, '_> {
        let mut context = Context::with_env(LIBRARY.clone());
        context.set_variable_resolver(self);
        context
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.text).finish()
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

#[cfg(test)]
mod tests;
