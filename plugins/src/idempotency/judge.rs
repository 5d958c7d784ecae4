//! What a request gets whose key is known already.

use super::print::{self, Digest, Flowing};
use super::record::{Kept, Record};
use super::refusals::{DIFFERENT, RUNNING, TOO_LARGE, UNAVAILABLE, UNKEPT};
use super::work::{Watch, Work};
use super::written::OnError;
use super::{Idempotency, REPLAYED};
use crate::contract::prelude::*;

impl Idempotency {
    /// There is a record of this key.
    pub(super) fn known(
        &self,
        record: Record,
        head: &Digest,
        request: &RequestView<'_>,
        state: &mut Option<Box<Work>>,
    ) -> Flow {
        if record.head() != head {
            request
                .facts
                .note(|| "the key is that of a request for something else".into());
            return self.different();
        }
        match record {
            Record::Running(_) => {
                self.meters.running.add_one();
                request
                    .facts
                    .note(|| "the first request with its key is under way".into());
                busy(&RUNNING)
            }
            Record::Unkept(_) => {
                self.meters.unkept.add_one();
                request.facts.note(|| {
                    "the first request with its key had an answer that could not be kept".into()
                });
                Flow::refuse(&UNKEPT)
            }
            Record::Kept(kept) => {
                request
                    .facts
                    .note(|| "the first request with its key has its answer".into());
                self.answered(kept, request, state)
            }
        }
    }

    /// The first request has been answered.
    fn answered(
        &self,
        kept: Kept,
        request: &RequestView<'_>,
        state: &mut Option<Box<Work>>,
    ) -> Flow {
        if !self.enforces() {
            return self.watch(&kept, request, state);
        }
        let mut reply = Reply::plain(kept.status, ReplyBody::Bytes(kept.content.clone()))
            .header(REPLAYED.clone(), HeaderValue::from_static("true"))
            .named("idempotency.replayed");
        if request.body != RequestBody::None {
            reply = reply.on(Terms {
                sha256: kept.body,
                bytes_max: self.config.body_max,
                other: &DIFFERENT,
                larger: &TOO_LARGE,
            });
        } else if kept.body != print::of_nothing() {
            return self.different();
        }
        *state = Some(Box::new(Work::Replay(kept)));
        reply.into()
    }

    /// In shadow the request goes on, and is compared on its way.
    fn watch(&self, kept: &Kept, request: &RequestView<'_>, state: &mut Option<Box<Work>>) -> Flow {
        let body = Flowing::new(request.body);
        if let Some(body) = body.digest {
            return self.compare(&body, &kept.body);
        }
        let kept = kept.body;
        *state = Some(Box::new(Work::Watch(Watch { body, kept })));
        Flow::Continue
    }

    pub(super) fn compare(&self, body: &Digest, kept: &Digest) -> Flow {
        if body != kept {
            return self.different();
        }
        self.meters.replayed.add_one();
        Flow::Continue
    }

    fn different(&self) -> Flow {
        self.meters.different.add_one();
        Flow::refuse(&DIFFERENT)
    }

    /// Whether the key was used is not known.
    pub(super) fn unknown(&self, request: &RequestView<'_>) -> Flow {
        request
            .facts
            .note(|| "the store does not say whether the key was used".into());
        match self.config.on_error {
            OnError::Allow => Flow::Continue,
            OnError::Deny | OnError::Local => busy(&UNAVAILABLE),
        }
    }
}

/// A refusal of what is worth trying again soon.
pub(super) fn busy(refusal: &'static Refusal) -> Flow {
    Reply::refusal(refusal)
        .header(http::header::RETRY_AFTER, HeaderValue::from_static("1"))
        .into()
}
