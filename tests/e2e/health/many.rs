//! Thousands of targets: every one is checked, and one that goes down is found among them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use harness::{Gateway, wait};
use serde_json::Value;

const MANY: u32 = 2000;

/// Answers at every address of this machine; checks connect and say nothing. It lives as long as the tests do.
fn everywhere() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            stream
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            if matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
                // Whoever asked may be gone.
                drop(stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"));
            }
        }
    });
    port
}

fn targets(gateway: &Gateway) -> Vec<Value> {
    let upstreams = gateway.admin_get("/upstreams").json();
    upstreams[0]["targets"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

fn good(targets: &[Value]) -> usize {
    let good = |target: &&Value| target["healthy"] == true && target["last-check"].is_object();
    targets.iter().filter(good).count()
}

#[test]
fn two_thousand_targets_are_checked_and_one_that_goes_is_found() {
    let port = everywhere();
    let alone = TcpListener::bind("127.0.99.99:0").unwrap();
    let last = alone.local_addr().unwrap();
    let address = |number: u32| {
        let [_, _, high, low] = number.to_be_bytes();
        SocketAddr::from(([127, 0, high, low], port))
    };
    let mut listed: Vec<String> = (1..MANY)
        .map(|number| format!("\"{}\"", address(number)))
        .collect();
    listed.push(format!("\"{last}\""));
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\n\
         [upstream.orders]\ntargets = [{}]\n\
         health = {{ tcp = true, every = \"2s\", unhealthy-after = 1 }}\n\
         [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n",
        listed.join(", ")
    );
    let gateway = Gateway::start(text);
    wait::until(wait::DEADLINE, "everybody to have passed a check", || {
        good(&targets(&gateway)) == listed.len()
    });
    for _ in 0..50 {
        assert_eq!(gateway.get("/").status, 204);
    }
    drop(alone);
    let down = wait::until_some(wait::DEADLINE, "the last target to be down", || {
        let all = targets(&gateway);
        let down = all.iter().find(|target| target["standing"] == "down");
        down.cloned().map(|down| (down, good(&all)))
    });
    assert_eq!(down.0["address"], last.to_string());
    assert_eq!(
        (&down.0["healthy"], down.1),
        (&Value::Bool(false), listed.len() - 1)
    );
}
