//! A real gateway process: started, ready, observed, reloaded, stopped.
//!
//! `Gateway::start` returns when `/readyz` says 200. When a test panics, the configuration and everything the
//! process said are printed; the process never outlives its value.

mod answers;
mod cli;
mod instance;
mod process;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;
use std::{fs, thread};

pub use answers::Reloads;
pub use cli::{Exit, cli, cli_in};
pub use instance::{Instance, Stranger};

use crate::client::{Client, Response, Tls};
use crate::config::{Config, Place};
use crate::wait::{self, DEADLINE};
use process::Process;

/// How often a start is repeated when somebody else has one of our ports.
const STARTS_MAX: usize = 4;

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    place: Place,
    /// As written to the file last.
    text: String,
    /// The last text that parsed, with the addresses in it.
    parsed: toml::Table,
}

impl Gateway {
    /// Starts a gateway with this configuration and waits until it is ready.
    pub fn start(config: impl Into<Config>) -> Self {
        let config = config.into().completed();
        let mut place = Place::new();
        for start in 0..STARTS_MAX {
            let text = place.write(&config);
            if start > 0 {
                place.release_ports();
            }
            match Self::attempt(&config, &place, &text) {
                Ok(process) => {
                    let parsed = text
                        .parse()
                        .expect("a gateway that runs has read valid TOML");
                    return Self {
                        process,
                        place,
                        text,
                        parsed,
                    };
                }
                Err(exit) if exit.stderr.to_lowercase().contains("in use") => place.forget_ports(),
                Err(exit) => panic!("the gateway did not start: {exit}\n--- config\n{text}"),
            }
        }
        panic!("no free ports after {STARTS_MAX} starts");
    }

    /// Starts a gateway and does not wait: for one whose admin listener has no IP address.
    pub fn start_unready(config: impl Into<Config>) -> Self {
        let config = config.into().completed();
        let mut place = Place::new();
        let text = place.write(&config);
        let process = Process::run(&place, &config);
        let parsed = text.parse().unwrap_or_default();
        Self {
            process,
            place,
            text,
            parsed,
        }
    }

    /// Starts a gateway that must refuse its configuration, and returns how it ended.
    /// Nothing is appended to the text.
    pub fn try_start(config: impl Into<Config>) -> Exit {
        let config = config.into();
        let mut place = Place::new();
        let text = place.write(&config);
        let mut process = Process::run(&place, &config);
        let ended = wait::try_until(DEADLINE, || process.ended());
        assert!(
            ended.is_some(),
            "the gateway runs, but should refuse:\n{text}"
        );
        process.exit()
    }

    fn attempt(config: &Config, place: &Place, text: &str) -> Result<Process, Exit> {
        let parsed = text.parse().unwrap_or_default();
        let mut process = Process::run(place, config);
        let ready = wait::try_until(DEADLINE, || {
            let ended = process.ended().is_some();
            if ended {
                Some(false)
            } else {
                is_ready(&parsed).then_some(true)
            }
        });
        match ready {
            Some(true) => Ok(process),
            Some(false) => Err(process.exit()),
            None => panic!(
                "not ready after {DEADLINE:?}\n--- config\n{text}\n{}",
                process.said()
            ),
        }
    }

    /// The address of the listener `public`, or of the only one.
    pub fn addr(&self) -> SocketAddr {
        let listeners = self.parsed.get("listener").and_then(toml::Value::as_table);
        let names: Vec<&String> = listeners
            .map(|all| all.keys().collect())
            .unwrap_or_default();
        match names.as_slice() {
            [only] => self.addr_of(only),
            _ => self.addr_of("public"),
        }
    }

    /// The address of a listener.
    pub fn addr_of(&self, listener: &str) -> SocketAddr {
        let address = self
            .parsed
            .get("listener")
            .and_then(|all| all.get(listener));
        socket_addr(address)
            .unwrap_or_else(|| panic!("[listener.{listener}] has no IP address and port"))
    }

    /// The address of the admin listener.
    pub fn admin_addr(&self) -> SocketAddr {
        socket_addr(self.parsed.get("admin")).expect("[admin] has an IP address and port")
    }

    /// The address that `@address.NAME@` stands for.
    pub fn address(&self, name: &str) -> SocketAddr {
        self.place
            .address(name)
            .unwrap_or_else(|| panic!("no text of this gateway has @address.{name}@"))
    }

    /// A new connection to the first listener.
    pub fn client(&self) -> Client {
        Client::connect(self.addr())
    }

    /// `GET path` on a new connection.
    pub fn get(&self, path: &str) -> Response {
        self.client().get(path)
    }

    /// Any request on a new connection.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.client().request(method, path, headers, body)
    }

    /// `GET path` at the admin listener.
    pub fn admin_get(&self, path: &str) -> Response {
        Client::connect(self.admin_addr()).get(path)
    }

    /// `POST path` at the admin listener, without a body.
    pub fn admin_post(&self, path: &str) -> Response {
        let length = [("content-length", "0")];
        Client::connect(self.admin_addr()).request("POST", path, &length, b"")
    }

    /// Replaces the configuration file; names keep their ports and upstreams. Does not wait: see `reload`.
    pub fn rewrite_config(&mut self, config: impl Into<Config>) {
        let text = self.place.write(&config.into().completed());
        if let Ok(parsed) = text.parse() {
            self.parsed = parsed;
        }
        self.text = text;
    }

    /// Replaces the configuration file and waits until the gateway has noticed by itself.
    /// Addresses follow the new text, also where the gateway refused it.
    pub fn rewrite_and_wait(&mut self, config: impl Into<Config>) {
        let before = self.reloads();
        self.rewrite_config(config);
        self.wait_reload_after(before);
    }

    /// `POST /reload`; the answer comes when the reload is decided, one way or the other.
    pub fn reload(&self) -> Response {
        self.admin_post("/reload")
    }

    /// SIGHUP, then waits until a reload was counted.
    pub fn reload_by_signal(&self) {
        let before = self.reloads();
        self.signal("HUP");
        self.wait_reload_after(before);
    }

    /// Waits until more reloads were counted than `before`.
    pub fn wait_reload_after(&self, before: Reloads) {
        wait::until(DEADLINE, "a reload", || {
            self.reloads().total() > before.total()
        });
    }

    /// Everything the process wrote to stdout and stderr so far.
    pub fn log(&self) -> String {
        self.process.said()
    }

    /// Waits until the log holds `text`.
    pub fn wait_log(&self, text: &str) {
        wait::until(DEADLINE, &format!("{text:?} in the log"), || {
            self.log().contains(text)
        });
    }

    /// Sends a signal by its name: `TERM`, `HUP`, `USR1`, `KILL`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits for the process to end by itself.
    pub fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        wait::until_some(deadline, "the gateway to exit", || self.process.ended())
    }

    /// Is the process still there?
    pub fn is_running(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// Resident memory of the process in KiB.
    pub fn rss_kib(&self) -> u64 {
        self.process.rss_kib()
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The path of a file in the temp dir of this gateway.
    pub fn path(&self, file: &str) -> PathBuf {
        self.place.dir().join(file)
    }

    /// A file in the temp dir of this gateway.
    pub fn file(&self, path: &str) -> String {
        let path = self.place.dir().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- config\n{}\n{}", self.text, self.log());
        }
    }
}

fn is_ready(config: &toml::Table) -> bool {
    let Some(admin) = socket_addr(config.get("admin")) else {
        return false;
    };
    let encrypted = config
        .get("admin")
        .is_some_and(|admin| admin.get("tls").is_some());
    let client = if encrypted {
        Tls::careless("localhost").try_connect(admin)
    } else {
        Client::try_connect(admin)
    };
    let answer = client.and_then(|mut client| client.try_request("GET", "/readyz", &[], b""));
    answer.is_ok_and(|answer| answer.status == 200)
}

fn socket_addr(table: Option<&toml::Value>) -> Option<SocketAddr> {
    table?.get("address")?.as_str()?.parse().ok()
}
