//! Clients that ask without pause, on kept connections and on fresh ones, and remember every failure.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use harness::wait::{self, DEADLINE};
use harness::{Client, Response};

/// Clients of each kind.
const CLIENTS: usize = 3;

/// What the clients saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    by_generation: BTreeMap<String, usize>,
    pub(super) failures: Vec<String>,
}

impl Told {
    pub(super) fn answers(&self, generation: &str) -> usize {
        self.by_generation.get(generation).copied().unwrap_or(0)
    }
}

/// The clients at work.
pub(super) struct Load {
    told: Arc<Mutex<Told>>,
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub(super) fn start(address: SocketAddr) -> Self {
        let (told, over) = (Arc::<Mutex<Told>>::default(), Arc::<AtomicBool>::default());
        let clients = (0..2 * CLIENTS).map(|number| {
            let (told, over) = (Arc::clone(&told), Arc::clone(&over));
            let keeps = number % 2 == 0;
            thread::spawn(move || ask(address, keeps, &told, &over))
        });
        let clients = clients.collect();
        Self {
            told,
            over,
            clients,
        }
    }

    /// Waits until each client can have had answers of this generation.
    pub(super) fn wait_for(&self, generation: &str) {
        wait::until(DEADLINE, "answers of a generation", || {
            self.told.lock().unwrap().answers(generation) >= 40 * CLIENTS
        });
    }

    pub(super) fn stop(self) -> Told {
        self.over.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().unwrap();
        }
        self.told.lock().unwrap().clone()
    }
}

fn ask(address: SocketAddr, keeps: bool, told: &Mutex<Told>, over: &AtomicBool) {
    let mut kept = None;
    while !over.load(Ordering::SeqCst) {
        let answer = exchange(address, &mut kept);
        if !keeps {
            kept = None;
        }
        let mut told = told.lock().unwrap();
        match answer {
            Ok(answer) if answer.status == 200 => {
                let generation = answer.header("x-generation").unwrap_or_default().to_owned();
                *told.by_generation.entry(generation).or_default() += 1;
            }
            Ok(answer) => told
                .failures
                .push(format!("{} {}", answer.status, answer.text())),
            Err(error) => told.failures.push(format!("kept: {keeps}: {error}")),
        }
    }
}

/// One request; the connection is kept unless the answer says that it ends.
fn exchange(address: SocketAddr, kept: &mut Option<Client>) -> std::io::Result<Response> {
    let mut client = match kept.take() {
        Some(client) => client,
        None => Client::try_connect(address)?,
    };
    let answer = client.try_request("GET", "/", &[], b"")?;
    if answer.header("connection") != Some("close") {
        *kept = Some(client);
    }
    Ok(answer)
}
