//! Every plugin's promises, on the wire: a file each, on HTTP/1.1 and on HTTP/2.

mod adaptive;
mod auth;
mod concurrency;
mod cors;
mod headers;
mod ip_filter;
mod limits;
mod protect;

use harness::{Gateway, H2Request, H2c, Response};

/// The same request on HTTP/1.1 and on HTTP/2, each on a connection of its own.
fn both(gateway: &Gateway, method: &str, path: &str, headers: &[(&str, &str)]) -> [Response; 2] {
    let mut request = H2Request::new(method, path);
    for (name, value) in headers {
        request = match *name {
            "Host" => request.authority(value),
            _ => request.header(&name.to_lowercase(), value),
        };
    }
    [
        gateway.request(method, path, headers, b""),
        H2c::connect(gateway.addr()).request(request),
    ]
}

/// How often a policy of this plugin refused, or in shadow would have.
fn refusals(gateway: &Gateway, code: &str, mode: &str) -> u64 {
    let labels = [format!("code=\"{code}\""), format!("mode=\"{mode}\"")];
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    gateway.metric("gateway_refusals_total", &labels)
}
