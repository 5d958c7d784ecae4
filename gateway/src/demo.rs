//! The sample upstreams of `gateway demo`: four tiny HTTP/1.1 servers on loopback, all on one thread of their own.
//!
//! | instance | address | answers |
//! |---|---|---|
//! | `orders-1`, `orders-2` | 127.0.0.1:9101, :9102 | `GET /orders`, `GET /orders/{id}`, `POST /orders` |
//! | `users` | 127.0.0.1:9103 | `GET /users`, `GET /users/{id}` |
//! | `catalog` | 127.0.0.1:9104 | `GET /catalog/items`, `GET /catalog/items/{sku}` |
//!
//! Every answer is JSON and names its instance. All have `/healthz`, and `/echo`, which shows the request as it arrived.
//! How an instance is told to be slow or to fail is in `mood`. They serve nothing but loopback, and only in the demo.

mod data;
mod mood;
mod sample;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::listen::{Address, BindError, Listeners, Settings, Workers};
use data::Subject;
use sample::Samples;

/// Open connections of all instances together: the gateway's pools and a few people with curl.
const CONNECTIONS_MAX: usize = 10_000;

/// One sample upstream. `conf/demo.toml` names the same ports; a test compares them.
struct Instance {
    name: &'static str,
    subject: Subject,
    port: u16,
}

const INSTANCES: [Instance; 4] = [
    Instance::new("orders-1", Subject::Orders, 9101),
    Instance::new("orders-2", Subject::Orders, 9102),
    Instance::new("users", Subject::Users, 9103),
    Instance::new("catalog", Subject::Catalog, 9104),
];

impl Instance {
    const fn new(name: &'static str, subject: Subject, port: u16) -> Self {
        Self {
            name,
            subject,
            port,
        }
    }
}

/// The running samples; they end when this is dropped.
pub struct Demo {
    listeners: Listeners,
    /// Their thread ends with it.
    _workers: Workers,
}

/// Why the samples cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Their thread cannot be had.
    #[error("cannot start the sample upstreams")]
    Thread(#[from] io::Error),
    /// An address is taken, most likely by another demo.
    #[error("the sample upstream `{}` cannot listen on {}: {}; is another demo running?", .0.listener, .0.address, .0.source)]
    Address(#[from] BindError),
}

/// Starts every sample upstream on its own port.
pub fn start() -> Result<Demo, DemoError> {
    start_at(|instance| instance.port)
}

fn start_at(port: impl Fn(&Instance) -> u16) -> Result<Demo, DemoError> {
    let samples = Arc::new(Samples::default());
    let workers = Workers::start("demo", 1, move |_number| samples.clone())?;
    let listeners = Listeners::new(&workers, CONNECTIONS_MAX);
    let settings = |instance: &Instance| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port(instance)));
        Settings {
            http2: false,
            ..Settings::new(instance.name, Address::Tcp(address))
        }
    };
    let prepared = listeners.prepare(INSTANCES.iter().map(settings).collect())?;
    listeners.commit(prepared);
    Ok(Demo {
        listeners,
        _workers: workers,
    })
}

impl Demo {
    /// Each instance's name and address.
    pub fn instances(&self) -> Vec<(String, Option<SocketAddr>)> {
        self.listeners.addresses()
    }
}

impl fmt::Debug for Demo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demo")
            .field("instances", &self.instances())
            .finish()
    }
}

#[cfg(test)]
mod tests;
