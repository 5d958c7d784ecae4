//! Fetches against a provider that says what it is told to.

use std::collections::VecDeque;

use http::Response;
use serde_json::json;
use tokio::runtime::Handle;

use super::*;
use crate::contract::services::{Boxed, Outbound, Tasks};

/// RFC 7515 appendix A.3.
const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

/// Answers in turn, then nobody.
#[derive(Default)]
struct Provider {
    answers: Mutex<VecDeque<Result<Response<Bytes>, CallError>>>,
    asked: Mutex<Vec<String>>,
}

impl Provider {
    fn will(&self, status: u16, body: impl Into<Bytes>) {
        let answer = Response::builder().status(status).body(body.into());
        self.answers.lock().push_back(Ok(answer.unwrap()));
    }
}

struct Calls(Arc<Provider>);

impl Outbound for Calls {
    fn send(
        &self,
        request: Request<Bytes>,
        limits: CallLimits,
    ) -> Boxed<'_, Result<Response<Bytes>, CallError>> {
        assert_eq!(limits.bytes, 1 << 20);
        self.0.asked.lock().push(request.uri().to_string());
        let answer = self.0.answers.lock().pop_front();
        Box::pin(async move {
            // Whoever asks meanwhile must find it under way.
            tokio::task::yield_now().await;
            answer.unwrap_or(Err(CallError::Connect))
        })
    }
}

struct Spawner;

impl Tasks for Spawner {
    fn spawn(&self, task: Boxed<'static, ()>) {
        drop(Handle::current().spawn(task));
    }
}

fn set(kids: &[&str]) -> Bytes {
    let key = |kid: &&str| json!({ "kty": "EC", "kid": kid, "crv": "P-256", "x": X, "y": Y });
    let keys: Vec<_> = kids.iter().map(key).collect();
    json!({ "keys": keys }).to_string().into()
}

fn remote() -> (Arc<Provider>, Arc<Remote>) {
    let provider = Arc::new(Provider::default());
    let services = Services {
        outbound: Arc::new(Calls(Arc::clone(&provider))),
        tasks: Arc::new(Spawner),
        ..Services::nothing()
    };
    let url = Uri::from_static("https://idp.example.com/keys");
    let remote = Remote::new(&"idp".into(), url, &[Algorithm::Es256], &services);
    (provider, Arc::new(remote))
}

fn has(remote: &Remote, kid: &str) -> bool {
    let known = remote.known();
    let known = known.as_ref();
    known.is_some_and(|known| known.keys.find(Some(kid), Algorithm::Es256).is_ok())
}

fn generation(remote: &Remote) -> u64 {
    remote.known().as_ref().map_or(0, |known| known.generation)
}

#[tokio::test]
async fn is_ready_once_it_has_keys() {
    let (provider, remote) = remote();
    assert!(remote.unready().unwrap().contains("`idp`"));
    provider.will(503, "");
    remote.prepare().await;
    assert!(remote.unready().is_some());
    provider.will(200, set(&["a"]));
    remote.prepare().await;
    assert!(remote.unready().is_none() && has(&remote, "a"));
    remote.prepare().await;
    assert_eq!(*provider.asked.lock(), ["https://idp.example.com/keys"; 2]);
}

#[tokio::test]
async fn the_last_good_keys_stay_whatever_comes() {
    let (provider, remote) = remote();
    provider.will(200, set(&["a"]));
    remote.fetch().await;
    for (status, body) in [
        (200, "<!doctype html>Sign in"),
        (200, ""),
        (200, r#"{"keys":[]}"#),
        (302, ""),
        (304, ""),
        (500, r#"{"keys":[]}"#),
    ] {
        provider.will(status, body);
        remote.fetch().await;
        assert!(has(&remote, "a"), "{status} {body:?}");
    }
    for error in [CallError::Connect, CallError::Timeout, CallError::TooLarge] {
        provider.answers.lock().push_back(Err(error));
        remote.fetch().await;
        assert!(has(&remote, "a"), "{error}");
    }
    assert_eq!(generation(&remote), 1);
}

#[tokio::test]
async fn generations_follow_the_keys() {
    let (provider, remote) = remote();
    for (kids, expected) in [
        (&["a"][..], 1),
        (&["a"], 1),
        (&["a", "b"], 2),
        (&["b"], 3),
        (&["b"], 3),
    ] {
        provider.will(200, set(kids));
        remote.fetch().await;
        assert_eq!(generation(&remote), expected);
    }
    assert!(
        has(&remote, "b") && !has(&remote, "a"),
        "a key that is withdrawn is gone"
    );
}

#[tokio::test]
async fn many_who_ask_are_one_fetch() {
    let (provider, remote) = remote();
    provider.will(200, set(&["a"]));
    remote.prepare().await;
    remote.activate();
    provider.will(200, set(&["b"]));
    let askers: Vec<_> = (0..100)
        .map(|_| {
            let remote = Arc::clone(&remote);
            tokio::spawn(async move { remote.refresh().await })
        })
        .collect();
    for asker in askers {
        assert!(asker.await.unwrap());
    }
    assert!(has(&remote, "b"));
    assert_eq!(provider.asked.lock().len(), 2);
    assert!(!remote.refresh().await, "there was one lately");
    assert_eq!(provider.asked.lock().len(), 2);
}

#[tokio::test]
async fn nobody_asks_where_nobody_fetches() {
    let (provider, remote) = remote();
    assert!(!remote.refresh().await);
    assert!(provider.asked.lock().is_empty());
}

#[tokio::test]
async fn the_task_ends_with_its_keys() {
    let (_provider, remote) = remote();
    let task = tokio::spawn(keep_fresh(
        Arc::downgrade(&remote),
        Arc::clone(&remote.wake),
    ));
    drop(remote);
    task.await.unwrap();
}
