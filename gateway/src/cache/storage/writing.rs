//! Answers that are being stored: read by others while they come, and given up when they grow too large or break off.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header;
use pingora::ErrorType::InternalError;
use pingora::Result;
use pingora::prelude::Error;
use pingora_cache::storage::{HandleMiss, MissFinishType};

use crate::cache::disk::Spool;
use crate::cache::entry::Entry;
use crate::cache::zone::Zone;

/// How long an answer waits for the disk before it is not kept.
const DISK_TIME: Duration = Duration::from_secs(5);

/// An answer that is being written.
pub(super) struct Miss {
    zone: &'static Zone,
    entry: Arc<Entry>,
    object_max: usize,
    /// Whether it is still to be kept.
    kept: bool,
    /// Where it goes when it is too large for memory.
    spool: Option<Arc<Spool>>,
    /// What was counted of its content.
    charged: usize,
    finished: bool,
}

impl Miss {
    pub(super) fn new(zone: &'static Zone, entry: Arc<Entry>, object_max: usize) -> Self {
        Self {
            zone,
            entry,
            object_max,
            kept: true,
            spool: None,
            charged: 0,
            finished: false,
        }
    }

    /// Whether the length that the head says is another one than was written.
    fn falls_short(&self) -> bool {
        let said = self.entry.fields.get(header::CONTENT_LENGTH);
        let said = said.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        said.is_some_and(|said| said != self.entry.body.length())
    }

    /// From here on it only passes through.
    fn do_not_keep(&mut self) {
        self.kept = false;
        self.zone.remove(&self.entry);
        self.give_up_spool();
        self.entry.body.pass_through();
    }

    fn give_up_spool(&mut self) {
        if let Some(spool) = self.spool.take() {
            spool.fail();
            if let Some(disk) = self.zone.disk() {
                disk.discard(spool);
            }
        }
    }

    /// Sends it to disk if it has become too large for memory.
    fn begin_spool(&mut self) {
        if self.spool.is_some() || self.entry.body.length() <= self.zone.large() {
            return;
        }
        if let Some(disk) = self.zone.disk() {
            self.spool = disk.spool(&self.entry);
        }
        if self.spool.is_some() {
            self.zone.discharge(&self.entry, self.charged);
            self.charged = 0;
        }
    }

    /// A piece has come that is to be kept.
    async fn keep(&mut self, data: Bytes) {
        if let Some(spool) = self.spool.clone() {
            match self.zone.disk() {
                Some(disk) if !spool.has_failed() && !self.entry.is_gone() => {
                    disk.append(&spool, data);
                }
                _ => return self.do_not_keep(),
            }
        } else {
            self.charged += data.len();
            self.zone.charge(&self.entry, data.len());
            self.begin_spool();
        }
        if self.spool.is_some() {
            let room = self.entry.body.has_room();
            if tokio::time::timeout(DISK_TIME, room).await.is_err() {
                self.do_not_keep();
            }
        }
    }
}

#[async_trait]
impl HandleMiss for Miss {
    async fn write_body(&mut self, data: Bytes, _eof: bool) -> Result<()> {
        self.entry.body.push(data.clone());
        if self.kept && self.entry.body.length() > self.object_max {
            self.do_not_keep();
        }
        if self.kept {
            self.keep(data).await;
        }
        if !self.kept {
            self.entry.body.has_room().await;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<MissFinishType> {
        if self.falls_short() {
            return Err(Error::explain(
                InternalError,
                "an answer is not as long as it says",
            ));
        }
        self.finished = true;
        self.entry.body.finish();
        let length = self.entry.body.length();
        match (self.spool.take(), self.zone.disk()) {
            (Some(spool), Some(disk)) => disk.finish(spool, self.entry.clone()),
            (Some(_), None) => {
                self.zone.remove(&self.entry);
            }
            (None, _) if self.kept => self.zone.keep(&self.entry),
            (None, _) => {}
        }
        Ok(MissFinishType::Created(length))
    }
}

impl Drop for Miss {
    fn drop(&mut self) {
        if !self.finished {
            self.entry.body.break_off();
            self.zone.remove(&self.entry);
            self.give_up_spool();
        }
    }
}
