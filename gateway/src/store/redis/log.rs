//! A log in a store: several write, each reads on from where it was, and whoever has missed something learns it.
//!
//! It is a stream of Redis with a bounded length. The entry that was read last is asked for again with those that follow it:
//! where it is gone, what followed it may be gone as well. Not a channel of messages, which knows nothing of those who were
//! not there.

use redis::{RedisResult, Value};

use super::{Redis, unexpected};
use plugins::contract::services::StoreError;

/// How many entries a log keeps, about.
const ENTRIES_MAX: u32 = 4096;
/// How many are read at once.
const PAGE: usize = 100;
/// The field of an entry that holds it.
const FIELD: &str = "n";

/// The entry that was read last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position(Vec<u8>);

impl Position {
    /// From its bytes, if they could be one's.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (time, number) = text.split_once('-')?;
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = is_number(time) && is_number(number);
        let whole = time.parse::<u64>().is_ok() && number.parse::<u64>().is_ok();
        (fits && whole).then(|| Self(bytes.to_vec()))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What was read.
#[derive(Debug)]
pub struct Page {
    /// Where to read on.
    pub position: Position,
    /// The entries, the oldest first; without the field of an entry: empty.
    pub entries: Vec<Vec<u8>>,
    /// Whether there may have been others.
    pub gap: bool,
    /// Whether there are more.
    pub more: bool,
}

impl Redis {
    /// Writes an entry.
    pub async fn append(&self, log: &str, entry: &[u8]) -> Result<(), StoreError> {
        let written = self.call(async move |mut link| {
            let mut command = redis::cmd("XADD");
            command.arg(log).arg("MAXLEN").arg("~").arg(ENTRIES_MAX);
            command.arg("*").arg(FIELD).arg(entry);
            command.query_async::<Value>(&mut link).await.map(drop)
        });
        written.await
    }

    /// Reads on. Whoever has no position gets one, and no entries.
    pub async fn read_on(&self, log: &str, from: Option<&Position>) -> Result<Page, StoreError> {
        if let Some(from) = from
            && let Some(page) = self.follow(log, from).await?
        {
            return Ok(page);
        }
        if self.newest(log).await?.is_none() {
            // A log must hold something, or nobody could tell an empty one from one that was lost.
            self.append(log, b"").await?;
        }
        let newest = self.newest(log).await?;
        Ok(Page {
            position: newest.ok_or(StoreError::Failed)?,
            entries: Vec::new(),
            gap: true,
            more: false,
        })
    }

    async fn follow(&self, log: &str, from: &Position) -> Result<Option<Page>, StoreError> {
        let found = self.call(async move |mut link| {
            let mut command = redis::cmd("XRANGE");
            command.arg(log).arg(&from.0).arg("+");
            command.arg("COUNT").arg(PAGE + 1);
            entries(command.query_async(&mut link).await?)
        });
        let mut found = found.await?.into_iter();
        if found.next().is_none_or(|(id, _)| id != *from) {
            return Ok(None);
        }
        let mut position = from.clone();
        let mut entries = Vec::new();
        for (id, entry) in found {
            position = id;
            entries.push(entry);
        }
        Ok(Some(Page {
            position,
            gap: false,
            more: entries.len() >= PAGE,
            entries,
        }))
    }

    async fn newest(&self, log: &str) -> Result<Option<Position>, StoreError> {
        let found = self.call(async move |mut link| {
            let mut command = redis::cmd("XREVRANGE");
            command.arg(log).arg("+").arg("-").arg("COUNT").arg(1);
            entries(command.query_async(&mut link).await?)
        });
        Ok(found.await?.pop().map(|(id, _)| id))
    }
}

/// Entries with their ids. One of another form is one that says nothing.
fn entries(answer: Value) -> RedisResult<Vec<(Position, Vec<u8>)>> {
    let Value::Array(items) = answer else {
        return Err(unexpected());
    };
    items.into_iter().map(entry).collect()
}

fn entry(item: Value) -> RedisResult<(Position, Vec<u8>)> {
    let Value::Array(parts) = item else {
        return Err(unexpected());
    };
    let mut parts = parts.into_iter();
    let (Some(Value::BulkString(id)), fields) = (parts.next(), parts.next()) else {
        return Err(unexpected());
    };
    let held = match fields {
        Some(Value::Array(fields)) => match <[Value; 2]>::try_from(fields) {
            Ok([Value::BulkString(name), Value::BulkString(held)]) if name == FIELD.as_bytes() => {
                Some(held)
            }
            _ => None,
        },
        _ => None,
    };
    // Anything that is no notice will do for what cannot be read.
    Ok((Position(id), held.unwrap_or_else(|| b"?".to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_two_numbers() {
        for (text, is_one) in [
            ("1700000000000-0", true),
            ("18446744073709551615-18446744073709551615", true),
            ("18446744073709551616-0", false),
            ("1700000000000", false),
            ("+1-0", false),
            ("1--1", false),
            ("-", false),
            ("", false),
            ("$", false),
        ] {
            let read = Position::read(text.as_bytes());
            assert_eq!(read.is_some(), is_one, "{text}");
            assert!(read.is_none_or(|read| read.bytes() == text.as_bytes()));
        }
    }
}
