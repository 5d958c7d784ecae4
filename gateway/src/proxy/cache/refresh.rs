//! Fetching a new answer while the stale one is given.
//!
//! The client's request goes through the whole gateway again, as a request beneath it that nobody waits for. Pingora makes one
//! from the bytes of an HTTP/1 head; of a head of HTTP/2 it writes bytes that it cannot read, so that head is lent HTTP/1's
//! version and `Host` for the moment.

use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::{Version, uri};
use pingora::prelude::Session;
use pingora::proxy::subrequest;

use crate::cache::entry::Entry;
use crate::listen::{self, ConnFacts};

/// What a refreshing request knows of the one that caused it.
struct Refresh {
    facts: ConnFacts,
    entry: Arc<Entry>,
}

impl Drop for Refresh {
    fn drop(&mut self) {
        self.entry.end_refresh();
    }
}

/// Starts it, unless somebody else has.
pub(super) fn begin(session: &mut Session, entry: &Arc<Entry>) {
    if session.subrequest_spawner.is_none() || !entry.begin_refresh() {
        return;
    }
    let Some(facts) = listen::facts(session).cloned() else {
        return entry.end_refresh();
    };
    let refresh = Refresh {
        facts,
        entry: entry.clone(),
    };
    let context = subrequest::Ctx::builder()
        .user_ctx(Box::new(refresh))
        .build();
    let lent = lend(session);
    if let Some(spawner) = &session.subrequest_spawner {
        // Nobody waits for it: it ends with its own deadline.
        drop(spawner.spawn_background_subrequest(session.as_ref(), context));
    }
    if let Some(added_host) = lent {
        give_back(session, added_host);
    }
}

/// Makes a head of HTTP/2 look like one of HTTP/1.1; whether `Host` was added.
fn lend(session: &mut Session) -> Option<bool> {
    let head = session.req_header_mut();
    if head.version != Version::HTTP_2 {
        return None;
    }
    head.set_version(Version::HTTP_11);
    let authority = head.uri.authority().map(uri::Authority::as_str);
    let host = authority.and_then(|authority| HeaderValue::from_str(authority).ok());
    let host = host.filter(|_| !head.headers.contains_key(header::HOST));
    Some(host.is_some_and(|host| head.insert_header(header::HOST, host).is_ok()))
}

fn give_back(session: &mut Session, added_host: bool) {
    let head = session.req_header_mut();
    head.set_version(Version::HTTP_2);
    if added_host {
        head.remove_header(&header::HOST);
    }
}

/// Whether a request is a refreshing one.
pub(in crate::proxy) fn is_one(session: &Session) -> bool {
    of(session).is_some()
}

/// The connection by which a request came: its own, or that of the request that caused it.
pub(in crate::proxy) fn connection(session: &Session) -> Option<&ConnFacts> {
    match of(session) {
        Some(refresh) => Some(&refresh.facts),
        None => listen::facts(session),
    }
}

fn of(session: &Session) -> Option<&Refresh> {
    session.subrequest_ctx.as_ref()?.user_ctx()?.downcast_ref()
}
