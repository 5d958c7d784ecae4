//! Answers that the gateway makes itself, with what the response hooks of the route's policies add to them.

use http::HeaderMap;
use plugins::chain::Memory;
use plugins::contract::flow::{Refusal, Reply as Answer, ReplyBody};
use plugins::contract::view::{RequestView, ResponseView};

use super::head::failed;
use super::story::{Field, Outcome, Reply};
use crate::decide::REQUEST_ID;
use crate::listen::HeadRefusal;
use crate::proxy;
use crate::runtime::route::Route;

/// Stands for an id that is made when the request comes; as long as a real one, because answers have a length.
pub(super) const ID: &str = "00000000000000000000000000000000";

/// The route whose policies see the answer.
pub(super) struct Hooks<'a> {
    pub(super) route: &'a Route,
    pub(super) view: &'a RequestView<'a>,
    pub(super) memory: &'a mut Memory,
}

/// The answer to a head that no route sees.
pub(super) fn to_head(refusal: HeadRefusal) -> Outcome {
    let &Refusal {
        status,
        code,
        title,
    } = proxy::refusal_of(refusal);
    let answer = Answer::refusal(proxy::refusal_of(refusal));
    Outcome::Reply(Reply {
        by: "the check of the request's head, before any route; the connection is closed"
            .to_owned(),
        status,
        reason: answer.status.canonical_reason().unwrap_or_default(),
        code: Some(code),
        title: Some(title),
        detail: None,
        headers: Vec::new(),
        bytes: 0,
    })
}

/// Any other answer, as `proxy::reply` makes it.
pub(super) fn made(
    by: String,
    answer: &Answer,
    id: &str,
    hooks: Option<Hooks<'_>>,
) -> Result<Outcome, String> {
    let (mut head, body) = proxy::reply::compose(answer, id).map_err(failed)?;
    if let Some(Hooks {
        route,
        view,
        memory,
    }) = hooks
    {
        route.chain.on_response(
            view,
            &mut ResponseView {
                head: &mut head,
                ours: true,
            },
            memory,
        );
    }
    head.insert_header("X-Request-Id", id).map_err(failed)?;
    Ok(Outcome::Reply(Reply {
        by,
        status: head.status.as_u16(),
        reason: head.status.canonical_reason().unwrap_or_default(),
        code: answer.refusal.map(|refusal| refusal.code),
        title: answer.refusal.map(|refusal| refusal.title),
        detail: match &answer.body {
            ReplyBody::Problem { detail } => detail.clone(),
            ReplyBody::Empty | ReplyBody::Bytes(_) => None,
        },
        headers: fields(&head.headers),
        bytes: body.len(),
    }))
}

/// Header fields in the order of their names.
pub(super) fn fields(headers: &HeaderMap) -> Vec<Field> {
    let mut names: Vec<_> = headers.keys().collect();
    names.sort_unstable_by_key(|name| name.as_str());
    names
        .into_iter()
        .map(|name| Field {
            name: name.to_string(),
            value: joined(headers, name.as_str()),
        })
        .collect()
}

/// All values of a field as one list; the id of a request that was never sent is none.
pub(super) fn joined(headers: &HeaderMap, name: &str) -> String {
    let values = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    let value = values.collect::<Vec<_>>().join(", ");
    if name == REQUEST_ID.as_str() && value == ID {
        "(made for each request)".to_owned()
    } else {
        value
    }
}
