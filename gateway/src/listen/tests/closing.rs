//! How connections and listeners end: deadlines, limits, reload, drain.

use super::*;

fn short() -> Duration {
    Duration::from_millis(50)
}

fn wait_idle(house: &House) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(house.listeners.wait_idle(PATIENCE))
}

#[test]
fn answers_408_when_a_head_is_late() {
    let house = house(Settings {
        header_timeout: short(),
        ..settings()
    });
    let mut client = house.connect();
    client.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    assert!(read_to_end(&mut client).starts_with("HTTP/1.1 408 "));
    // A preface that never ends is under the same deadline.
    let mut client = house.connect();
    client.write_all(b"PRI * HT").unwrap();
    assert!(read_to_end(&mut client).starts_with("HTTP/1.1 408 "));
}

#[test]
fn closes_idle_connections_silently() {
    let house = house(Settings {
        idle_timeout: short(),
        ..settings()
    });
    let mut fresh = house.connect();
    assert_eq!(read_to_end(&mut fresh), "");
    let mut used = house.connect();
    used.write_all(LOCAL.as_bytes()).unwrap();
    assert!(read_to_end(&mut used).ends_with("front 0 1"));
    wait_until(|| house.counts.closed.load(Ordering::Relaxed) == 2);
}

#[test]
fn closes_after_the_last_request_that_a_connection_may_make() {
    let house = house(Settings {
        requests_max: 2,
        ..settings()
    });
    let mut client = house.connect();
    ask(&mut client, LOCAL, "front 0 1");
    client.write_all(LOCAL.as_bytes()).unwrap();
    let last = read_to_end(&mut client);
    assert!(last.to_lowercase().contains("connection: close"), "{last}");
}

#[test]
fn turns_connections_away_beyond_the_limit() {
    let house = house(Settings {
        connections_max: 1,
        ..settings()
    });
    let mut first = house.connect();
    ask(&mut first, LOCAL, "front 0 1");
    let mut second = house.connect();
    assert_eq!(read_to_end(&mut second), "");
    wait_until(|| house.counts.turned_away.load(Ordering::Relaxed) == 1);
    ask(&mut first, LOCAL, "front 0 1");
    drop(first);
    wait_until(|| house.counts.closed.load(Ordering::Relaxed) == 1);
    ask(&mut house.connect(), LOCAL, "front 0 1");
}

#[test]
fn drains_idle_connections_at_once_and_busy_ones_after_their_answer() {
    let house = house(settings());
    let mut idle: Vec<_> = (0..20).map(|_| house.connect()).collect();
    for client in &mut idle {
        ask(client, LOCAL, "front 0 1");
    }
    let mut busy = house.connect();
    busy.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
        .unwrap();
    let mut upstream = house.upstream();
    read_until(&mut upstream, |text| text.ends_with("\r\n\r\n"));
    house.listeners.drain_all();
    for client in &mut idle {
        assert_eq!(read_to_end(client), "");
    }
    wait_until(|| house.listeners.connections() == 1);
    upstream.write_all(ANSWER.as_bytes()).unwrap();
    let answer = read_to_end(&mut busy);
    assert!(
        answer.to_lowercase().contains("connection: close"),
        "{answer}"
    );
    assert_eq!(wait_idle(&house), 0);
}

#[test]
fn changes_kept_listeners_in_place_and_closes_vanished_ones() {
    let house = house(settings());
    let mut kept = house.connect();
    ask(&mut kept, LOCAL, "front 0 1");
    let other = Settings {
        name: "other".into(),
        ..settings()
    };
    let other = Settings {
        address: Address::Unix(std::env::temp_dir().join(unique())),
        ..other
    };
    let renamed = Settings {
        name: "renamed".into(),
        ..settings()
    };
    house
        .listeners
        .commit(house.listeners.prepare(vec![other, renamed]).unwrap());
    ask(&mut kept, LOCAL, "renamed 1 1");
    house
        .listeners
        .commit(house.listeners.prepare(Vec::new()).unwrap());
    assert_eq!(read_to_end(&mut kept), "");
    wait_until(|| TcpStream::connect(house.address).is_err());
}

fn unique() -> String {
    format!("accept-path-other-{}.sock", std::process::id())
}

#[test]
fn binds_everything_or_nothing() {
    let house = house(settings());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(taken.local_addr().unwrap());
    let wanted = vec![settings(), Settings::new("taken", address)];
    let error = house.listeners.prepare(wanted).unwrap_err();
    assert_eq!(error.listener, "taken");
    ask(&mut house.connect(), LOCAL, "front 0 1");
}

#[test]
fn survives_settings_beyond_all_bounds() {
    let endless = Duration::MAX;
    let house = house(Settings {
        header_timeout: endless,
        body_timeout: endless,
        write_timeout: endless,
        idle_timeout: endless,
        head: HeadLimits {
            header_bytes_max: usize::MAX,
            headers_max: usize::MAX,
            uri_max: usize::MAX - 100,
        },
        ..settings()
    });
    ask(&mut house.connect(), LOCAL, "front 0 1");
    let fields: Vec<_> = (0..300).map(|n| format!("x-{n}: a\r\n")).collect();
    let mut client = house.connect();
    let head = format!("GET /local HTTP/1.1\r\nhost: h\r\n{}\r\n", fields.concat());
    client.write_all(head.as_bytes()).unwrap();
    assert!(read_to_end(&mut client).starts_with("HTTP/1.1 431 "));
}
