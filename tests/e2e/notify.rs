//! What systemd hears: ready once requests are served, stopping when the end begins.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use harness::wait::DEADLINE;
use harness::{Config, Gateway};

const TEXT: &str = r#"
    [listener.public]
    address = "@address.public@"
    [route.hello]
    match = "/**"
    respond = { status = 204 }
"#;

struct Manager {
    socket: UnixDatagram,
    path: std::path::PathBuf,
}

impl Manager {
    fn listen(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("gateway-notify-{}-{name}", std::process::id()));
        // Left over by a process with our id that was killed.
        std::fs::remove_file(&path).ok();
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { socket, path }
    }

    fn hear(&self) -> String {
        let mut datagram = [0; 1024];
        let count = self.socket.recv(&mut datagram).expect("a datagram");
        String::from_utf8_lossy(&datagram[..count]).into_owned()
    }

    fn hears_nothing_more(&self) {
        self.socket
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        let mut datagram = [0; 1024];
        assert!(self.socket.recv(&mut datagram).is_err(), "another datagram");
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

#[test]
fn says_ready_and_stopping() {
    let manager = Manager::listen("both");
    let mut gateway =
        Gateway::start(Config::new(TEXT).env("NOTIFY_SOCKET", &manager.path.display().to_string()));
    let ready = manager.hear();
    assert!(ready.lines().any(|line| line == "READY=1"), "{ready:?}");
    assert!(
        ready
            .lines()
            .any(|line| line == format!("MAINPID={}", gateway.pid())),
        "{ready:?}"
    );
    assert_eq!(gateway.get("/").status, 204);
    gateway.signal("TERM");
    assert_eq!(manager.hear(), "STOPPING=1");
    assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
    manager.hears_nothing_more();
}

#[test]
fn the_former_process_names_its_successor_before_it_ends() {
    let manager = Manager::listen("upgrade");
    let notify = manager.path.display().to_string();
    let text = format!("[server]\ncontrol-socket = \"@dir@/control.sock\"\n{TEXT}");
    let mut gateway = Gateway::start(Config::new(text).env("NOTIFY_SOCKET", &notify));
    assert!(manager.hear().contains("READY=1"));
    let successor = gateway.successor(&[("NOTIFY_SOCKET", &notify)]);
    let process = successor.pid();
    assert_eq!(manager.hear(), format!("MAINPID={process}"));
    assert_eq!(manager.hear(), format!("READY=1\nMAINPID={process}"));
    let mut former = gateway.succeed(successor);
    assert_eq!(former.wait_exit(DEADLINE).code(), Some(0));
    assert_eq!(gateway.get("/").status, 204);
    // No STOPPING: the service goes on.
    manager.hears_nothing_more();
}

#[test]
fn says_nothing_when_it_cannot_start() {
    let manager = Manager::listen("never");
    let exit = Gateway::try_start(
        Config::new("nonsense").env("NOTIFY_SOCKET", &manager.path.display().to_string()),
    );
    assert_eq!(exit.code, Some(2), "{exit}");
    manager.hears_nothing_more();
}

#[test]
fn a_socket_that_is_gone_hurts_nobody() {
    let mut gateway = Gateway::start(Config::new(TEXT).env("NOTIFY_SOCKET", "/nowhere/notify"));
    assert_eq!(gateway.get("/").status, 204);
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
}
