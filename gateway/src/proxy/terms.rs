//! Replies to one body only: reads the request's body, keeps nothing of it, and says which answer it gets.
//!
//! At most as many bytes are read as the reply allows; the deadlines of the request hold for them as for any body.

use aws_lc_rs::digest::{Context, SHA256};
use http::{Version, header};
use pingora::prelude::{Error, Result, Session};
use plugins::contract::flow::{Refusal, Reply, Terms};

use super::ctx::Ctx;

/// The reply itself, or the refusal of another body.
pub(super) async fn settle(
    session: &mut Session,
    ctx: &Ctx,
    mut reply: Box<Reply>,
) -> Result<Box<Reply>> {
    let Some(terms) = reply.terms.take() else {
        return Ok(reply);
    };
    let Some(refusal) = judge(session, &terms).await? else {
        return Ok(reply);
    };
    if let Some(route) = ctx.route() {
        route.metrics.refused(refusal, false);
    }
    Ok(Box::new(Reply::refusal(refusal)))
}

/// What is wrong with the body.
async fn judge(session: &mut Session, terms: &Terms) -> Result<Option<&'static Refusal>> {
    let head = session.req_header();
    if head.version == Version::HTTP_11 && head.headers.contains_key(header::EXPECT) {
        // Pingora takes any head for an answer that came before the request's end, and would close the connection after it.
        session.set_close_on_response_before_downstream_finish(false);
        let told = session.write_continue_response().await;
        told.map_err(Error::into_down)?;
        session.set_close_on_response_before_downstream_finish(true);
    }
    let (mut digest, mut left) = (Context::new(&SHA256), terms.bytes_max);
    loop {
        let piece = session.read_request_body().await;
        let Some(piece) = piece.map_err(Error::into_down)? else {
            break;
        };
        match left.checked_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX)) {
            Some(rest) => left = rest,
            None => return Ok(Some(terms.larger)),
        }
        digest.update(&piece);
    }
    let same = digest.finish().as_ref() == terms.sha256.as_slice();
    Ok((!same).then_some(terms.other))
}
