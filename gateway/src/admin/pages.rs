//! The pages of the admin listener: one function each.

use std::sync::Arc;

use http::{Method, Response, StatusCode, header};
use pingora::protocols::http::ServerSession;
use serde_json::{Value, json};

use super::access::NoAccess;
use super::{Control, describe};
use crate::cache::purge::{self, Target as Purged};
use crate::listen;
use crate::runtime::reload::{ReloadError, Trigger};

/// Answers a request of an operator.
pub(super) async fn answer(
    control: &Arc<Control>,
    session: &mut ServerSession,
) -> Response<Vec<u8>> {
    let listener = listen::facts(session)
        .map(|facts| facts.listener.name.to_string())
        .unwrap_or_default();
    let head = session.req_header();
    let (method, path) = (head.method.clone(), head.uri.path().to_owned());
    let probe = matches!(path.as_str(), "/healthz" | "/readyz");
    let offered = match listener.as_str() {
        "probes" => probe,
        "metrics" => path == "/metrics",
        _ => true,
    };
    if !offered {
        return problem(
            StatusCode::NOT_FOUND,
            "admin.none",
            "There is no such page on this address.",
        );
    }
    // Probes tell nothing worth a token, and those who ask have none.
    if !probe && let Err(reason) = control.tokens.load().check(&method, &head.headers) {
        return no_access(reason);
    }
    if path == "/purge" {
        let query = session.req_header().uri.query().unwrap_or_default();
        let query = query.to_owned();
        return purge(control, &method, &query).await;
    }
    page(control, &method, &path).await
}

/// Forgets kept answers: `url`, `prefix` or `tag`, and `soft`.
async fn purge(control: &Control, method: &Method, query: &str) -> Response<Vec<u8>> {
    if *method != Method::POST {
        return not_allowed("POST");
    }
    let (mut targets, mut soft, mut known) = (Vec::new(), false, true);
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "url" => targets.push(Purged::Url(value.into_owned())),
            "prefix" => targets.push(Purged::Prefix(value.into_owned())),
            "tag" => targets.push(Purged::Tag(value.into_owned())),
            "soft" => soft = value == "true",
            _ => known = false,
        }
    }
    let [target] = targets.as_slice() else {
        return unclear();
    };
    if !known {
        return unclear();
    }
    let snapshot = control.shared.live.snapshot();
    let count = purge::purge(&snapshot.zones, target, soft);
    tracing::info!(?target, soft, count, "Purged");
    let untold = snapshot.followers.tell(target, soft).await;
    if !purge::recorded(&snapshot.zones).await {
        return problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "admin.purge-not-recorded",
            "It is forgotten, but not on record: after a crash, what is on disk may be found again.",
        );
    }
    if !untold.is_empty() {
        tracing::warn!(?target, zones = ?untold, "Other gateways were not told of a purge");
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "admin.purge-untold",
            "Purged here, but the store did not take it for the other gateways. Purge again when it answers.",
        );
    }
    data(StatusCode::OK, &json!({ "result": "ok", "purged": count }))
}

fn unclear() -> Response<Vec<u8>> {
    problem(
        StatusCode::BAD_REQUEST,
        "admin.purge",
        "Say one of url, prefix and tag, and soft=true where they are to be marked stale only.",
    )
}

async fn page(control: &Arc<Control>, method: &Method, path: &str) -> Response<Vec<u8>> {
    let reads = *method == Method::GET || *method == Method::HEAD;
    match path {
        "/reload" if *method == Method::POST => reload(control).await,
        "/reload" => not_allowed("POST"),
        "/healthz" | "/readyz" | "/metrics" | "/config" | "/routes" | "/upstreams" | "/limits"
        | "/"
            if !reads =>
        {
            not_allowed("GET, HEAD")
        }
        "/healthz" => text(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            "ok\n".to_owned(),
        ),
        "/readyz" => ready(control),
        "/metrics" => text(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            control.exposition.text(),
        ),
        "/config" => data(StatusCode::OK, &config(control)),
        "/routes" => data(
            StatusCode::OK,
            &describe::routes(&control.shared.live.snapshot().loaded),
        ),
        "/upstreams" => data(
            StatusCode::OK,
            &describe::upstreams(&control.shared.live.snapshot()),
        ),
        "/limits" => data(
            StatusCode::OK,
            &describe::limits(&control.shared.live.snapshot()),
        ),
        "/" => data(StatusCode::OK, &index()),
        _ => problem(
            StatusCode::NOT_FOUND,
            "admin.none",
            "There is no such page; / lists them.",
        ),
    }
}

fn index() -> Value {
    json!({
        "GET /healthz": "200 while the process lives",
        "GET /readyz": "200 while requests are served",
        "GET /metrics": "Prometheus text",
        "GET /config": "the configuration that serves now",
        "GET /routes": "its routes and where each value comes from",
        "GET /upstreams": "its upstreams and their targets",
        "GET /limits": "who has used most of its limits",
        "POST /reload": "load the configuration again",
        "POST /purge": "forget kept answers: ?url=, ?prefix= or ?tag=, and &soft=true",
    })
}

fn ready(control: &Control) -> Response<Vec<u8>> {
    let waiting_for = control.shared.live.snapshot().shared.unready();
    let ready = control.takes_requests(waiting_for.is_empty());
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut page = json!({ "ready": ready });
    if let (Value::Object(page), false) = (&mut page, waiting_for.is_empty()) {
        page.insert("waiting-for".into(), waiting_for.into());
    }
    data(status, &page)
}

fn config(control: &Control) -> Value {
    let applied = control.reloader().map(|reloader| reloader.applied());
    let mut page = describe::config(&control.shared.live.snapshot());
    if let (Value::Object(page), Some(applied)) = (&mut page, applied) {
        page.insert("hash".into(), applied.hash.into());
        page.insert("applied".into(), describe::time(applied.at).into());
        page.insert("started".into(), describe::time(control.started).into());
    }
    page
}

async fn reload(control: &Arc<Control>) -> Response<Vec<u8>> {
    let Some(reloader) = control.reloader().cloned() else {
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "admin.stopping",
            "The gateway is not serving.",
        );
    };
    let outcome = control
        .runtime
        .spawn(async move { reloader.reload(Trigger::Admin).await })
        .await;
    match outcome {
        Ok(Ok(applied)) => {
            let hash = applied.map(|applied| applied.hash);
            data(StatusCode::OK, &json!({ "result": "ok", "hash": hash }))
        }
        Ok(Err(error)) => data(StatusCode::UNPROCESSABLE_ENTITY, &refused(&error)),
        Err(_panicked) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "gateway.internal",
            "The reload failed.",
        ),
    }
}

fn refused(error: &ReloadError) -> Value {
    let complaints = match error {
        ReloadError::Config(failure) => {
            crate::config::render::json(&failure.report, &failure.sources)
        }
        ReloadError::Tls { report, loaded } => crate::config::render::json(report, &loaded.sources),
        ReloadError::Compile { .. }
        | ReloadError::Bind(_)
        | ReloadError::Admin(_)
        | ReloadError::CacheDisk { .. }
        | ReloadError::AccessLog { .. } => json!([]),
    };
    json!({ "result": "failed", "error": error.to_string(), "rendered": error.render(), "complaints": complaints })
}

fn no_access(reason: NoAccess) -> Response<Vec<u8>> {
    match reason {
        NoAccess::Token => {
            let mut answer = problem(
                StatusCode::UNAUTHORIZED,
                "admin.token",
                "A valid token is needed here.",
            );
            answer.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                http::HeaderValue::from_static("Bearer"),
            );
            answer
        }
        NoAccess::ReadOnly => problem(
            StatusCode::FORBIDDEN,
            "admin.read-only",
            "This token may not change anything.",
        ),
        NoAccess::Foreign => problem(
            StatusCode::FORBIDDEN,
            "admin.foreign",
            "Ask by address, and not from a page of another site.",
        ),
    }
}

fn not_allowed(allow: &'static str) -> Response<Vec<u8>> {
    let mut answer = problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "admin.method",
        "Not with this method.",
    );
    answer
        .headers_mut()
        .insert(header::ALLOW, http::HeaderValue::from_static(allow));
    answer
}

fn problem(status: StatusCode, code: &str, title: &str) -> Response<Vec<u8>> {
    let value =
        json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "code": code });
    text(status, "application/problem+json", value.to_string())
}

fn data(status: StatusCode, value: &Value) -> Response<Vec<u8>> {
    text(status, "application/json", format!("{value:#}\n"))
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Response<Vec<u8>> {
    let mut answer = Response::new(body.into_bytes());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    headers.insert(
        header::CACHE_CONTROL,
        http::HeaderValue::from_static("no-store"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        http::HeaderValue::from_static("nosniff"),
    );
    let length = answer.body().len();
    answer
        .headers_mut()
        .insert(header::CONTENT_LENGTH, http::HeaderValue::from(length));
    answer
}
