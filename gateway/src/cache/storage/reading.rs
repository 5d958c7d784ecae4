//! Stored answers that are being read, from memory or from disk.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::ErrorType;
use pingora::Result;
use pingora::prelude::Error;
use pingora_cache::CacheKey;
use pingora_cache::storage::{HandleHit, Storage};
use pingora_cache::trace::SpanHandle;

use crate::cache::body::Position;
use crate::cache::disk::Opened;
use crate::cache::entry::Entry;
use crate::cache::zone::Zone;

impl Zone {
    /// Begins to read an answer; none where its content is on disk and cannot be had.
    pub(super) async fn open(&self, entry: Arc<Entry>) -> Option<Hit> {
        if !entry.body.is_elsewhere() {
            return Some(Hit::new(entry));
        }
        let stored = entry.body.file()?;
        match stored.open().await {
            Ok(opened) => {
                // What is read at once may as well be in memory, where the next is answered from.
                let entry = match opened.all() {
                    Some(all) if all.len() <= self.large() => self.enter_memory(&entry, all),
                    _ => entry,
                };
                Some(Hit {
                    entry,
                    position: Position::default(),
                    file: Some(opened),
                })
            }
            Err(error) => {
                if error.is_final() {
                    self.remove(&entry);
                }
                None
            }
        }
    }
}

/// A stored answer that is being read.
pub struct Hit {
    /// The answer.
    pub entry: Arc<Entry>,
    position: Position,
    /// Where its content is not in memory.
    file: Option<Opened>,
}

impl Hit {
    pub(super) fn new(entry: Arc<Entry>) -> Self {
        Self {
            entry,
            position: Position::default(),
            file: None,
        }
    }
}

impl Drop for Hit {
    fn drop(&mut self) {
        self.entry.body.leave(&self.position);
    }
}

#[async_trait]
impl HandleHit for Hit {
    async fn read_body(&mut self) -> Result<Option<Bytes>> {
        if let Some(file) = &self.file {
            let (from, to) = self.position.left(file.length());
            let read = file.read(from, to).await;
            let piece = read.map_err(|unread| {
                self.entry.body.blame(unread);
                Error::because(ErrorType::ReadError, "reading a stored answer", unread)
            })?;
            self.position.seek(from + piece.len(), Some(to));
            return Ok(Some(piece).filter(|piece| !piece.is_empty()));
        }
        let read = self.entry.body.read(&mut self.position).await;
        // The client's answer has begun and cannot be made good.
        read.map_err(|lost| Error::because(ErrorType::ReadError, "reading a stored answer", lost))
    }

    async fn finish(
        self: Box<Self>,
        _storage: &'static (dyn Storage + Sync),
        _key: &CacheKey,
        _trace: &SpanHandle,
    ) -> Result<()> {
        Ok(())
    }

    fn can_seek(&self) -> bool {
        self.file.is_some() || self.entry.body.whole().is_some()
    }

    fn seek(&mut self, start: usize, end: Option<usize>) -> Result<()> {
        self.position.seek(start, end);
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn as_any_mut(&mut self) -> &mut (dyn Any + Send + Sync) {
        self
    }
}
