//! Connections to upstreams that are kept: how many, and for how long.

use harness::{Backend, Config, Gate, Gateway, Script, wait};

const HEAD: &str = "[listener.public]\naddress = \"@address.public@\"\n\
     [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n\
     [upstream.orders]\ntargets = [\"@upstream.orders@\"]\n";

/// Two requests at once, so that two connections become idle.
fn two_at_once(gateway: &Gateway, backend: &Backend) {
    let gate = Gate::new();
    backend.on("/slow", Script::answer(200, "done").gated(&gate));
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| gateway.get("/slow").status));
        wait::until(wait::DEADLINE, "both to wait", || gate.waiting() == 2);
        gate.open();
        for one in both {
            assert_eq!(one.join().unwrap(), 200);
        }
    });
    assert_eq!(backend.connections(), 2);
}

#[test]
fn keeps_no_more_idle_connections_than_it_may() {
    let backend = Backend::start();
    let text = format!("[server]\nworkers = 1\nupstream-idle-max = 1\n{HEAD}");
    let gateway = Gateway::start(Config::new(text).upstream("orders", backend.addr()));
    two_at_once(&gateway, &backend);
    wait::until(wait::DEADLINE, "one to be closed", || {
        backend.connections_open() == 1
    });
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(backend.connections(), 2, "the other one is used");
}

#[test]
fn closes_what_is_idle_for_too_long() {
    let backend = Backend::start();
    let text = format!("{HEAD}idle-timeout = \"50ms\"\n");
    let gateway = Gateway::start(Config::new(text).upstream("orders", backend.addr()));
    two_at_once(&gateway, &backend);
    wait::until(wait::DEADLINE, "both to be closed", || {
        backend.connections_open() == 0
    });
    assert_eq!(gateway.get("/").status, 200);
}
