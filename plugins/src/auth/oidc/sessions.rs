//! Sessions: found by what a cookie brings, kept in it or in a store, and made fresh.

use std::sync::Arc;

use super::tokens::LoginError;
use super::{Oidc, Refreshed};
use crate::auth::jwt::key::sha256;
use crate::auth::session::{Session, Ticket};
use crate::auth::verdict::Reason;
use crate::contract::prelude::*;
use crate::contract::services::StoreError;

/// Why a cookie brings no session.
pub(super) enum NoSession {
    /// It cannot be read, is over or was ended.
    Over(Reason),
    /// The store does not answer.
    Store(StoreError),
    /// It cannot be kept.
    Unkept(&'static str),
}

impl Oidc {
    /// The session that a sealed text is or names.
    pub(super) async fn find(&self, sealed: &str) -> Result<Session, NoSession> {
        let unreadable = NoSession::Over(Reason::Session);
        let session = match &self.store {
            None => self.seal.open::<Session>("session", sealed),
            Some(store) => {
                let Some(ticket) = self.seal.open::<Ticket>("ticket", sealed) else {
                    return Err(unreadable);
                };
                let kept = store.get(self.store_key(&ticket.id).as_bytes()).await;
                let kept = kept.map_err(NoSession::Store)?;
                let text = kept
                    .as_deref()
                    .and_then(|kept| std::str::from_utf8(kept).ok());
                text.and_then(|text| self.seal.open::<Session>("stored", text))
            }
        };
        match session {
            None => Err(unreadable),
            Some(session) if session.is_over(self.services.clock.now()) => {
                Err(NoSession::Over(Reason::Expired))
            }
            Some(session) => Ok(session),
        }
    }

    /// Puts a session into the store, where there is one, and answers what makes the browser carry it.
    pub(super) async fn keep(&self, session: &Session) -> Result<Vec<HeaderValue>, &'static str> {
        if let Some(store) = &self.store {
            let (key, text) = (self.store_key(&session.id), self.stored(session)?);
            let left = session.left(self.services.clock.now());
            let set = store.set(key.as_bytes(), text.as_bytes(), left, false);
            set.await.map_err(|_| "the store cannot be written")?;
        }
        self.carried(session)
    }

    /// The same of a session that was made fresh. In a store it takes the place of the old one only as long as that is
    /// there: who has logged out meanwhile stays logged out.
    pub(super) async fn renew(&self, fresh: &Session) -> Result<Vec<HeaderValue>, NoSession> {
        if let Some(store) = &self.store {
            let text = self.stored(fresh).map_err(NoSession::Unkept)?;
            let key = self.store_key(&fresh.id);
            let key = key.as_bytes();
            let get = async || store.get(key).await.map_err(NoSession::Store);
            let ended = NoSession::Over(Reason::Session);
            let Some(old) = get().await? else {
                return Err(ended);
            };
            let left = fresh.left(self.services.clock.now());
            let replaced = store.exchange(key, &old, Some((text.as_bytes(), left)));
            let replaced = replaced.await.map_err(NoSession::Store)?;
            // Somebody was quicker: with the same new tokens, or with a logout.
            if !replaced && get().await?.is_none() {
                return Err(ended);
            }
        }
        self.carried(fresh).map_err(NoSession::Unkept)
    }

    /// What the store has of a session.
    fn stored(&self, session: &Session) -> Result<String, &'static str> {
        let sealed = self.seal.close("stored", session);
        sealed.ok_or("it cannot be sealed")
    }

    /// The cookies that are a session, or name it where a store has it.
    fn carried(&self, session: &Session) -> Result<Vec<HeaderValue>, &'static str> {
        let sealed = if self.store.is_some() {
            let id = session.id.clone();
            self.seal.close("ticket", &Ticket { id })
        } else {
            self.seal.close("session", session)
        };
        let sealed = sealed.ok_or("it cannot be sealed")?;
        let left = session.left(self.services.clock.now());
        let cookies = self.cookies.write(&sealed, left);
        cookies.map_err(|_| "it is too long for cookies: use a `store`")
    }

    /// Under which key a session is in the store.
    pub(super) fn store_key(&self, id: &str) -> String {
        format!("session/{}/{id}", self.name)
    }

    /// New tokens, once for all who need them at the same time and for those who come late with the old ones.
    pub(super) async fn refresh(&self, session: &Session) -> Refreshed {
        let Some(token) = &session.refresh else {
            return Err(LoginError::Refused("there is no refresh token".into()));
        };
        let key = sha256(token.as_bytes());
        if let Some(fresh) = self.refreshed.get(&key) {
            // It may have become stale in turn.
            if !fresh.is_stale(self.services.clock.now()) {
                return Ok(fresh);
            }
        }
        let Some(known) = self.known.load_full() else {
            return Err(LoginError::Unavailable(
                "it has not been reached yet".into(),
            ));
        };
        let call = async || self.refreshed(&known, session).await.map(Arc::new);
        let fresh = self.refreshing.shared(key, call).await;
        let fresh = fresh.map_err(|_| LoginError::Unavailable("too many ask it".into()))??;
        self.refreshed.insert(key, fresh.clone());
        Ok(fresh)
    }
}
