//! What the chain has found out about a request so far. Each fact is written once, by the plugin whose business it is,
//! and read by those below it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Map, Value};

use super::identity::Identity;

/// The facts of one request.
#[derive(Default)]
pub struct Facts {
    identity: OnceLock<Arc<Identity>>,
    repeatable: AtomicBool,
    /// Only where somebody asks why: `explain`.
    story: Option<Box<Story>>,
}

/// What only `explain` wants: reasons, and what it declares instead of proving.
#[derive(Default)]
struct Story {
    declared: Option<Map<String, Value>>,
    notes: Mutex<Vec<String>>,
}

impl Facts {
    /// For somebody who wants to know why; `declared` are the claims of a token that counts as verified.
    pub fn explained(declared: Option<Map<String, Value>>) -> Self {
        Self {
            identity: OnceLock::new(),
            repeatable: AtomicBool::new(false),
            story: Some(Box::new(Story {
                declared,
                notes: Mutex::default(),
            })),
        }
    }

    /// Who asks; `None` before authentication, on a public route, and for anonymous requests where they may pass.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.get()
    }

    /// Says who asks. Only authentication does; whoever comes second is not heard.
    pub fn identify(&self, identity: Arc<Identity>) {
        drop(self.identity.set(identity));
    }

    /// Whether a target may get it twice, whatever its method: it carries a key by which it is known again.
    pub fn is_repeatable(&self) -> bool {
        self.repeatable.load(Ordering::Relaxed)
    }

    /// Says that it may go out twice.
    pub fn repeatable(&self) {
        self.repeatable.store(true, Ordering::Relaxed);
    }

    /// Tells the operator a reason that the client must not learn. Costs nothing where nobody listens.
    pub fn note(&self, text: impl FnOnce() -> String) {
        if let Some(story) = &self.story {
            let mut notes = story.notes.lock().unwrap_or_else(PoisonError::into_inner);
            notes.push(text());
        }
    }

    /// The reasons told since the last call.
    pub fn take_notes(&self) -> Vec<String> {
        self.story.as_ref().map_or_else(Vec::new, |story| {
            std::mem::take(&mut *story.notes.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }

    /// Claims of a token that counts as verified: `explain --jwt`. Never on a request that a client sent.
    pub fn declared(&self) -> Option<&Map<String, Value>> {
        self.story.as_ref()?.declared.as_ref()
    }
}

impl fmt::Debug for Facts {
    /// Who asks may stand in no log by accident.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.identity.get().is_some();
        f.debug_struct("Facts")
            .field("identified", &known)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_listens_to_a_plain_request() {
        let facts = Facts::default();
        facts.note(|| unreachable!("a reason that nobody reads is never made"));
        assert!(facts.take_notes().is_empty());
        assert!(facts.declared().is_none());
    }

    #[test]
    fn a_note_is_told_once() {
        let facts = Facts::explained(None);
        facts.note(|| "because".to_owned());
        assert_eq!(facts.take_notes(), ["because"]);
        assert!(facts.take_notes().is_empty());
    }

    #[test]
    fn the_first_identity_stays() {
        let facts = Facts::default();
        facts.identify(Arc::new(Identity::new("a", None, "one")));
        facts.identify(Arc::new(Identity::new("b", None, "two")));
        assert_eq!(&*facts.identity().unwrap().subject, "one");
    }
}
