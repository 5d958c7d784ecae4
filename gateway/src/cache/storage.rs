//! A zone as Pingora's cache engine sees it.
//!
//! The engine's keys are used for its lock alone. What is found and where an answer goes is said by [`Ask`] and [`Plan`], which
//! travel in the extensions of keys and metadata.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Response};
use parking_lot::Mutex;
use pingora::ErrorType::{self, InternalError};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::prelude::Error;
use pingora_cache::storage::{
    HandleHit, HandleMiss, HitHandler, MissFinishType, MissHandler, PurgeOutcome, PurgeTarget,
    PurgeType, Storage,
};
use pingora_cache::trace::SpanHandle;
use pingora_cache::{CacheKey, CacheMeta};

use super::body::{Body, Position};
use super::disk::{Opened, Spool};
use super::entry::{Entry, Marks, Place, Uses, kept_fields};
use super::key::Key;
use super::storable::Keeping;
use super::vary;
use super::zone::Zone;

/// What a request asks of a zone.
pub struct Ask {
    /// The key of what may serve every identity.
    pub shared: Key,
    /// The key of what serves this identity alone.
    pub own: Option<Key>,
    /// The request's fields.
    pub fields: HeaderMap,
    /// The answer that this request brings.
    filling: Mutex<Option<Arc<Entry>>>,
}

/// How the answer to a request is to be kept.
pub struct Plan {
    /// Where.
    pub place: Arc<Place>,
    /// How long and for whom.
    pub keeping: Keeping,
    /// Its tags.
    pub tags: Box<[Arc<str>]>,
    /// The request's fields.
    pub ask: Arc<Ask>,
    /// The stored answer that its origin has confirmed.
    pub confirmed: Option<Arc<Entry>>,
    /// Largest content that is kept.
    pub object_max: usize,
}

impl Ask {
    /// For a request.
    pub fn new(shared: Key, own: Option<Key>, fields: HeaderMap) -> Self {
        Self {
            shared,
            own,
            fields,
            filling: Mutex::new(None),
        }
    }

    /// The stored answer, the one for this identity first.
    pub fn find(&self, zone: &Zone) -> Option<Arc<Entry>> {
        let own = self
            .own
            .as_ref()
            .and_then(|own| zone.find(own, &self.fields));
        own.or_else(|| zone.find(&self.shared, &self.fields))
    }
}

impl Plan {
    /// The entry that it makes of a head and a content.
    fn entry(&self, zone: &Zone, head: &ResponseHeader, body: Arc<Body>) -> Arc<Entry> {
        Arc::new(Entry {
            id: zone.new_id(),
            place: self.place.clone(),
            values: vary::values(&self.ask.fields, &self.keeping.vary),
            vary: self.keeping.vary.clone().into(),
            status: head.status,
            fields: kept_fields(&head.headers, &self.keeping.without),
            times: self.keeping.times,
            body,
            tags: self.tags.clone(),
            marks: Marks::default(),
            uses: Arc::new(Uses::default()),
        })
    }
}

/// A stored answer's head as it would be sent now.
pub fn head_of(entry: &Entry) -> ResponseHeader {
    let mut parts = Response::new(()).into_parts().0;
    parts.status = entry.status;
    parts.headers = entry.fields.clone();
    if let Some(length) = entry.body.whole_length()
        && !matches!(entry.status.as_u16(), 204)
    {
        let length = HeaderValue::from(length);
        parts.headers.insert(header::CONTENT_LENGTH, length);
    }
    ResponseHeader::from(parts)
}

fn meta_of(entry: &Entry) -> CacheMeta {
    let times = &entry.times;
    let fresh_until = times
        .arrived
        .checked_add(times.lifetime)
        .and_then(|until| until.checked_sub(times.initial_age))
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let on_error = if times.strict {
        0
    } else {
        times.stale_if_error.as_secs()
    };
    let on_error = u32::try_from(on_error).unwrap_or(u32::MAX);
    CacheMeta::new(fresh_until, times.arrived, 0, on_error, head_of(entry))
}

/// The metadata of an answer that is to be kept by a plan. The engine sends this head to the client that brought it.
pub fn meta_for(plan: Plan, head: ResponseHeader) -> CacheMeta {
    let times = plan.keeping.times;
    let fresh_until = times.arrived.checked_add(times.lifetime);
    let fresh_until = fresh_until.unwrap_or(times.arrived);
    let mut meta = CacheMeta::new(fresh_until, times.arrived, 0, 0, head);
    meta.extensions_mut().insert(Arc::new(plan));
    meta
}

fn plan_of(meta: &CacheMeta) -> Result<Arc<Plan>> {
    let plan = meta.extensions().get::<Arc<Plan>>();
    plan.cloned()
        .ok_or_else(|| Error::explain(InternalError, "an answer is to be stored without a plan"))
}

#[async_trait]
impl Storage for Zone {
    async fn lookup(
        &'static self,
        key: &CacheKey,
        _trace: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        let ask = key.extensions.get::<Arc<Ask>>();
        let Some(entry) = ask.and_then(|ask| ask.find(self)) else {
            return Ok(None);
        };
        entry.touch();
        let Some(hit) = self.open(entry).await else {
            return Ok(None);
        };
        Ok(Some((meta_of(&hit.entry), Box::new(hit))))
    }

    async fn lookup_streaming_write(
        &'static self,
        key: &CacheKey,
        _tag: Option<&[u8]>,
        _trace: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        let ask = key.extensions.get::<Arc<Ask>>();
        let filling = ask.and_then(|ask| ask.filling.lock().take());
        Ok(filling.map(|entry| {
            let hit: HitHandler = Box::new(Hit::new(entry.clone()));
            (meta_of(&entry), hit)
        }))
    }

    async fn get_miss_handler(
        &'static self,
        _key: &CacheKey,
        meta: &CacheMeta,
        _trace: &SpanHandle,
    ) -> Result<MissHandler> {
        let plan = plan_of(meta)?;
        let entry = plan.entry(self, meta.response_header(), Arc::default());
        self.insert(&entry);
        *plan.ask.filling.lock() = Some(entry.clone());
        Ok(Box::new(Miss {
            zone: self,
            entry,
            object_max: plan.object_max,
            kept: true,
            spool: None,
            charged: 0,
            finished: false,
        }))
    }

    async fn purge(
        &'static self,
        _target: PurgeTarget<'_>,
        _purge_type: PurgeType,
        _trace: &SpanHandle,
    ) -> Result<PurgeOutcome> {
        // Purges go by URL and tag, past the engine; evictions are the zone's own.
        Ok(PurgeOutcome::NotFound)
    }

    async fn update_meta(
        &'static self,
        _key: &CacheKey,
        meta: &CacheMeta,
        _trace: &SpanHandle,
    ) -> Result<bool> {
        let plan = plan_of(meta)?;
        let Some(confirmed) = &plan.confirmed else {
            return Ok(false);
        };
        let entry = plan.entry(self, meta.response_header(), confirmed.body.clone());
        if !self.inherit(&entry) {
            return Ok(false);
        }
        self.insert(&entry);
        match entry.body.file() {
            Some(stored) => stored.disk.write_head(stored.clone()),
            None => self.keep(&entry),
        }
        if !entry.body.is_elsewhere() {
            self.charge(&entry, entry.body.length());
        }
        if !Arc::ptr_eq(&confirmed.place, &entry.place) || confirmed.values != entry.values {
            self.remove(confirmed);
        }
        Ok(true)
    }

    fn support_streaming_partial_write(&self) -> bool {
        true
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync + 'static) {
        self
    }
}

impl Zone {
    /// Begins to read an answer; none where its content is on disk and cannot be had.
    async fn open(&self, entry: Arc<Entry>) -> Option<Hit> {
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
    fn new(entry: Arc<Entry>) -> Self {
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

/// An answer that is being written.
struct Miss {
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

/// How long an answer waits for the disk before it is not kept.
const DISK_TIME: Duration = Duration::from_secs(5);

impl Miss {
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
