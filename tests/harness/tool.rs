//! Programs that others wrote: their clients and servers are the judges of what both sides of the gateway speak.
//!
//! `tests/tools/install.sh` brings them; `tests/run.sh` calls it. A test that needs one that is missing fails and says so.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How long any of them may take before it is killed, in seconds, by `timeout` of coreutils.
const LIMIT: &str = "120";

/// A server in a script of `tests/tools`, until it is dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl Server {
    /// Starts a Python script that prints its port on 127.0.0.1 and ends with its standard input.
    pub fn python(script: &str) -> Self {
        Self::start(&python(), &scripts().join(script))
    }

    /// Starts a Node.js script that does the same.
    pub fn node(script: &str) -> Self {
        Self::start(Path::new("node"), &node_scripts().join(script))
    }

    fn start(program: &Path, script: &Path) -> Self {
        let mut process = Command::new(program)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| missing(program, &error));
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("the script prints its port");
        let port: u16 = line.trim().parse().unwrap_or_else(|_| {
            let script = script.display();
            panic!("{script} printed no port; tests/tools/install.sh brings what it needs")
        });
        Self {
            process,
            addr: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Runs a Python script to its end and returns what it printed; panics unless it succeeded.
pub fn python_script(script: &str, args: &[&str]) -> String {
    let script = scripts().join(script);
    let mut all = vec![script.to_str().expect("a path of text")];
    all.extend(args);
    run(&python(), &all)
}

/// Runs a module of Python to its end: its output and whether it succeeded.
pub fn python_module(args: &[&str]) -> (String, bool) {
    let mut all = vec!["-m"];
    all.extend(args);
    output(&python(), &all)
}

/// Runs a Node.js script to its end and returns what it printed; panics unless it succeeded.
pub fn node_script(script: &str, args: &[&str]) -> String {
    let script = node_scripts().join(script);
    let mut all = vec![script.to_str().expect("a path of text")];
    all.extend(args);
    run(Path::new("node"), &all)
}

/// Runs a program to its end and returns what it printed on both outputs; panics unless it succeeded.
pub fn run(program: &Path, args: &[&str]) -> String {
    let (said, good) = output(program, args);
    assert!(good, "{} {args:?} failed:\n{said}", program.display());
    said
}

/// Runs a program to its end: what it printed on both outputs, and whether it succeeded.
pub fn output(program: &Path, args: &[&str]) -> (String, bool) {
    let output = Command::new("timeout")
        .arg(LIMIT)
        .arg(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| missing(program, &error));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // What `timeout` says when there is no such program.
    assert_ne!(
        output.status.code(),
        Some(127),
        "{} is missing: tests/tools/install.sh brings it",
        program.display()
    );
    (
        text(&output.stdout) + &text(&output.stderr),
        output.status.success(),
    )
}

fn missing(program: &Path, error: &std::io::Error) -> ! {
    panic!(
        "{}: {error}; tests/tools/install.sh brings it",
        program.display()
    )
}

fn python() -> PathBuf {
    installed().join("python/bin/python")
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tools")
}

/// Modules are looked for beside the script, so the installer has put a copy beside the modules.
fn node_scripts() -> PathBuf {
    installed().join("node")
}

/// Where the installer puts what is not the system's.
fn installed() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    target.join("tools")
}
