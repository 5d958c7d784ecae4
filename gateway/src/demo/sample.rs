//! One server for all instances: the listener by which a request came says which of them it is.
//!
//! Trusts the accept path for well-formed heads. Reads every body to its end and keeps none of it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode, header};
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::http::ResponseHeader;
use pingora::prelude::Result;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use serde_json::{Map, Value, json};

use super::mood::{self, Fail, Mood};
use super::{INSTANCES, Instance};
use crate::listen::{self, ConnFacts, HeadRefusal, Reception};
use crate::proxy::reception_answer;

/// What the instances are and how each behaves, in the order of [`INSTANCES`].
#[derive(Default)]
pub(super) struct Samples {
    app: Arc<App>,
}

#[derive(Default)]
pub(super) struct App {
    moods: [Mutex<Mood>; INSTANCES.len()],
}

/// Status, the answer's own members, and for 405 the methods that exist.
struct Answer {
    status: StatusCode,
    members: Value,
    allow: Option<&'static str>,
}

impl Answer {
    fn new(status: StatusCode, members: Value) -> Self {
        Self {
            status,
            members,
            allow: None,
        }
    }

    fn ok(members: Value) -> Self {
        Self::new(StatusCode::OK, members)
    }
}

impl Reception for Samples {
    type App = App;

    fn app(&self) -> &Arc<App> {
        &self.app
    }

    fn refuse(&self, _conn: &ConnFacts, refusal: HeadRefusal, _head: &[u8]) -> Bytes {
        reception_answer(refusal)
    }
}

/// Not Pingora's `ServeHttp`: that one must always answer, and a sample can be told to close the connection instead.
#[async_trait]
impl HttpServerApp for App {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !session.read_request().await.ok()? {
            return None;
        }
        session.set_keepalive((!*shutdown.borrow()).then_some(60));
        let (instance, mood) = self.instance(&session)?;
        let answer = answer(instance, mood, &mut session).await.ok()??;
        send(instance, answer, &mut session).await.ok()?;
        let settings = HttpPersistentSettings::for_session(&session);
        let stream = session.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }
}

impl App {
    fn instance(&self, session: &ServerSession) -> Option<(&'static Instance, &Mutex<Mood>)> {
        let name = &*listen::facts(session)?.listener.name;
        INSTANCES
            .iter()
            .zip(&self.moods)
            .find(|(instance, _)| instance.name == name)
    }
}

/// What an instance says; `None` when it was told to close the connection.
async fn answer(
    instance: &Instance,
    own: &Mutex<Mood>,
    session: &mut ServerSession,
) -> Result<Option<Answer>> {
    let mut length = 0;
    while let Some(piece) = session.read_request_body().await? {
        length += piece.len();
    }
    let head = session.req_header();
    let asked = match Mood::read(head.uri.query().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(message) => {
            return Ok(Some(Answer::new(
                StatusCode::BAD_REQUEST,
                json!({ "error": message }),
            )));
        }
    };
    if head.uri.path() == mood::PATH {
        return Ok(Some(told(&head.method, asked, own)));
    }
    let mood = asked.or(*lock(own));
    if let Some(pause) = mood.pause() {
        tokio::time::sleep(pause).await;
    }
    Ok(match mood.fail {
        Some(Fail::Reset) => None,
        Some(Fail::Status(status)) => Some(Answer::new(status, json!({ "error": "told to fail" }))),
        None => Some(page(instance, length, session)),
    })
}

fn told(method: &Method, asked: Mood, own: &Mutex<Mood>) -> Answer {
    let mut own = lock(own);
    if *method == Method::POST {
        *own = asked;
    }
    Answer::ok(json!({ "mood": own.describe() }))
}

fn lock(mood: &Mutex<Mood>) -> std::sync::MutexGuard<'_, Mood> {
    mood.lock().unwrap_or_else(PoisonError::into_inner)
}

fn page(instance: &Instance, length: usize, session: &ServerSession) -> Answer {
    let subject = instance.subject;
    let head = session.req_header();
    let reads = head.method == Method::GET || head.method == Method::HEAD;
    match head.uri.path() {
        "/echo" => Answer::ok(echo(length, session)),
        path if path == subject.path() && head.method == Method::POST => {
            let created = json!({ "created": { "id": "1004", "bytes-received": length } });
            Answer::new(StatusCode::CREATED, created)
        }
        _ if !reads => Answer {
            allow: Some("GET, HEAD"),
            ..nothing(StatusCode::METHOD_NOT_ALLOWED)
        },
        "/healthz" => Answer::ok(json!({ "healthy": true })),
        path if path == subject.path() => {
            Answer::ok(json!({ subject.plural(): subject.entries() }))
        }
        path => {
            let id = path
                .strip_prefix(subject.path())
                .and_then(|rest| rest.strip_prefix('/'));
            match id.and_then(|id| subject.entry(id)) {
                Some(entry) => Answer::ok(json!({ subject.singular(): entry })),
                None => nothing(StatusCode::NOT_FOUND),
            }
        }
    }
}

fn nothing(status: StatusCode) -> Answer {
    Answer::new(status, json!({ "error": status.canonical_reason() }))
}

/// The request as it arrived: what the gateway made of it.
fn echo(length: usize, session: &ServerSession) -> Value {
    let head = session.req_header();
    let mut fields = Map::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let joined = match fields.get(name.as_str()).and_then(Value::as_str) {
            Some(before) => format!("{before}, {value}"),
            None => value.into_owned(),
        };
        fields.insert(name.as_str().to_owned(), joined.into());
    }
    json!({ "request": {
        "method": head.method.as_str(), "target": head.uri.to_string(), "headers": fields, "body-bytes": length,
    } })
}

async fn send(instance: &Instance, answer: Answer, session: &mut ServerSession) -> Result<()> {
    let mut members = Map::from_iter([("instance".to_owned(), instance.name.into())]);
    if let Value::Object(more) = answer.members {
        members.extend(more);
    }
    let body = Bytes::from(format!("{:#}\n", Value::Object(members)));
    let mut head = ResponseHeader::build(answer.status, Some(4))?;
    head.insert_header(header::CONTENT_TYPE, "application/json")?;
    head.insert_header(header::CONTENT_LENGTH, body.len())?;
    if let Some(allow) = answer.allow {
        head.insert_header(header::ALLOW, allow)?;
    }
    let bodiless = session.req_header().method == Method::HEAD;
    session.write_response_header(Box::new(head)).await?;
    if bodiless {
        return Ok(());
    }
    session.write_response_body(body, true).await
}
