//! The tasks of an HTTP/2 backend: one accepts, one drives each connection, one answers each stream.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::script::{Answer, H2Script, Payload};
use super::{H2Call, Order, Recorded, Shared, lock};
use crate::backend::Gate;
use crate::wire::Headers;
use crate::wire::h2::{fields, rest};

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            shared.open.fetch_add(1, Ordering::SeqCst);
            if let Err(error) = drive(stream, number, &shared).await
                && !error.is_io()
                && !(error.is_go_away() && error.is_remote())
            {
                lock(&shared.faults).push(format!("connection {number}: {error}"));
            }
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn drive(stream: TcpStream, number: usize, shared: &Arc<Shared>) -> Result<(), h2::Error> {
    stream.set_nodelay(true).ok();
    let mut orders = shared.orders.subscribe();
    let (ask, mut asked) = mpsc::unbounded_channel();
    let mut builder = h2::server::Builder::new();
    if let Some(max) = lock(&shared.scripts).streams_max {
        builder.max_concurrent_streams(max);
    }
    let mut connection: Connection<_, Bytes> = builder.handshake(stream).await?;
    let mut aborted = false;
    loop {
        let order = tokio::select! {
            accepted = connection.accept() => {
                let Some(accepted) = accepted else { return Ok(()) };
                let (request, respond) = match accepted {
                    Err(_) if aborted => return Ok(()),
                    accepted => accepted?,
                };
                shared.streams.fetch_add(1, Ordering::SeqCst);
                let call = H2Call { request, respond, connection: number };
                tokio::spawn(stream_task(call, Arc::clone(shared), ask.clone()));
                continue;
            }
            order = orders.recv() => order.unwrap_or(Order::Close),
            Some(reason) = asked.recv() => Order::Abort(reason),
        };
        match order {
            Order::Leave => connection.graceful_shutdown(),
            Order::Abort(reason) => {
                aborted = true;
                connection.abrupt_shutdown(reason);
            }
            Order::Close => return Ok(()),
        }
    }
}

async fn stream_task(
    mut call: H2Call,
    shared: Arc<Shared>,
    go_away: mpsc::UnboundedSender<Reason>,
) {
    let script = choose(&shared, call.request.uri().path());
    match script.payload {
        Payload::Reset(reason) => call.respond.send_reset(reason),
        Payload::GoAway(reason) => {
            // Fails where the connection has ended already.
            go_away.send(reason).ok();
            std::future::pending::<()>().await;
        }
        Payload::Stall => std::future::pending().await,
        Payload::Handler(handle) => handle(call).await,
        Payload::Echo | Payload::Answer(_) => {
            // A client that went away in the middle is the test's business.
            exchange(call, script, &shared).await.ok();
        }
    }
}

fn choose(shared: &Shared, path: &str) -> H2Script {
    let mut scripts = lock(&shared.scripts);
    let next = scripts.next.pop_front();
    next.or_else(|| scripts.by_path.get(path).cloned())
        .unwrap_or_else(|| scripts.otherwise.clone())
}

async fn exchange(call: H2Call, script: H2Script, shared: &Shared) -> Result<(), h2::Error> {
    let recorded = read(call.request, call.connection).await?;
    lock(&shared.requests).push(recorded.clone());
    if let Some(gate) = script.gate {
        pass(gate).await;
    }
    let answer = if let Payload::Answer(answer) = script.payload {
        answer
    } else {
        echo(&recorded, &shared.name)
    };
    let end = recorded.method == "HEAD";
    write(call.respond, answer, end, &shared.name).await
}

async fn read(request: Request<RecvStream>, connection: usize) -> Result<Recorded, h2::Error> {
    let (head, stream) = request.into_parts();
    let (body, trailers) = rest(stream).await?;
    let authority = head
        .uri
        .authority()
        .map_or("", |authority| authority.as_str());
    let mut headers = vec![
        (":authority".to_owned(), authority.to_owned()),
        (
            ":scheme".to_owned(),
            head.uri.scheme_str().unwrap_or_default().to_owned(),
        ),
    ];
    headers.extend(fields(&head.headers).0);
    Ok(Recorded {
        connection,
        method: head.method.to_string(),
        target: head
            .uri
            .path_and_query()
            .map_or("", |target| target.as_str())
            .to_owned(),
        version: "HTTP/2".to_owned(),
        headers: Headers(headers),
        body,
        trailers,
    })
}

fn echo(request: &Recorded, name: &str) -> Answer {
    let echo = json!({
        "backend": name,
        "method": request.method,
        "target": request.target,
        "version": request.version,
        "headers": request.headers.0,
        "length": request.body.len(),
        "body": request.text(),
    });
    Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        chunks: vec![echo.to_string().into_bytes()],
        ..Answer::default()
    }
}

async fn write(
    mut respond: SendResponse<Bytes>,
    answer: Answer,
    end: bool,
    name: &str,
) -> Result<(), h2::Error> {
    let mut head = Response::builder()
        .status(answer.status)
        .header("x-backend", name);
    for (name, value) in &answer.headers {
        head = head.header(name, value);
    }
    let head = head.body(()).expect("a head that the http crate accepts");
    let bare = answer.chunks.iter().all(Vec::is_empty) && answer.reset.is_none();
    if end || (bare && answer.trailers.is_empty() && answer.trickle.is_none()) {
        return respond.send_response(head, true).map(drop);
    }
    let mut body = respond.send_response(head, false)?;
    for chunk in answer.chunks {
        if let Some(gate) = answer.trickle.clone() {
            pass(gate).await;
        }
        body.send_data(chunk.into(), false)?;
    }
    if let Some(gate) = answer.trickle {
        pass(gate).await;
    }
    match answer.reset {
        Some(reason) => body.send_reset(reason),
        None if answer.trailers.is_empty() => body.send_data(Bytes::new(), true)?,
        None => body.send_trailers(map(&answer.trailers))?,
    }
    Ok(())
}

async fn pass(gate: Gate) {
    tokio::task::spawn_blocking(move || gate.pass()).await.ok();
}

fn map(pairs: &[(String, String)]) -> HeaderMap {
    let pair = |(name, value): &(String, String)| {
        let name: HeaderName = name.parse().expect("a field name");
        (name, HeaderValue::try_from(value).expect("a field value"))
    };
    pairs.iter().map(pair).collect()
}
