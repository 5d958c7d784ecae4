//! A small DNS server on UDP: it knows what the test told it, and says of every other name that it does not exist.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::wait::{self, DEADLINE};

const A: u16 = 1;
const SRV: u16 = 33;
const AAAA: u16 = 28;

/// A running name server; it ends with this value.
#[derive(Debug)]
pub struct Dns {
    addr: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    zone: Mutex<HashMap<(String, u16), Records>>,
    questions: Mutex<Vec<String>>,
    silent: AtomicBool,
    stopping: AtomicBool,
}

#[derive(Clone, Debug)]
struct Records {
    ttl: u32,
    data: Vec<Vec<u8>>,
}

impl Dns {
    /// Starts a server that knows no name.
    pub fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = socket.local_addr().expect("a bound socket has an address");
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a timeout");
        let shared = Arc::new(Shared::default());
        let serving = thread::spawn({
            let shared = Arc::clone(&shared);
            move || serve(&socket, &shared)
        });
        Self {
            addr,
            shared,
            serving: Some(serving),
        }
    }

    /// Where it answers.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on `name` has these addresses, for `ttl` seconds.
    pub fn addresses(&self, name: &str, ttl: u32, addresses: &[&str]) -> &Self {
        let mut four = Vec::new();
        let mut six = Vec::new();
        for address in addresses {
            match address.parse().expect("an address") {
                IpAddr::V4(ip) => four.push(ip.octets().to_vec()),
                IpAddr::V6(ip) => six.push(ip.octets().to_vec()),
            }
        }
        self.set(name, A, ttl, four);
        self.set(name, AAAA, ttl, six);
        self
    }

    /// From now on `name` is a service: priority, weight, port and host of each record.
    pub fn service(&self, name: &str, ttl: u32, records: &[(u16, u16, u16, &str)]) -> &Self {
        let record = |(priority, weight, port, host): &(u16, u16, u16, &str)| {
            let mut data = Vec::new();
            for number in [priority, weight, port] {
                data.extend_from_slice(&number.to_be_bytes());
            }
            for label in host.split('.') {
                data.push(u8::try_from(label.len()).expect("a short label"));
                data.extend_from_slice(label.as_bytes());
            }
            data.push(0);
            data
        };
        self.set(name, SRV, ttl, records.iter().map(record).collect());
        self
    }

    /// From now on `name` does not exist.
    pub fn forget(&self, name: &str) {
        lock(&self.shared.zone).retain(|(known, _), _| known != name);
    }

    /// Whether questions stay unanswered.
    pub fn silent(&self, silent: bool) {
        self.shared.silent.store(silent, Ordering::SeqCst);
    }

    /// Names that were asked for so far, in order.
    pub fn questions(&self) -> Vec<String> {
        lock(&self.shared.questions).clone()
    }

    /// Waits until `name` was asked for again.
    pub fn wait_question(&self, name: &str) {
        let count = || {
            self.questions()
                .iter()
                .filter(|asked| *asked == name)
                .count()
        };
        let before = count();
        wait::until(DEADLINE, &format!("a question for {name}"), || {
            count() > before
        });
    }

    fn set(&self, name: &str, kind: u16, ttl: u32, data: Vec<Vec<u8>>) {
        lock(&self.shared.zone).insert((name.to_owned(), kind), Records { ttl, data });
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        if let Some(serving) = self.serving.take() {
            serving.join().expect("the serving thread does not panic");
        }
    }
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut packet = [0; 1500];
    while !shared.stopping.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut packet) else {
            continue;
        };
        let (name, end) = question(&packet[..length]);
        lock(&shared.questions).push(name.clone());
        if !shared.silent.load(Ordering::SeqCst) {
            let answer = answer(&packet[..length], &name, end, shared);
            // Whoever asked may be gone.
            socket.send_to(&answer, from).ok();
        }
    }
}

/// The name in the only question, and where the question ends.
fn question(packet: &[u8]) -> (String, usize) {
    let (mut at, mut labels) = (12, Vec::new());
    while packet[at] != 0 {
        let length = usize::from(packet[at]);
        let label = &packet[at + 1..=at + length];
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        at += length + 1;
    }
    (labels.join("."), at + 5)
}

fn answer(packet: &[u8], name: &str, end: usize, shared: &Shared) -> Vec<u8> {
    let kind = u16::from_be_bytes([packet[end - 4], packet[end - 3]]);
    let zone = lock(&shared.zone);
    let records = zone.get(&(name.to_owned(), kind));
    let exists = zone.keys().any(|(known, _)| known == name);
    let count = records.map_or(0, |records| records.data.len());
    let mut answer = packet[..2].to_vec();
    // Response, authoritative, recursion desired and available; no error, or no such name.
    answer.extend_from_slice(&[0x85, if exists { 0x80 } else { 0x83 }]);
    for number in [1, u16::try_from(count).expect("few records"), 0, 0] {
        answer.extend_from_slice(&number.to_be_bytes());
    }
    answer.extend_from_slice(&packet[12..end]);
    for data in records.iter().flat_map(|records| &records.data) {
        // The name of the question, by reference.
        answer.extend_from_slice(&[0xc0, 12]);
        answer.extend_from_slice(&kind.to_be_bytes());
        answer.extend_from_slice(&1u16.to_be_bytes());
        answer.extend_from_slice(&records.map_or(0, |records| records.ttl).to_be_bytes());
        let length = u16::try_from(data.len()).expect("short data");
        answer.extend_from_slice(&length.to_be_bytes());
        answer.extend_from_slice(data);
    }
    answer
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
