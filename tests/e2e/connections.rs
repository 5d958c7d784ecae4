//! How many connections one address may have, and what a flood from one costs the others: nothing.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream};

use harness::client::reading;
use harness::wait::DEADLINE;
use harness::{Gateway, H2c, connect_from, try_connect_from, wait};

use crate::fixture;

const ROUTE: &str = "[route.all]\nmatch = \"/**\"\nrespond = { status = 200, body = \"here\" }\n";

fn gateway(keys: &str) -> Gateway {
    fixture::answering(&format!("{keys}\n{ROUTE}"))
}

fn from(number: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, number])
}

/// Sends a request and says whether it was answered on this connection.
fn is_served(mut stream: &TcpStream) -> bool {
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request).is_ok()
        && reading(stream, DEADLINE, |bytes| bytes.ends_with(b"here")).status() == Some(200)
}

fn turned_away(gateway: &Gateway, reason: &str) -> u64 {
    let reason = format!("reason=\"{reason}\"");
    gateway.metric("gateway_connections_refused_total", &[&reason])
}

#[test]
fn an_address_has_its_share_and_no_more() {
    let gateway = gateway("connections-per-ip-max = 3");
    let kept: Vec<_> = (0..3)
        .map(|_| connect_from(from(1), gateway.addr()))
        .collect();
    assert!(kept.iter().all(is_served));
    assert!(!is_served(&connect_from(from(1), gateway.addr())));
    assert!(!is_served(&connect_from(from(1), gateway.addr())));
    wait::until(DEADLINE, "two turned away", || {
        turned_away(&gateway, "address-full") == 2
    });
    assert!(is_served(&connect_from(from(2), gateway.addr())));
    assert!(kept.iter().all(is_served));
    drop(kept);
    wait::until(DEADLINE, "a free place", || {
        is_served(&connect_from(from(1), gateway.addr()))
    });
    gateway.wait_log("Connections were turned away");
}

#[test]
fn http2_connections_count_and_leave_like_others() {
    let gateway = gateway("connections-per-ip-max = 1");
    for _ in 0..5 {
        // The place is free again once the connection has gone.
        wait::until(DEADLINE, "a free place", || {
            gateway.metric("gateway_connections", &[r#"listener="public""#]) == 0
        });
        let mut client = H2c::connect(gateway.addr());
        assert_eq!(client.get("/").status, 200);
        assert!(!is_served(&connect_from(from(1), gateway.addr())));
    }
}

#[test]
fn trusted_proxies_stand_for_many_and_are_not_counted() {
    let gateway = gateway("connections-per-ip-max = 1\ntrusted-proxies = [\"127.0.0.9\"]");
    let many: Vec<_> = (0..20)
        .map(|_| connect_from(from(9), gateway.addr()))
        .collect();
    assert!(many.iter().all(is_served));
    let one = connect_from(from(1), gateway.addr());
    assert!(is_served(&one));
    assert!(!is_served(&connect_from(from(1), gateway.addr())));
}

#[test]
fn a_reload_changes_the_share_of_an_address() {
    let mut gateway = gateway("connections-per-ip-max = 1");
    let first = connect_from(from(1), gateway.addr());
    assert!(is_served(&first));
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\nconnections-per-ip-max = 2\n{ROUTE}"
    );
    gateway.rewrite_config(text.as_str());
    assert_eq!(gateway.reload().status, 200);
    let second = connect_from(from(1), gateway.addr());
    assert!(is_served(&second));
    assert!(!is_served(&connect_from(from(1), gateway.addr())));
}

/// Opens `count` connections one after the other and closes each at once.
fn knock(source: IpAddr, to: SocketAddr, count: usize) {
    for _ in 0..count {
        drop(try_connect_from(source, to));
    }
}

#[test]
fn a_flood_of_connections_from_one_address_is_cut() {
    let gateway = gateway("connections-per-ip-max = 50");
    let held: Vec<_> = (0..200)
        .map(|_| connect_from(from(1), gateway.addr()))
        .collect();
    wait::until(DEADLINE, "150 turned away", || {
        turned_away(&gateway, "address-full") == 150
    });
    assert_eq!(
        gateway.metric("gateway_connections", &[r#"listener="public""#]),
        50
    );
    assert!(is_served(&connect_from(from(2), gateway.addr())));
    drop(held);
    // Short ones, faster than anybody needs: a thousand in a second pass, then the address waits for the next second.
    wait::until(DEADLINE, "a flood noticed", || {
        knock(from(3), gateway.addr(), 2000);
        turned_away(&gateway, "flood") > 0
    });
    assert!(is_served(&connect_from(from(4), gateway.addr())));
}
