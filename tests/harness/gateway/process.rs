//! The child process with everything it says, killed when the test is done with it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::{env, fs};

use super::cli::Exit;
use crate::config::{Config, Place};

#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stdout: Captured,
    stderr: Captured,
}

#[derive(Debug)]
struct Captured {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// `gateway run FILE`.
    pub(super) fn run(place: &Place, config: &Config) -> Self {
        let program = config.chosen_program();
        let program = program.map_or_else(binary, Path::to_owned);
        Self::start(
            place,
            quiet(&program).arg("run").arg(place.file()),
            config.variables(),
        )
    }

    /// `gateway run FILE --upgrade` in the same place.
    pub(super) fn succeed(place: &Place, file: &Path, variables: &[(String, String)]) -> Self {
        Self::start(
            place,
            command().arg("run").arg(file).arg("--upgrade"),
            variables,
        )
    }

    fn start(place: &Place, command: &mut Command, variables: &[(String, String)]) -> Self {
        command.current_dir(place.dir());
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        Self::spawn(command)
    }

    pub(super) fn spawn(command: &mut Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Captured::from(child.stdout.take().expect("stdout is piped"));
        let stderr = Captured::from(child.stderr.take().expect("stderr is piped"));
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// The status, once the process has ended.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("our own child can be waited for")
    }

    /// The last words of a process that has ended.
    pub(super) fn exit(&mut self) -> Exit {
        let status = self.child.wait().expect("our own child can be waited for");
        let (stdout, stderr) = (self.stdout.whole(), self.stderr.whole());
        Exit {
            code: status.code(),
            stdout,
            stderr,
        }
    }

    pub(super) fn said(&self) -> String {
        format!(
            "--- stdout\n{}\n--- stderr\n{}",
            self.stdout.so_far(),
            self.stderr.so_far()
        )
    }

    pub(super) fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn signal(&self, name: &str) {
        assert!(kill(self.pid(), name), "kill -s {name} {}", self.pid());
    }

    pub(super) fn rss_kib(&self) -> u64 {
        let pid = self.pid().to_string();
        let output = Command::new("ps")
            .args(["-o", "rss=", "-p", &pid])
            .output()
            .expect("ps runs");
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim()
            .parse()
            .unwrap_or_else(|_| panic!("ps said {text:?} about {pid}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Captured {
    fn from(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let reader = thread::spawn({
            let text = Arc::clone(&text);
            move || {
                let mut chunk = [0; 4096];
                while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                    let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
                    text.extend_from_slice(&chunk[..count]);
                }
            }
        });
        Self {
            text,
            reader: Some(reader),
        }
    }

    fn so_far(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Only for a process that has ended: waits for the end of the pipe.
    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
        self.so_far()
    }
}

/// Sends a signal by its name; whether there was anybody.
pub(super) fn kill(pid: u32, name: &str) -> bool {
    // The program `kill`, because a call to libc's would need `unsafe`.
    let pid = pid.to_string();
    let mut command = Command::new("kill");
    command.args(["-s", name, &pid]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The binary with a quiet environment.
pub(super) fn command() -> Command {
    quiet(&binary())
}

fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("GATEWAY_ADMIN_TOKEN")
        .env_remove("NOTIFY_SOCKET");
    command
}

/// The binary under test.
pub(super) fn binary() -> PathBuf {
    let path = env::var_os("GATEWAY_BIN").map_or_else(beside_the_test, PathBuf::from);
    assert!(
        fs::metadata(&path).is_ok_and(|file| file.is_file()),
        "no gateway at {}: run `cargo build -p gateway`, or set GATEWAY_BIN",
        path.display()
    );
    path
}

/// The test runs as `target/<profile>/deps/e2e-…`; cargo puts binaries one folder up.
fn beside_the_test() -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    let profile = test.parent().and_then(Path::parent).unwrap_or(&test);
    profile.join(format!("gateway{}", env::consts::EXE_SUFFIX))
}
