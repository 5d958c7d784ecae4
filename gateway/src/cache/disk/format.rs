//! A kept answer as the bytes of a file. Pure; trusts no byte: whatever it takes for an answer was written as that answer.
//!
//! ```text
//! "gwcache\n"  stamp                      16 bytes
//! content                                 as it was sent
//! one CRC-32 for each 64 KiB of content
//! head: key, URL, rules, fields, times, tags
//! lengths, stamp, checksums of the table and the head, and of all this    64 bytes
//! ```
//!
//! The head comes last: it can be written anew without the content, and content of unknown length is written as it comes.
//! Numbers are little-endian. Who changes anything here, or the parts of keys, changes [`VERSION`].

mod head;
mod words;

pub use head::{Head, decode, encode};

/// Which layout this is. Files of another one are of no use.
pub const VERSION: u32 = 1;

/// Length of what precedes the content.
pub const START: usize = 16;

/// Length of what ends the file.
pub const END: usize = 64;

/// How much content one checksum is for.
pub const BLOCK: usize = 64 << 10;

/// Longest head that is written or read.
pub const HEAD_MAX: usize = 1 << 20;

const FIRST: [u8; 8] = *b"gwcache\n";
const LAST: [u8; 8] = *b"gwcache.";

/// Why bytes are no kept answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Torn(pub &'static str);

/// The end of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The number of the file.
    pub stamp: u64,
    /// Length of the content.
    pub body: u64,
    /// Length of the head.
    pub head: u32,
    /// Checksum of the table of checksums.
    pub table_sum: u32,
    /// Checksum of the head.
    pub head_sum: u32,
}

/// The beginning of a file.
pub fn start(stamp: u64) -> [u8; START] {
    let mut bytes = [0; START];
    let (magic, number) = bytes.split_at_mut(8);
    magic.copy_from_slice(&FIRST);
    number.copy_from_slice(&stamp.to_le_bytes());
    bytes
}

/// The checksum of bytes.
pub fn sum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Length of the table of checksums for so much content.
pub fn table_length(body: u64) -> u64 {
    body.div_ceil(BLOCK as u64).saturating_mul(4)
}

impl End {
    /// The end of a file with this head and this table of checksums.
    pub fn new(stamp: u64, body: u64, table: &[u8], head: &[u8]) -> Self {
        Self {
            stamp,
            body,
            head: u32::try_from(head.len()).unwrap_or(u32::MAX),
            table_sum: sum(table),
            head_sum: sum(head),
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> [u8; END] {
        let mut out = Vec::with_capacity(END);
        out.extend_from_slice(&LAST);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.head.to_le_bytes());
        out.extend_from_slice(&self.body.to_le_bytes());
        out.extend_from_slice(&self.stamp.to_le_bytes());
        out.extend_from_slice(&self.table_sum.to_le_bytes());
        out.extend_from_slice(&self.head_sum.to_le_bytes());
        out.resize(END - 4, 0);
        out.extend_from_slice(&sum(&out).to_le_bytes());
        let mut bytes = [0; END];
        bytes.copy_from_slice(&out);
        bytes
    }

    /// Reads it, and holds it against the length of its file.
    pub fn read(bytes: &[u8], file_length: u64) -> Result<Self, Torn> {
        let (said, own_sum) = bytes.split_last_chunk::<4>().ok_or(Torn("too short"))?;
        if said.len() != END - 4 || sum(said) != u32::from_le_bytes(*own_sum) {
            return Err(Torn("its end is broken"));
        }
        let mut words = words::Words::new(said);
        if words.take(8)? != LAST {
            return Err(Torn("not a kept answer"));
        }
        if words.number32()? != VERSION {
            return Err(Torn("of another version"));
        }
        let head = words.number32()?;
        let end = Self {
            head,
            body: words.number64()?,
            stamp: words.number64()?,
            table_sum: words.number32()?,
            head_sum: words.number32()?,
        };
        if end.bytes()[..] != *bytes {
            return Err(Torn("its end is not as we write it"));
        }
        if end.length() != Some(file_length) || head as usize > HEAD_MAX {
            return Err(Torn("not as long as it says"));
        }
        Ok(end)
    }

    /// Length of the file.
    pub fn length(&self) -> Option<u64> {
        self.head_at()?
            .checked_add(u64::from(self.head))?
            .checked_add(END as u64)
    }

    /// Where the table of checksums begins.
    pub fn table_at(&self) -> Option<u64> {
        self.body.checked_add(START as u64)
    }

    /// Where the head begins.
    pub fn head_at(&self) -> Option<u64> {
        self.table_at()?.checked_add(table_length(self.body))
    }
}

/// Checksums by block of content, as they are computed.
#[derive(Default)]
pub struct Table {
    done: Vec<u8>,
    block: crc32fast::Hasher,
    in_block: usize,
}

impl Table {
    /// Adds content.
    pub fn add(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let (now, rest) = data.split_at(data.len().min(BLOCK - self.in_block));
            self.block.update(now);
            self.in_block += now.len();
            data = rest;
            if self.in_block == BLOCK {
                self.close_block();
            }
        }
    }

    fn close_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.done.extend_from_slice(&block.finalize().to_le_bytes());
        self.in_block = 0;
    }

    /// Its bytes.
    pub fn finish(mut self) -> Vec<u8> {
        if self.in_block > 0 {
            self.close_block();
        }
        self.done
    }
}

/// Holds content that begins with this block against its checksums.
pub fn verify(content: &[u8], first_block: usize, table: &[u8]) -> Result<(), Torn> {
    let sums = table.chunks_exact(4).skip(first_block);
    let blocks = content.chunks(BLOCK);
    if sums.len() < blocks.len() {
        return Err(Torn("content without checksum"));
    }
    for (block, said) in blocks.zip(sums) {
        if said != sum(block).to_le_bytes() {
            return Err(Torn("its content is broken"));
        }
    }
    Ok(())
}

/// A whole file: its end, its head, its content.
pub fn parse(file: &[u8]) -> Result<(End, Head, &[u8]), Torn> {
    let (end, table, head, body) = parts(file)?;
    if sum(head) != end.head_sum {
        return Err(Torn("its head is broken"));
    }
    verify(body, 0, table)?;
    Ok((end, decode(head)?, body))
}

/// A file: its end, its table of checksums, its head, its content.
pub type Parts<'a> = (End, &'a [u8], &'a [u8], &'a [u8]);

/// Takes a whole file apart without looking at content and head.
pub fn parts(file: &[u8]) -> Result<Parts<'_>, Torn> {
    let short = || Torn("too short");
    let (rest, end) = file.split_last_chunk::<END>().ok_or_else(short)?;
    let end = End::read(end, file.len() as u64)?;
    let (first, rest) = rest.split_first_chunk::<START>().ok_or_else(short)?;
    if *first != start(end.stamp) {
        return Err(Torn("its beginning is broken"));
    }
    let length = usize::try_from(end.body).map_err(|_| short())?;
    let (body, rest) = rest.split_at_checked(length).ok_or_else(short)?;
    let length = usize::try_from(table_length(end.body)).map_err(|_| short())?;
    let (table, head) = rest.split_at_checked(length).ok_or_else(short)?;
    if sum(table) != end.table_sum {
        return Err(Torn("its checksums are broken"));
    }
    Ok((end, table, head, body))
}

/// A whole file: for tests, and for the fuzzer.
pub fn whole(stamp: u64, head: &[u8], body: &[u8]) -> Vec<u8> {
    let mut table = Table::default();
    table.add(body);
    let table = table.finish();
    let end = End::new(stamp, body.len() as u64, &table, head);
    [&start(stamp)[..], body, &table, head, &end.bytes()].concat()
}

#[cfg(test)]
mod tests;
