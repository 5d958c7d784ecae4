//! A real Redis, and one that answers what a test says.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::ports::{self, Reservation};
use crate::wait::{self, DEADLINE};

static STARTED: AtomicU64 = AtomicU64::new(0);

/// A `redis-server` that ends with this value.
#[derive(Debug)]
pub struct Redis {
    process: Option<Child>,
    port: Reservation,
    options: Vec<String>,
    directory: PathBuf,
}

impl Redis {
    /// Starts a server that keeps nothing on disk.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with further options, which may say `@dir@` for its directory.
    pub fn with(options: &[&str]) -> Self {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("gateway-e2e-redis-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).expect("a directory");
        let mut server = Self {
            process: None,
            port: ports::reserve(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            directory,
        };
        server.restart();
        server
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Kills it, at once.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }

    /// Starts it again where it was; returns when it answers.
    pub fn restart(&mut self) {
        self.kill();
        let port = self.addr().port().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        if self.options.iter().any(|option| option == "--tls-port") {
            command.args(["--port", "0"]);
        } else {
            command.args(["--port", &port]);
        }
        let fill = |option: &String| match option.as_str() {
            "@port@" => port.clone(),
            option => option.replace("@dir@", &self.directory.display().to_string()),
        };
        let process = command
            .args(self.options.iter().map(fill))
            .current_dir(&self.directory)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is missing: deploy/install-build-tools.sh brings it");
        self.process = Some(process);
        wait::until(DEADLINE, "redis-server answers", || {
            TcpStream::connect(self.addr()).is_ok()
        });
    }

    /// Stops it without closing its connections: it accepts and answers nothing.
    pub fn stall(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let process = self.process.as_ref().expect("it runs");
        let mut kill = Command::new("kill");
        kill.args(["-s", name, &process.id().to_string()]);
        assert!(kill.status().expect("kill").success());
    }

    /// Sends a command and returns the first line of the answer.
    pub fn command(&self, words: &[&str]) -> String {
        let mut stream = TcpStream::connect(self.addr()).expect("redis-server accepts");
        stream
            .set_read_timeout(Some(DEADLINE))
            .expect("a time limit");
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            write!(text, "${}\r\n{word}\r\n", word.len()).expect("a text takes all");
        }
        stream
            .write_all(text.as_bytes())
            .expect("redis-server reads");
        let mut line = String::new();
        BufReader::new(stream)
            .read_line(&mut line)
            .expect("an answer");
        line.trim_end().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// What a [`FakeRedis`] does with a command.
#[derive(Clone, Debug)]
pub enum Says {
    /// Answers with these bytes.
    Bytes(&'static str),
    /// Answers with these bytes and hangs up.
    Last(&'static str),
    /// Answers nothing.
    Nothing,
}

/// A server that greets like a Redis and answers scripts as the test says.
#[derive(Debug)]
pub struct FakeRedis {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What is said to `EVALSHA`.
    script: Mutex<Says>,
    /// What is said to `SET`, which is how the gateway probes.
    probe: Mutex<Says>,
    scripts: AtomicU64,
    probes: AtomicU64,
}

impl FakeRedis {
    /// Starts a server that takes everything, and answers scripts like this.
    pub fn start(script: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            probe: Mutex::new(Says::Bytes("+OK\r\n")),
            scripts: AtomicU64::new(0),
            probes: AtomicU64::new(0),
        });
        let serving = Arc::clone(&shared);
        // It ends with the process: nobody waits for who connects last.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&serving);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { addr, shared }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on answers scripts like this.
    pub fn on_script(&self, says: Says) {
        *self.shared.script.lock().expect("no panic") = says;
    }

    /// From now on answers probes like this.
    pub fn on_probe(&self, says: Says) {
        *self.shared.probe.lock().expect("no panic") = says;
    }

    /// How many scripts it was asked to run.
    pub fn scripts(&self) -> u64 {
        self.shared.scripts.load(Ordering::SeqCst)
    }

    /// How often it was probed.
    pub fn probes(&self) -> u64 {
        self.shared.probes.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, shared: &Shared) {
    let mut writer = stream.try_clone().expect("a second handle");
    let mut reader = BufReader::new(stream);
    while let Some(words) = command(&mut reader) {
        let says = match words.first().map(String::as_str) {
            Some("EVALSHA" | "EVAL") => {
                shared.scripts.fetch_add(1, Ordering::SeqCst);
                shared.script.lock().expect("no panic").clone()
            }
            Some("SET") => {
                shared.probes.fetch_add(1, Ordering::SeqCst);
                shared.probe.lock().expect("no panic").clone()
            }
            _ => Says::Bytes("+OK\r\n"),
        };
        let (bytes, last) = match says {
            Says::Bytes(bytes) => (bytes, false),
            Says::Last(bytes) => (bytes, true),
            Says::Nothing => continue,
        };
        if writer.write_all(bytes.as_bytes()).is_err() || last {
            return;
        }
    }
}

/// Reads an array of bulk strings; `None` at the end of the connection.
fn command(reader: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let count = length(reader, '*')?;
    let mut words = Vec::new();
    for _ in 0..count {
        let length = length(reader, '$')?;
        let mut bytes = vec![0; length + 2];
        reader.read_exact(&mut bytes).ok()?;
        bytes.truncate(length);
        words.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    Some(words)
}

fn length(reader: &mut BufReader<TcpStream>, mark: char) -> Option<usize> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    line.trim_end().strip_prefix(mark)?.parse().ok()
}
