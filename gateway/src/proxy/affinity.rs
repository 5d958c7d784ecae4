//! What ties a request to a target: the value that `hash-on` names, and the sticky cookie, read and set.
//!
//! A request that does not say them, or says them twice, is tied to nobody: it goes wherever balancing sends it.

use std::time::Instant;

use http::{HeaderValue, header};
use pingora::http::ResponseHeader;
use pingora::prelude::{Result, Session};
use plugins::contract::value::{self, Value};

use super::ctx::Ctx;
use crate::config::model::{Balance, StickyCookie};
use crate::upstream::Wish;
use crate::upstream::balance::{cookie, hash};

/// What a request wishes of the pick of its next attempt.
pub(super) fn wish(session: &Session, ctx: &Ctx, now: Instant) -> Wish<'static> {
    let mut wish = Wish::at(now);
    let Some(arm) = ctx.arm() else {
        return wish;
    };
    let config = &arm.upstream.config;
    if let Balance::Hash(value) = &config.balance {
        wish.hash = hash_of(value, session, ctx);
    }
    if let Some(cookie) = &config.sticky_cookie {
        let sent = value::cookie(&session.req_header().headers, &cookie.name);
        wish.sticky = sent.ok().and_then(|sent| cookie::read(&sent));
    }
    wish
}

fn hash_of(value: &Value, session: &Session, ctx: &Ctx) -> Option<u64> {
    if *value == Value::ClientIp {
        return ctx.seen.client.map(hash::address);
    }
    let head = session.req_header();
    let identified = ctx.seen.identified(&ctx.snapshot, head);
    let view = identified.view(&head.method, head.uri.query(), &head.headers);
    let text = view.lookup(value).ok()?;
    Some(hash::stable(text.as_bytes()))
}

/// Tells the client its target, where its cookie names none or another.
pub(super) fn set_cookie(head: &mut ResponseHeader, ctx: &Ctx) -> Result<()> {
    let Some(tag) = ctx
        .progress
        .attempt
        .as_ref()
        .and_then(crate::upstream::Attempt::new_cookie)
    else {
        return Ok(());
    };
    let arm = ctx.arm();
    let Some(cookie) = arm.and_then(|arm| arm.upstream.config.sticky_cookie.as_ref()) else {
        return Ok(());
    };
    let text = written(cookie, &tag, ctx.seen.secure);
    match HeaderValue::try_from(text) {
        Ok(value) => head.append_header(header::SET_COOKIE, value).map(|_| ()),
        // A token and hexadecimal digits are always a value.
        Err(_) => Ok(()),
    }
}

fn written(cookie: &StickyCookie, tag: &str, secure: bool) -> String {
    let age = cookie
        .max_age
        .map(|age| format!("; Max-Age={}", age.as_secs()));
    let secure = if secure { "; Secure" } else { "" };
    format!(
        "{}={tag}; Path=/{}; HttpOnly; SameSite=Lax{secure}",
        cookie.name,
        age.unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_cookie_is_for_the_gateway_alone() {
        let mut cookie = StickyCookie {
            name: "lb".into(),
            key: None,
            max_age: None,
            span: 0..0,
        };
        assert_eq!(
            written(&cookie, "0f", false),
            "lb=0f; Path=/; HttpOnly; SameSite=Lax"
        );
        cookie.max_age = Some(Duration::from_mins(1));
        let text = written(&cookie, "0f", true);
        assert_eq!(
            text,
            "lb=0f; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
        );
    }
}
