//! What a stored answer is found by: parts with their lengths, so that no two requests share a key by accident or by design.

/// A key under construction and the finished key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Vec<u8>);

impl Key {
    /// An empty key with room.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// A finished key that was kept elsewhere.
    pub fn stored(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Appends a part.
    pub fn part(&mut self, part: &[u8]) {
        // No part is longer than a request's head.
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(part);
    }

    /// Appends a part that may be missing, which is another thing than an empty one.
    pub fn optional(&mut self, part: Option<&[u8]>) {
        match part {
            Some(part) => {
                self.0.push(1);
                self.part(part);
            }
            None => self.0.push(0),
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(parts: &[Option<Vec<u8>>]) -> Key {
        let mut key = Key::default();
        for part in parts {
            key.optional(part.as_deref());
        }
        key
    }

    proptest! {
        #[test]
        fn different_parts_make_different_keys(
            one in proptest::collection::vec(proptest::option::of(proptest::collection::vec(0u8..3, 0..4)), 3),
            two in proptest::collection::vec(proptest::option::of(proptest::collection::vec(0u8..3, 0..4)), 3),
        ) {
            prop_assert_eq!(key(&one) == key(&two), one == two);
        }
    }

    #[test]
    fn a_border_cannot_be_moved() {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        assert_ne!(key(&[text("ab"), text("c")]), key(&[text("a"), text("bc")]));
        assert_ne!(key(&[None, text("")]), key(&[text(""), None]));
    }
}
