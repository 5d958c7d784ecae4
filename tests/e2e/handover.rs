//! Upgrade without a gap: a successor takes the sockets, and whatever happens to it, somebody serves.

mod load;
mod script;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use harness::wait::DEADLINE;
use harness::{
    Authority, Backend, Client, Config, Gate, Gateway, Instance, Script, Stranger, Tls, cli, wait,
};
use load::Load;

/// Answers tell which process gave them, and backends see who asked.
const TEXT: &str = r#"
    [server]
    control-socket = "@dir@/control.sock"
    workers = 2
    [listener.public]
    address = "@address.public@"
    [upstream.all]
    targets = ["@upstream.all@"]
    [route.all]
    match = "/**"
    upstream = "all"
    [route.all.headers]
    request = { set = { x-generation = "${GENERATION:-1}" } }
    response = { set = { x-generation = "${GENERATION:-1}" } }
"#;

fn gateway(backend: &Backend) -> Gateway {
    Gateway::start(config(TEXT, backend))
}

fn config(text: &str, backend: &Backend) -> Config {
    Config::new(text).upstream("all", backend.addr())
}

/// Upgrades to a process of this generation, and waits until it serves alone. The former process.
fn upgrade(gateway: &mut Gateway, generation: &str) -> Instance {
    let successor = gateway.successor(&[("GENERATION", generation)]);
    successor.wait_log("Started");
    let former = gateway.succeed(successor);
    former.wait_log("Stopping");
    former
}

/// Who answers a fresh connection.
fn generation(gateway: &Gateway) -> String {
    let answer = gateway.get("/");
    assert_eq!(answer.status, 200);
    answer.header("x-generation").unwrap_or_default().to_owned()
}

#[test]
fn no_request_fails_while_process_after_process_takes_over() {
    let backend = Backend::start();
    let mut gateway = gateway(&backend);
    let load = Load::start(gateway.addr());
    load.wait_for("1");
    for next in ["2", "3"] {
        let mut former = upgrade(&mut gateway, next);
        assert_eq!(
            former.wait_exit(DEADLINE).code(),
            Some(0),
            "{}",
            former.log()
        );
        load.wait_for(next);
    }
    let told = load.stop();
    assert_eq!(told.failures, Vec::<String>::new());
    for generation in ["1", "2", "3"] {
        let seen = backend.requests();
        let here = seen
            .iter()
            .filter(|one| one.header("x-generation") == Some(generation));
        assert_eq!(here.count(), told.answers(generation), "{generation}");
    }
    assert_eq!(generation(&gateway), "3");
}

#[test]
fn what_is_in_flight_finishes_and_idle_connections_may_ask_once_more() {
    let backend = Backend::start();
    let gate = Gate::new();
    backend.on("/slow", Script::answer(200, "done").gated(&gate));
    let mut gateway = gateway(&backend);
    let mut idle = gateway.client();
    assert_eq!(idle.get("/").header("x-generation"), Some("1"));
    let mut never_asked = gateway.client();
    let mut busy = gateway.client();
    busy.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    wait::until(DEADLINE, "the request is at the backend", || {
        gate.waiting() == 1
    });
    let mut former = upgrade(&mut gateway, "2");
    for client in [&mut idle, &mut never_asked] {
        let last = client.get("/");
        let said = ["x-generation", "connection"].map(|name| last.header(name));
        assert_eq!(said, [Some("1"), Some("close")]);
    }
    assert_eq!(generation(&gateway), "2");
    assert!(former.is_running());
    gate.open();
    let last = busy.receive("GET");
    assert_eq!(
        (last.text().as_str(), last.header("connection")),
        ("done", Some("close"))
    );
    assert_eq!(
        former.wait_exit(DEADLINE).code(),
        Some(0),
        "{}",
        former.log()
    );
}

#[test]
fn encrypted_listeners_go_over_as_well() {
    let authority = Authority::new("site");
    let identity = authority.issue(&["localhost"]);
    let backend = Backend::start();
    let text = format!(
        "{TEXT}\n[listener.public.tls]\ncertificates = [{{ cert = \"file:site.pem\", key = \"file:site.key\" }}]\n"
    );
    let config = config(&text, &backend)
        .file("site.pem", identity.cert.as_str())
        .file("site.key", identity.key.as_str());
    let mut gateway = Gateway::start(config);
    let tls = Tls::new(&authority, "localhost");
    let addr = gateway.addr();
    let asked = |client: &mut Client| {
        let answer = client.request("GET", "/", &[("host", "localhost")], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("x-generation").unwrap_or_default().to_owned()
    };
    let mut idle = tls.connect(addr);
    assert_eq!(asked(&mut idle), "1");
    let mut shaken = tls.connect(addr);
    let mut former = upgrade(&mut gateway, "2");
    // Who was connected is answered once more, and who comes now is served by the successor.
    assert_eq!(asked(&mut idle), "1");
    assert_eq!(asked(&mut shaken), "1");
    for _ in 0..20 {
        assert_eq!(asked(&mut tls.connect(addr)), "2");
    }
    assert_eq!(
        former.wait_exit(DEADLINE).code(),
        Some(0),
        "{}",
        former.log()
    );
}

#[test]
fn the_admin_listener_goes_over_as_well() {
    let backend = Backend::start();
    let mut gateway = gateway(&backend);
    let gate = Gate::new();
    backend.on("/slow", Script::answer(200, "done").gated(&gate));
    let mut busy = gateway.client();
    busy.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    wait::until(DEADLINE, "the request is at the backend", || {
        gate.waiting() == 1
    });
    let former = upgrade(&mut gateway, "2");
    for _ in 0..20 {
        assert_eq!(gateway.admin_get("/readyz").status, 200);
    }
    let config = gateway.admin_get("/config").json();
    let path = gateway.path("control.sock");
    assert_eq!(config["server"]["control-socket"], path.to_str().unwrap());
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.reloads().ok, 1, "counted by the one that serves");
    assert!(!former.log().contains("Reloaded"), "{}", former.log());
    gate.open();
}

#[test]
fn a_successor_that_fails_leaves_the_running_process_alone() {
    let backend = Backend::start();
    let mut gateway = gateway(&backend);
    // Before it asks.
    let mut broken = gateway.successor_of(config(&format!("{TEXT}\nnonsense = 1\n"), &backend));
    assert_eq!(broken.exit().code, Some(2));
    // After it has the sockets.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!("{TEXT}\n[listener.taken]\naddress = \"@upstream.taken@\"\n")
        .replace("match = \"/**\"", "match = \"/**\"\nlistener = \"any\"");
    let text = config(&text, &backend).upstream("taken", taken.local_addr().unwrap());
    let exit = gateway.successor_of(text).exit();
    assert_eq!(exit.code, Some(1), "{exit}");
    assert!(exit.stderr.contains("in use"), "{exit}");
    gateway.wait_log("serves on");
    // Killed after it has the sockets.
    drop(take(&gateway.path("control.sock")));
    wait::until(DEADLINE, "two failures", || {
        gateway.log().matches("serves on").count() == 2
    });
    for _ in 0..20 {
        assert_eq!(generation(&gateway), "1");
    }
    let mut former = upgrade(&mut gateway, "2");
    assert_eq!(generation(&gateway), "2");
    assert_eq!(former.wait_exit(DEADLINE).code(), Some(0));
}

#[test]
fn a_successor_that_is_never_ready_is_told_to_go() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let mut stalled = take(&gateway.path("control.sock"));
    // It is given ten seconds, and those are no part of our own patience.
    let patience = Duration::from_secs(10) + DEADLINE;
    stalled.get_ref().set_read_timeout(Some(patience)).unwrap();
    let mut last = String::new();
    stalled.read_line(&mut last).unwrap();
    assert!(last.starts_with("refused "), "{last:?}");
    assert_eq!(stalled.read(&mut [0]).unwrap(), 0);
    gateway.wait_log("did not answer in time");
    assert_eq!(generation(&gateway), "1");
}

#[test]
fn who_is_asked_to_stop_during_a_hand_over_ends_it_first() {
    let backend = Backend::start();
    let text = format!("{TEXT}\n[listener.local]\naddress = \"unix:@dir@/local.sock\"\n")
        .replace("match = \"/**\"", "match = \"/**\"\nlistener = \"any\"");
    for serves in [true, false] {
        let mut gateway = Gateway::start(config(&text, &backend));
        let files = ["local.sock", "control.sock"].map(|name| gateway.path(name));
        let mut successor = take_sockets(&files[1], 4);
        gateway.signal("TERM");
        gateway.wait_log("Asked to stop");
        assert_eq!(generation(&gateway), "1", "it serves on meanwhile");
        if serves {
            successor.get_mut().write_all(b"ready\n").unwrap();
            let mut last = String::new();
            successor.read_line(&mut last).unwrap();
            assert_eq!(last, "draining\n");
        } else {
            drop(successor);
        }
        assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
        for file in files {
            assert_eq!(file.exists(), serves, "{}", file.display());
        }
    }
}

/// Plays a successor up to where it should say that it serves.
fn take(path: &Path) -> BufReader<UnixStream> {
    // The listener, the admin listener, the control socket.
    take_sockets(path, 3)
}

fn take_sockets(path: &Path, count: usize) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"gateway-control 1 take\n").unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while !line.starts_with("sockets ") {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the sockets");
    }
    assert_eq!(line, format!("sockets {count}\n"));
    stream
}

#[test]
fn the_control_socket_is_private_and_strict() {
    let backend = Backend::start();
    let mut gateway = gateway(&backend);
    let path = gateway.path("control.sock");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for nonsense in ["GET / HTTP/1.1\r\n", "gateway-control 2 take\n", "ready\n"] {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(nonsense.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("refused "), "{nonsense:?}: {answer:?}");
    }
    assert_eq!(generation(&gateway), "1");
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
    assert!(!path.exists(), "the socket's file was left behind");
}

#[test]
fn unix_sockets_keep_their_files_and_vanished_listeners_go() {
    let backend = Backend::start();
    let listener =
        |name: &str, address: &str| format!("[listener.{name}]\naddress = \"{address}\"\n");
    let text = |listeners: &[String]| {
        format!(
            "[server]\ncontrol-socket = \"@dir@/control.sock\"\n{}[route.all]\nmatch = \"/**\"\nlistener = \"any\"\nrespond = {{ status = 204 }}\n",
            listeners.concat()
        )
    };
    let public = listener("public", "@address.public@");
    let local = listener("local", "unix:@dir@/local.sock");
    let mut gateway = Gateway::start(config(
        &text(&[
            public.clone(),
            local.clone(),
            listener("old", "unix:@dir@/old.sock"),
            listener("former", "@address.former@"),
        ]),
        &backend,
    ));
    let successor = gateway.successor_of(text(&[public, local, listener("new", "@address.new@")]));
    successor.wait_log("Started");
    let mut former = gateway.succeed(successor);
    assert_eq!(
        former.wait_exit(DEADLINE).code(),
        Some(0),
        "{}",
        former.log()
    );
    for name in ["public", "new"] {
        assert_eq!(Client::connect(gateway.addr_of(name)).get("/").status, 204);
    }
    assert_eq!(over_unix(&gateway.path("local.sock")), "HTTP/1.1 204");
    assert!(!gateway.path("old.sock").exists());
    assert!(Client::try_connect(gateway.address("former")).is_err());
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
    for name in ["local.sock", "control.sock"] {
        assert!(!gateway.path(name).exists(), "{name}");
    }
}

fn over_unix(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.chars().take(12).collect()
}

#[test]
fn the_command_has_the_running_process_start_its_successor() {
    let backend = Backend::start();
    let mut gateway = gateway(&backend);
    let exit = gateway.upgrade_command();
    assert_eq!(exit.code, Some(0), "{exit}");
    let process = exit
        .stdout
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok());
    let successor = Stranger(process.unwrap_or_else(|| panic!("{exit}")));
    assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
    assert_eq!(generation(&gateway), "1");
    assert!(successor.signal("TERM"));
    wait::until(DEADLINE, "nobody serves any more", || {
        Client::try_connect(gateway.addr()).is_err()
    });
}

#[test]
fn the_command_says_why_there_was_no_upgrade() {
    let backend = Backend::start();
    let mut gateway = gateway(&backend);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!("{TEXT}\n[admin]\naddress = \"@upstream.taken@\"\n");
    let text = config(&text, &backend).upstream("taken", taken.local_addr().unwrap());
    gateway.rewrite_config(text);
    let exit = gateway.upgrade_command();
    assert_eq!(exit.code, Some(1), "{exit}");
    assert!(exit.stderr.contains("exit status: 1"), "{exit}");
    assert_eq!(generation(&gateway), "1");
}

#[test]
fn an_upgrade_needs_somebody_to_take_over_from() {
    let route = "[route.all]\nmatch = \"/**\"\nrespond = { status = 204 }\n";
    let listener = "[listener.public]\naddress = \"127.0.0.1:0\"\n";
    let dir = std::env::temp_dir().join(format!("gateway-alone-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("gateway.toml");
    let file = file.to_str().unwrap();
    for (server, code, said) in [
        (String::new(), 2, "control-socket"),
        (
            format!(
                "[server]\ncontrol-socket = \"{}/none.sock\"\n",
                dir.display()
            ),
            1,
            "none.sock",
        ),
    ] {
        std::fs::write(file, format!("{server}{listener}{route}")).unwrap();
        for command in [&["run", file, "--upgrade"][..], &["upgrade", file]] {
            let exit = cli(command);
            assert_eq!(exit.code, Some(code), "{command:?}: {exit}");
            assert!(exit.stderr.contains(said), "{command:?}: {exit}");
        }
    }
    std::fs::remove_dir_all(&dir).ok();
}
