//! TLS on listeners: which certificate is served, what is agreed on, what is refused, and that files may change.

mod admin;
mod answers;
mod certificates;
mod clients;
mod handshakes;
mod tools;

use harness::{Authority, Backend, Config, Gateway, Identity};

/// A certificate and its key as files beside the configuration.
fn with_pair(config: Config, name: &str, identity: &Identity) -> Config {
    config
        .file(&format!("{name}.pem"), identity.cert.as_str())
        .file(&format!("{name}.key"), identity.key.as_str())
}

/// `{ cert = …, key = … }` of such a pair.
fn pair(name: &str) -> String {
    format!("{{ cert = \"file:{name}.pem\", key = \"file:{name}.key\" }}")
}

/// A listener with one certificate that forwards everything; `listener` and `tls` are further keys.
fn config(listener: &str, tls: &str, identity: &Identity, orders: &Backend) -> Config {
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\n{listener}\n\
         [listener.public.tls]\ncertificates = [{}]\n{tls}\n\
         [upstream.orders]\ntargets = [\"@upstream.orders@\"]\n\
         [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n",
        pair("site")
    );
    with_pair(Config::new(text), "site", identity).upstream("orders", orders.addr())
}

/// A gateway whose only certificate is for `localhost` and `127.0.0.1`.
fn start(listener: &str, tls: &str) -> (Gateway, Authority, Backend) {
    let (authority, orders) = (Authority::new("site"), Backend::start());
    let identity = authority.issue(&["localhost", "127.0.0.1"]);
    let gateway = Gateway::start(config(listener, tls, &identity, &orders));
    (gateway, authority, orders)
}
