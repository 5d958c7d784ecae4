//! What was forgotten lately, so that an answer that was asked for before is not kept after all.
//!
//! A request takes a mark when it is sent. Whoever forgets answers writes down what, and then takes them out; whoever keeps one
//! puts it in, and then looks what was written down since its mark. Whichever comes first, one of the two sees the other.
//! There is room for so many notes; who is older than all of them is not kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;
use parking_lot::Mutex;

use crate::cache::entry::Place;

/// How many notes there are at most.
const NOTES_MAX: usize = 4096;
/// Of a prefix so much is noted; a shorter one means more.
const PREFIX_MAX: usize = 256;

/// Which answers are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recalled<'a> {
    /// Those to this URL, whatever its query.
    Url(&'a str),
    /// Those to all URLs that begin so.
    Below(&'a str),
    /// Those with this tag.
    Tag(&'a str),
}

/// A moment in a zone's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark(u64);

/// The notes of one zone.
#[derive(Default)]
pub(super) struct Recalls {
    count: AtomicU64,
    notes: Mutex<VecDeque<Note>>,
    hasher: RandomState,
}

/// By hashes, which may mean more than was said and never less.
enum Note {
    Url(u64),
    Below(Box<str>),
    Tag(u64),
}

impl Recalls {
    pub(super) fn mark(&self) -> Mark {
        Mark(self.count.load(Ordering::Acquire))
    }

    pub(super) fn write_down(&self, what: Recalled<'_>) {
        let note = match what {
            Recalled::Url(url) => Note::Url(self.hasher.hash_one(url)),
            Recalled::Tag(tag) => Note::Tag(self.hasher.hash_one(tag)),
            Recalled::Below(prefix) => Note::Below(beginning(prefix).into()),
        };
        let mut notes = self.notes.lock();
        if notes.len() >= NOTES_MAX {
            notes.pop_front();
        }
        notes.push_back(note);
        self.count.fetch_add(1, Ordering::Release);
    }

    /// Whether what is to be kept here may have been forgotten since.
    pub(super) fn concern(&self, since: Mark, place: &Place, tags: &[Arc<str>]) -> bool {
        if self.mark() == since {
            return false;
        }
        let notes = self.notes.lock();
        let new = self.mark().0.saturating_sub(since.0);
        let Some(known) = usize::try_from(new).ok().filter(|new| *new <= notes.len()) else {
            return true;
        };
        let url = self.hasher.hash_one(&*place.url);
        notes.iter().rev().take(known).any(|note| match note {
            Note::Url(hash) => *hash == url,
            Note::Below(prefix) => place.url.starts_with(&**prefix),
            Note::Tag(hash) => tags.iter().any(|tag| self.hasher.hash_one(&**tag) == *hash),
        })
    }
}

fn beginning(text: &str) -> &str {
    let end = (0..=PREFIX_MAX.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::key::Key;
    use crate::cache::query::QueryRule;

    fn place(url: &str) -> Place {
        Place {
            key: Key::default(),
            url: url.into(),
            query: None,
            rule: Arc::new(QueryRule::All),
        }
    }

    #[test]
    fn what_was_forgotten_since_the_mark_concerns() {
        let recalls = Recalls::default();
        let (here, tags) = (place("http://a/b"), [Arc::from("x")]);
        for (what, concerns) in [
            (Recalled::Url("http://a/b"), true),
            (Recalled::Url("http://a/"), false),
            (Recalled::Below("http://a/"), true),
            (Recalled::Below("http://a/bc"), false),
            (Recalled::Tag("x"), true),
            (Recalled::Tag("y"), false),
            (Recalled::Below(""), true),
        ] {
            let before = recalls.mark();
            recalls.write_down(what);
            assert_eq!(recalls.concern(before, &here, &tags), concerns, "{what:?}");
            assert!(!recalls.concern(recalls.mark(), &here, &tags), "{what:?}");
        }
    }

    #[test]
    fn who_is_older_than_all_notes_is_concerned() {
        let recalls = Recalls::default();
        let (first, here) = (recalls.mark(), place("http://a/b"));
        for _ in 0..NOTES_MAX {
            recalls.write_down(Recalled::Tag("other"));
        }
        assert!(!recalls.concern(first, &here, &[]));
        recalls.write_down(Recalled::Tag("other"));
        assert!(recalls.concern(first, &here, &[]));
    }

    #[test]
    fn a_long_prefix_is_noted_by_its_beginning() {
        let recalls = Recalls::default();
        let before = recalls.mark();
        let long = format!("http://a/{}", "\u{e9}".repeat(PREFIX_MAX));
        recalls.write_down(Recalled::Below(&long));
        assert!(recalls.concern(before, &place(&long), &[]));
        assert!(!recalls.concern(before, &place("http://a/"), &[]));
    }
}
