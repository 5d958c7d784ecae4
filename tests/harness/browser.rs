//! A real browser, headless Chromium, driven by WebDriver (W3C) over HTTP: for what only a browser decides.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::client::Client;
use crate::ports;
use crate::wait::{self, DEADLINE};

/// Names of the driver, and where Debian puts the browser.
const DRIVER: &str = "chromedriver";

/// A browser without any history, until it is dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    addr: SocketAddr,
    session: String,
    profile: PathBuf,
}

impl Browser {
    /// Whether this machine has one. `tests/tools/install.sh` brings it where it may.
    pub fn is_installed() -> bool {
        let version = Command::new(DRIVER)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        version.is_ok_and(|status| status.success())
    }

    /// Starts a browser; takes certificates of anybody.
    pub fn start() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let profile = env::temp_dir().join(format!("browser-test-{}-{number}", process::id()));
        fs::create_dir_all(&profile).expect("a folder for the profile");
        let reservation = ports::reserve();
        let addr = reservation.addr();
        drop(reservation);
        let driver = Command::new(DRIVER)
            .arg(format!("--port={}", addr.port()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the driver starts");
        let mut browser = Self {
            driver,
            addr,
            session: String::new(),
            profile,
        };
        wait::until(DEADLINE, "the driver", || Client::try_connect(addr).is_ok());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", browser.profile.display()));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": arguments },
        } } });
        let answer = browser.call("POST", "/session", &wanted);
        let session = answer["sessionId"].as_str();
        session.expect("a session").clone_into(&mut browser.session);
        browser
    }

    /// Goes to a page and waits until it is there.
    pub fn open(&self, url: &str) {
        self.command("POST", "url", &json!({ "url": url }));
    }

    /// Where it is.
    pub fn url(&self) -> String {
        text(&self.command("GET", "url", &Value::Null))
    }

    /// Waits until it is there: a click returns before the page that it leads to has come.
    pub fn arrive(&self, url: &str) {
        wait::until(DEADLINE, "the browser to get there", || self.url() == url);
    }

    /// What the page says.
    pub fn source(&self) -> String {
        text(&self.command("GET", "source", &Value::Null))
    }

    /// Types into the element of this id.
    pub fn write(&self, id: &str, keys: &str) {
        let element = self.element(id);
        self.command(
            "POST",
            &format!("element/{element}/value"),
            &json!({ "text": keys }),
        );
    }

    /// Clicks on the element of this id.
    pub fn click(&self, id: &str) {
        let element = self.element(id);
        self.command("POST", &format!("element/{element}/click"), &json!({}));
    }

    /// What a function of the page comes to; the page may take its time.
    pub fn script(&self, body: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; (async () => {{ {body} }})().then(done, (error) => done(String(error)));"
        );
        self.command(
            "POST",
            "execute/async",
            &json!({ "script": script, "args": [] }),
        )
    }

    /// The names of the cookies that the page could send.
    pub fn cookies(&self) -> Vec<Value> {
        let cookies = self.command("GET", "cookie", &Value::Null);
        cookies.as_array().cloned().unwrap_or_default()
    }

    fn element(&self, id: &str) -> String {
        let by = json!({ "using": "css selector", "value": format!("#{id}") });
        let found = self.command("POST", "element", &by);
        let id = found.as_object().and_then(|found| found.values().next());
        text(id.expect("an element"))
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.call(method, &format!("/session/{}/{path}", self.session), body)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let headers = [("content-type", "application/json")];
        let mut client = Client::connect(self.addr);
        client.patience(DEADLINE * 3);
        let mut answer = client.request(method, path, &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
        answer.body = answer.json()["value"].to_string().into_bytes();
        answer.json()
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Only the driver can end the browser, also where the test has failed.
        let path = format!("/session/{}", self.session);
        if let Ok(mut client) = Client::try_connect(self.addr) {
            client.try_request("DELETE", &path, &[], b"").ok();
        }
        drop(self.driver.kill());
        drop(self.driver.wait());
        fs::remove_dir_all(&self.profile).ok();
    }
}
