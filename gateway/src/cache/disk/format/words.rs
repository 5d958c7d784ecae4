//! Numbers and texts one after the other. Reading ends with an error where a word is not whole.

use super::Torn;

const SHORT: Torn = Torn("a word is cut off");

/// What is left to read.
pub(super) struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Torn> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Torn> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Torn> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn flag(&mut self) -> Result<bool, Torn> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Torn("neither yes nor no")),
        }
    }

    pub(super) fn number16(&mut self) -> Result<u16, Torn> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn number32(&mut self) -> Result<u32, Torn> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn number64(&mut self) -> Result<u64, Torn> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Torn> {
        let length = self.number32()?;
        self.take(length as usize)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Torn> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Torn("a text is none"))
    }

    /// So many things as were counted.
    pub(super) fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, Torn>,
    ) -> Result<Vec<T>, Torn> {
        // No room is made in advance: the count may be a lie.
        let mut list = Vec::new();
        for _ in 0..self.number32()? {
            list.push(one(self)?);
        }
        Ok(list)
    }
}

/// What is written.
#[derive(Default)]
pub(super) struct Written(pub(super) Vec<u8>);

impl Written {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn number16(&mut self, number: u16) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn number64(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn count(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&count.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }
}
