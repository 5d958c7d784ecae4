//! TOML in a temp dir with ports filled in.
//!
//! Placeholders stand between two `@`, which neither TOML nor the patterns of a route use:
//!
//! | written | becomes |
//! |---|---|
//! | `@port.NAME@` | a free port, the same for every use of NAME |
//! | `@address.NAME@` | `127.0.0.1:` and that port |
//! | `@upstream.NAME@` | the address given to [`Config::upstream`] |
//! | `@dir@` | the temp dir, where [`Config::file`] puts its files |
//!
//! Where the text has no `[admin]`, `[access-log]` or `[server]`, the harness appends its own after the last line
//! (so no line number changes). Its `[server]` has one worker: the access log is in order within a worker only.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, process};

use crate::ports::{self, Reservation};

const ADMIN: &str = "\n[admin]\naddress = \"@address.admin@\"\n";
const SERVER: &str = "\n[server]\nworkers = 1\n";
const ACCESS_LOG: &str = "\n[access-log]\npath = \"@dir@/access.log\"\n";

/// A configuration with what its placeholders mean, and the files and variables it needs.
#[derive(Clone, Debug, Default)]
pub struct Config {
    text: String,
    upstreams: Vec<(String, String)>,
    files: Vec<(String, Vec<u8>)>,
    env: Vec<(String, String)>,
    program: Option<PathBuf>,
}

impl Config {
    /// A configuration from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// The same with another text in place of this one.
    pub fn replace(mut self, from: &str, to: &str) -> Self {
        assert!(
            self.text.contains(from),
            "{from} is not in the configuration"
        );
        self.text = self.text.replace(from, to);
        self
    }

    /// Says what `@upstream.NAME@` is.
    pub fn upstream(mut self, name: &str, addr: SocketAddr) -> Self {
        self.upstreams.push((name.to_owned(), addr.to_string()));
        self
    }

    /// Adds text at the end.
    pub fn append(mut self, text: &str) -> Self {
        self.text += text;
        self
    }

    /// Puts a file beside the configuration; the path may have folders.
    pub fn file(mut self, path: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), contents.into()));
        self
    }

    /// Sets an environment variable of the process.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts this program instead of the binary under test.
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program = Some(path.into());
        self
    }

    pub(crate) fn chosen_program(&self) -> Option<&Path> {
        self.program.as_deref()
    }

    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.env
    }

    /// Appends what every started gateway needs and the text left out.
    pub(crate) fn completed(mut self) -> Self {
        for (table, text) in [
            ("[admin]", ADMIN),
            ("[access-log]", ACCESS_LOG),
            ("[server]", SERVER),
        ] {
            if !self
                .text
                .lines()
                .any(|line| line.trim_start().starts_with(table))
            {
                self.text += text;
            }
        }
        self
    }
}

impl From<&str> for Config {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Config {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&String> for Config {
    fn from(text: &String) -> Self {
        Self::new(text.as_str())
    }
}

/// The temp dir of one gateway and the ports that its configurations share.
#[derive(Debug)]
pub(crate) struct Place {
    dir: PathBuf,
    ports: BTreeMap<String, SocketAddr>,
    held: Vec<Reservation>,
    upstreams: BTreeMap<String, String>,
}

impl Place {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let dir = env::temp_dir().join(format!("gateway-test-{}-{number}", process::id()));
        fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let (ports, upstreams) = (BTreeMap::new(), BTreeMap::new());
        Self {
            dir,
            ports,
            held: Vec::new(),
            upstreams,
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What `@address.NAME@` became.
    pub(crate) fn address(&self, name: &str) -> Option<SocketAddr> {
        self.ports.get(name).copied()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join("gateway.toml")
    }

    /// Gives all ports back, to be bound by somebody who insists on being alone.
    pub(crate) fn release_ports(&mut self) {
        self.held.clear();
    }

    /// Forgets the ports: the next `write` takes others.
    pub(crate) fn forget_ports(&mut self) {
        self.held.clear();
        self.ports.clear();
    }

    /// Writes the configuration with its files, whole or not at all, and returns the text as written.
    pub(crate) fn write(&mut self, config: &Config) -> String {
        self.write_to(&self.file(), config)
    }

    /// The same to another file.
    pub(crate) fn write_to(&mut self, file: &Path, config: &Config) -> String {
        self.upstreams.extend(config.upstreams.iter().cloned());
        for (path, contents) in &config.files {
            replace(&self.dir.join(path), contents);
        }
        let text = self.fill(&config.text);
        replace(file, text.as_bytes());
        text
    }

    fn fill(&mut self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('@') {
            filled += before;
            let known = after.split_once('@').and_then(|(key, tail)| {
                let value = self.meaning(key)?;
                Some((value, tail))
            });
            let (value, tail) = known.unwrap_or_else(|| ("@".to_owned(), after));
            filled += &value;
            rest = tail;
        }
        filled + rest
    }

    /// `None`: not a placeholder, an `@` of the text itself.
    fn meaning(&mut self, key: &str) -> Option<String> {
        match key.split_once('.') {
            None if key == "dir" => Some(self.dir.display().to_string()),
            Some(("port", name)) => Some(self.port(name).port().to_string()),
            Some(("address", name)) => Some(self.port(name).to_string()),
            Some(("upstream", name)) => match self.upstreams.get(name) {
                Some(addr) => Some(addr.clone()),
                None => panic!("@{key}@: say what it is with Config::upstream(\"{name}\", …)"),
            },
            _ => None,
        }
    }

    fn port(&mut self, name: &str) -> SocketAddr {
        if let Some(addr) = self.ports.get(name) {
            return *addr;
        }
        let reservation = ports::reserve();
        let addr = reservation.addr();
        self.ports.insert(name.to_owned(), addr);
        self.held.push(reservation);
        addr
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A leftover in the temp dir hurts nobody.
        fs::remove_dir_all(&self.dir).ok();
    }
}

/// Replaces a file in one step, as careful editors do.
fn replace(path: &Path, contents: &[u8]) {
    let write = || {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        let fresh = path.with_extension("fresh");
        fs::write(&fresh, contents)?;
        fs::rename(&fresh, path)
    };
    write().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
