//! Reload: however it is asked for it is all or nothing, and no request notices.

use std::fmt::Write;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use harness::wait::DEADLINE;
use harness::{Backend, Client, Config, Gate, Gateway, H2c, Reloads, Script, wait};

/// One listener and one route that answers this.
fn says(body: &str) -> String {
    format!(
        "[listener.public]\naddress = \"@address.public@\"\n[route.all]\nmatch = \"/**\"\nrespond = {{ status = 200, body = \"{body}\" }}\n"
    )
}

const BROKEN: &str = "[listener.public]\naddress = \"@address.public@\"\n[route.all]\nmatch = \"/**\"\nupstream = \"nobody\"\n";

fn until_says(gateway: &Gateway, body: &str) {
    wait::until(DEADLINE, &format!("the answer {body:?}"), || {
        gateway.get("/").text() == body
    });
}

/// The configuration as it lies in the file, every placeholder filled in.
fn text(gateway: &Gateway) -> String {
    gateway.file("gateway.toml")
}

#[test]
fn notices_a_file_that_was_written_in_place() {
    let gateway = Gateway::start(says("one"));
    fs::write(
        gateway.path("gateway.toml"),
        text(&gateway).replace("one", "two"),
    )
    .unwrap();
    until_says(&gateway, "two");
    assert_eq!(gateway.reloads(), Reloads { ok: 1, failed: 0 });
}

#[test]
fn notices_a_file_that_was_replaced() {
    let mut gateway = Gateway::start(says("one"));
    gateway.rewrite_and_wait(says("two"));
    assert_eq!(gateway.get("/").text(), "two");
    gateway.rewrite_and_wait(says("three"));
    assert_eq!(gateway.get("/").text(), "three");
    assert_eq!(gateway.reloads(), Reloads { ok: 2, failed: 0 });
}

/// As Kubernetes mounts a `ConfigMap`: the file is a link through `..data`, and the link `..data` is swapped.
#[test]
fn notices_a_link_above_the_file_that_was_swapped() {
    let gateway = Gateway::start(says("one"));
    let version = |name: &str, body: &str| {
        fs::create_dir(gateway.path(name)).unwrap();
        let text = text(&gateway).replace("\"one\"", &format!("\"{body}\""));
        fs::write(gateway.path(name).join("gateway.toml"), text).unwrap();
    };
    let swap = |target: &str| {
        symlink(target, gateway.path("..fresh")).unwrap();
        fs::rename(gateway.path("..fresh"), gateway.path("..data")).unwrap();
    };
    version("..1", "one");
    version("..2", "two");
    version("..3", "three");
    swap("..1");
    symlink("..data/gateway.toml", gateway.path("link")).unwrap();
    fs::rename(gateway.path("link"), gateway.path("gateway.toml")).unwrap();
    swap("..2");
    until_says(&gateway, "two");
    fs::remove_dir_all(gateway.path("..1")).unwrap();
    swap("..3");
    until_says(&gateway, "three");
    assert_eq!(gateway.reloads(), Reloads { ok: 2, failed: 0 });
}

#[test]
fn reloads_on_hangup_and_on_request() {
    let mut gateway = Gateway::start(says("one"));
    gateway.reload_by_signal();
    assert_eq!(gateway.reloads(), Reloads { ok: 1, failed: 0 });
    gateway.rewrite_config(says("two"));
    let answer = gateway.reload();
    assert_eq!(
        (answer.status, &answer.json()["result"]),
        (200, &"ok".into())
    );
    assert_eq!(gateway.get("/").text(), "two");
}

#[test]
fn a_broken_file_changes_nothing() {
    let mut gateway = Gateway::start(says("one"));
    let hash = gateway.config_hash();
    gateway.rewrite_and_wait(BROKEN);
    assert_eq!(gateway.reloads(), Reloads { ok: 0, failed: 1 });
    assert_eq!(
        (gateway.get("/").text(), gateway.config_hash()),
        ("one".into(), hash.clone())
    );
    assert!(
        gateway.log().contains("unknown upstream `nobody`"),
        "{}",
        gateway.log()
    );
    let answer = gateway.reload();
    let problem = answer.json();
    assert_eq!((answer.status, &problem["result"]), (422, &"failed".into()));
    let complaint = &problem["complaints"][0];
    assert_eq!(
        (&complaint["line"], &complaint["code"]),
        (&5.into(), &"config.unknown-reference".into()),
        "{problem}"
    );
    assert!(
        problem["rendered"].as_str().unwrap().contains("^^^"),
        "{problem}"
    );
    gateway.reload_by_signal();
    assert_eq!(gateway.reloads(), Reloads { ok: 0, failed: 3 });
    assert_eq!(
        (gateway.get("/").text(), gateway.config_hash()),
        ("one".into(), hash)
    );
    assert_eq!(gateway.admin_get("/readyz").status, 200);
    gateway.rewrite_and_wait(says("two"));
    assert_eq!(gateway.get("/").text(), "two");
}

#[test]
fn a_file_that_vanished_or_is_no_toml_changes_nothing() {
    let mut gateway = Gateway::start(says("one"));
    let kept = text(&gateway);
    fs::remove_file(gateway.path("gateway.toml")).unwrap();
    assert_eq!(gateway.reload().status, 422);
    for bytes in [&b""[..], b"[listener", b"\xff\xfe\0", b"a = \"\0\""] {
        fs::write(gateway.path("gateway.toml"), bytes).unwrap();
        assert_eq!(gateway.reload().status, 422, "{}", bytes.escape_ascii());
    }
    assert_eq!(
        (gateway.get("/").text(), gateway.reloads().ok),
        ("one".into(), 0)
    );
    fs::write(gateway.path("gateway.toml"), kept.replace("one", "two")).unwrap();
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/").text(), "two");
    assert!(gateway.is_running());
}

#[test]
fn listeners_come_move_and_go() {
    let both = |second: &str| {
        format!(
            "[listener.public]\naddress = \"@address.public@\"\n[listener.second]\naddress = \"{second}\"\n[route.all]\nmatch = \"/**\"\nlistener = \"any\"\nrespond = {{ status = 200, body = \"two\" }}\n"
        )
    };
    let mut gateway = Gateway::start(says("one"));
    let mut kept = gateway.client();
    assert_eq!(kept.get("/").text(), "one");
    gateway.rewrite_config(both("@address.second@"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(
        gateway.metric("gateway_connections", &[r#"listener="second""#]),
        0
    );
    let mut second = Client::connect(gateway.address("second"));
    assert_eq!(second.get("/").text(), "two");
    let before = gateway.address("second");
    gateway.rewrite_config(both("@address.elsewhere@"));
    assert_eq!(gateway.reload().status, 200);
    // The idle connection of the address that went is closed, the address refuses.
    second.wait_closed();
    wait::until(DEADLINE, "the old address refuses", || {
        Client::try_connect(before).is_err()
    });
    assert_eq!(
        Client::connect(gateway.address("elsewhere"))
            .get("/")
            .text(),
        "two"
    );
    gateway.rewrite_config(says("three"));
    assert_eq!(gateway.reload().status, 200);
    let elsewhere = gateway.address("elsewhere");
    wait::until(DEADLINE, "the last address refuses", || {
        Client::try_connect(elsewhere).is_err()
    });
    assert_eq!(
        kept.get("/").text(),
        "three",
        "the same connection all along"
    );
}

#[test]
fn a_listener_can_be_renamed_without_closing_it() {
    let mut gateway = Gateway::start(says("one"));
    let mut kept = gateway.client();
    assert_eq!(kept.get("/").text(), "one");
    gateway.rewrite_config(says("two").replace("[listener.public]", "[listener.renamed]"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(kept.get("/").text(), "two");
    assert_eq!(gateway.wait_access_log(2)[1]["listener"], "renamed");
}

#[test]
fn no_request_fails_while_listeners_are_renamed() {
    let backend = Backend::start();
    let config = |name: &str| {
        let text = format!(
            "[listener.{name}]\naddress = \"@address.public@\"\n[upstream.all]\ntargets = [\"@upstream.all@\"]\n[route.a]\nmatch = \"/a\"\nupstream = \"all\"\n"
        );
        Config::new(text).upstream("all", backend.addr())
    };
    let mut gateway = Gateway::start(config("public"));
    let mut http2 = H2c::connect(gateway.addr());
    let (stop, asked) = (Arc::default(), Arc::default());
    let threads: Vec<_> = (0..4).map(|_| asking(&gateway, &stop, &asked)).collect();
    for round in 0..20 {
        gateway.rewrite_config(config(&format!("name-{round}")));
        assert_eq!(gateway.reload().status, 200);
        assert_eq!(
            http2.get("/a").status,
            200,
            "the connection bears a former name"
        );
    }
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_request_in_flight_finishes_on_a_listener_that_goes() {
    let backend = Backend::start();
    let gate = Gate::new();
    backend.always(Script::answer(200, "late").gated(&gate));
    let config = |second: &str| {
        Config::new(format!(
            "[listener.public]\naddress = \"@address.public@\"\n{second}\n[upstream.all]\ntargets = [\"@upstream.all@\"]\n[route.all]\nmatch = \"/**\"\nlistener = \"any\"\nupstream = \"all\"\n"
        ))
        .upstream("all", backend.addr())
    };
    let mut gateway = Gateway::start(config("[listener.second]\naddress = \"@address.second@\""));
    let addr = gateway.address("second");
    let mut client = Client::connect(addr);
    client
        .send(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    backend.wait_requests(1);
    gateway.rewrite_config(config(""));
    assert_eq!(gateway.reload().status, 200);
    wait::until(DEADLINE, "the address refuses", || {
        Client::try_connect(addr).is_err()
    });
    gate.open();
    let answer = client.receive("GET");
    assert_eq!((answer.status, answer.text().as_str()), (200, "late"));
    assert_eq!(answer.header("connection"), Some("close"));
    client.wait_closed();
}

#[test]
fn a_port_that_is_taken_fails_the_whole_reload() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut gateway = Gateway::start(says("one"));
    let hash = gateway.config_hash();
    let wanted = format!(
        "[listener.public]\naddress = \"@address.public@\"\n[listener.more]\naddress = \"@address.more@\"\n[listener.taken]\naddress = \"{}\"\n[route.all]\nmatch = \"/**\"\nlistener = \"any\"\nrespond = {{ status = 200, body = \"two\" }}\n",
        taken.local_addr().unwrap()
    );
    gateway.rewrite_config(wanted.as_str());
    let answer = gateway.reload();
    assert_eq!(answer.status, 422, "{}", answer.text());
    let error = answer.json()["rendered"].as_str().unwrap().to_owned();
    assert!(
        error.contains("`taken`") && error.contains("in use"),
        "{error}"
    );
    assert_eq!(
        (gateway.get("/").text(), gateway.config_hash()),
        ("one".into(), hash)
    );
    let more = gateway.address("more");
    assert!(
        Client::try_connect(more).is_err(),
        "a listener of a refused configuration is open"
    );
    drop(taken);
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(Client::connect(more).get("/").text(), "two");
}

#[test]
fn a_body_file_is_read_at_load_and_must_be_there() {
    let config = |file: &str| {
        Config::new(format!(
            "[listener.public]\naddress = \"@address.public@\"\n[route.all]\nmatch = \"/**\"\nrespond = {{ status = 200, body-file = \"file:{file}\" }}\n"
        ))
    };
    let mut gateway = Gateway::start(config("page.html").file("page.html", "one"));
    assert_eq!(gateway.get("/").text(), "one");
    gateway.rewrite_config(config("missing.html"));
    let answer = gateway.reload();
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.text().contains("missing.html"), "{}", answer.text());
    assert_eq!(gateway.get("/").text(), "one");
    gateway.rewrite_config(config("page.html").file("page.html", "two"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/").text(), "two");
}

#[test]
fn included_files_are_watched_too() {
    let main = "include = [\"routes/*.toml\"]\n[listener.public]\naddress = \"@address.public@\"\n[route.all]\nmatch = \"/**\"\nrespond = { status = 200, body = \"main\" }\n";
    let route = |name: &str, body: &str| {
        format!(
            "[route.{name}]\nmatch = \"/{name}\"\nrespond = {{ status = 200, body = \"{body}\" }}\n"
        )
    };
    let gateway = Gateway::start(Config::new(main).file("routes/a.toml", route("a", "one")));
    assert_eq!(gateway.get("/a").text(), "one");
    let says = |path: &str, body: &str| {
        wait::until(DEADLINE, &format!("{path} says {body}"), || {
            gateway.get(path).text() == body
        });
    };
    fs::write(gateway.path("routes/a.toml"), route("a", "two")).unwrap();
    says("/a", "two");
    fs::write(gateway.path("routes/b.toml"), route("b", "new")).unwrap();
    says("/b", "new");
    fs::remove_file(gateway.path("routes/b.toml")).unwrap();
    says("/b", "main");
    let failed = gateway.reloads().failed;
    fs::write(gateway.path("routes/a.toml"), "[route.a]\n").unwrap();
    wait::until(DEADLINE, "a refused reload", || {
        gateway.reloads().failed > failed
    });
    assert_eq!(gateway.get("/a").text(), "two");
}

#[test]
fn a_request_in_flight_keeps_the_snapshot_it_started_with() {
    let backend = Backend::start();
    let gate = Gate::new();
    backend.always(Script::answer(200, "late").gated(&gate));
    let config = |value: &str| {
        Config::new(format!(
            "[listener.public]\naddress = \"@address.public@\"\n[upstream.all]\ntargets = [\"@upstream.all@\"]\n[route.{value}]\nmatch = \"/**\"\nupstream = \"all\"\nheaders = {{ response = {{ set = {{ x-version = \"{value}\" }} }} }}\n"
        ))
        .upstream("all", backend.addr())
    };
    let mut gateway = Gateway::start(config("old"));
    let mut client = gateway.client();
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    backend.wait_requests(1);
    gateway.rewrite_config(config("new"));
    assert_eq!(gateway.reload().status, 200);
    gate.open();
    assert_eq!(client.receive("GET").header("x-version"), Some("old"));
    assert_eq!(client.get("/").header("x-version"), Some("new"));
    let log = gateway.wait_access_log(2);
    assert_eq!(
        (&log[0]["route"], &log[1]["route"]),
        (&"old".into(), &"new".into())
    );
}

#[test]
fn the_admin_listener_itself_can_move() {
    let with = |name: &str| format!("{}\n[admin]\naddress = \"@address.{name}@\"\n", says("one"));
    let mut gateway = Gateway::start(with("admin"));
    let before = gateway.admin_addr();
    let mut asking = Client::connect(before);
    gateway.rewrite_config(with("moved"));
    let answer = asking.request("POST", "/reload", &[("content-length", "0")], b"");
    assert_eq!(
        answer.status, 200,
        "the answer to the request that moved it still comes"
    );
    assert_eq!(gateway.admin_get("/readyz").status, 200);
    assert_ne!(gateway.admin_addr(), before);
    wait::until(DEADLINE, "the old address refuses", || {
        Client::try_connect(before).is_err()
    });
}

/// Asks in a loop until told to stop; counts what went well and keeps what did not.
fn asking(
    gateway: &Gateway,
    stop: &Arc<AtomicBool>,
    asked: &Arc<AtomicUsize>,
) -> thread::JoinHandle<Vec<String>> {
    let (addr, stop, asked) = (gateway.addr(), Arc::clone(stop), Arc::clone(asked));
    thread::spawn(move || {
        let mut client = Client::connect(addr);
        let mut failures = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            match client.try_request("POST", "/a", &[], b"body") {
                Ok(answer) if answer.status == 200 => drop(asked.fetch_add(1, Ordering::Relaxed)),
                Ok(answer) => failures.push(answer.text()),
                Err(error) => {
                    failures.push(error.to_string());
                    client = Client::connect(addr);
                }
            }
        }
        failures
    })
}

#[test]
fn fifty_reloads_under_load_drop_nothing_and_leak_nothing() {
    const RSS_GROWTH_KIB: u64 = 48 << 10;
    let backend = Backend::start();
    let config = |body: &str| {
        let mut others = String::new();
        for number in 0..20 {
            write!(
                others,
                "[route.r{number}]\nmatch = \"/r{number}/{{id}}\"\nrespond = {{ status = 200, body = \"{body}\" }}\n"
            )
            .unwrap();
        }
        Config::new(format!(
            "[server]\nworkers = 2\n[listener.public]\naddress = \"@address.public@\"\n[access-log]\npath = \"off\"\n[upstream.all]\ntargets = [\"@upstream.all@\"]\n[route.a]\nmatch = \"/a\"\nupstream = \"all\"\n{others}"
        ))
        .upstream("all", backend.addr())
    };
    let mut gateway = Gateway::start(config("start"));
    let (stop, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let threads: Vec<_> = (0..4).map(|_| asking(&gateway, &stop, &asked)).collect();
    let some_more = || {
        let before = asked.load(Ordering::Relaxed);
        wait::until(DEADLINE, "requests between reloads", || {
            asked.load(Ordering::Relaxed) >= before + 4
        });
    };
    some_more();
    let mut rss = 0;
    for round in 0..50 {
        if round % 2 == 0 {
            gateway.rewrite_config(config(&format!("round-{round}")));
            assert_eq!(gateway.reload().status, 200, "round {round}");
            assert_eq!(gateway.get("/r7/x").text(), format!("round-{round}"));
        } else {
            gateway.rewrite_config(BROKEN.to_owned() + "[access-log]\npath = \"off\"\n");
            assert_eq!(gateway.reload().status, 422, "round {round}");
        }
        some_more();
        // What is allocated once is there after a few rounds.
        if round == 9 {
            rss = gateway.rss_kib();
        }
    }
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        let failures = thread.join().unwrap();
        assert!(failures.is_empty(), "{failures:?}");
    }
    let grown = gateway.rss_kib().saturating_sub(rss);
    assert!(
        grown < RSS_GROWTH_KIB,
        "{grown} KiB more after forty reloads"
    );
    // The watcher may have seen some of the files as well; none is counted as both.
    assert!(gateway.reloads().ok >= 25 && gateway.reloads().failed >= 25);
    assert!(gateway.is_running());
}
