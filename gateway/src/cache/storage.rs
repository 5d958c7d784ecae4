//! A zone as Pingora's cache engine sees it.
//!
//! The engine's keys are used for its lock alone. What is found and where an answer goes is said by [`Ask`] and [`Plan`], which
//! travel in the extensions of keys and metadata.

mod reading;
mod writing;

use std::any::Any;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Response};
use parking_lot::Mutex;
use pingora::ErrorType::InternalError;
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::prelude::Error;
use pingora_cache::storage::{
    HitHandler, MissHandler, PurgeOutcome, PurgeTarget, PurgeType, Storage,
};
use pingora_cache::trace::SpanHandle;
use pingora_cache::{CacheKey, CacheMeta};

use super::body::Body;
use super::entry::{Entry, Marks, Place, Uses, kept_fields};
use super::key::Key;
use super::storable::Keeping;
use super::vary;
use super::zone::{Mark, Zone};

pub use reading::Hit;
use writing::Miss;

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
    /// When it was asked for.
    pub asked: Mark,
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
    /// Puts an answer in, unless it was forgotten while it was under way.
    fn insert(&self, zone: &Zone, entry: &Arc<Entry>) {
        zone.insert(entry);
        if zone.recalled_since(self.asked, &entry.place, &entry.tags) {
            zone.remove(entry);
        }
    }

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
        plan.insert(self, &entry);
        *plan.ask.filling.lock() = Some(entry.clone());
        Ok(Box::new(Miss::new(self, entry, plan.object_max)))
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
        plan.insert(self, &entry);
        if entry.is_gone() {
            return Ok(true);
        }
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
