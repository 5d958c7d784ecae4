//! The question: which request, by whom, at which listener. Every mistake in it has a message of its own.

use std::net::{IpAddr, Ipv4Addr};

use http::Method;
use serde_json::{Map, Value};

use crate::config::model::{Address, ListenerConfig};

/// The address that connects if none is given.
const FROM: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The host of a request whose URL is only a path.
const HOST: &str = "localhost";

/// A request that was never sent.
#[derive(Debug)]
pub(super) struct Question {
    /// Method and URL as asked.
    pub(super) asked: String,
    pub(super) method: Method,
    /// Whether the URL says `https`.
    pub(super) https: bool,
    /// Host and port of the URL.
    pub(super) authority: Option<String>,
    /// Path and query.
    pub(super) target: String,
    /// Name and value as given.
    pub(super) fields: Vec<(String, String)>,
    pub(super) from: Option<IpAddr>,
    /// The claims of a token that counts as verified.
    pub(super) claims: Option<Map<String, Value>>,
}

/// The parts of a URL.
struct Url<'a> {
    https: bool,
    authority: Option<&'a str>,
    target: String,
}

impl Question {
    /// Reads the arguments.
    pub(super) fn new(
        request: &str,
        headers: &[String],
        from: Option<IpAddr>,
    ) -> Result<Self, String> {
        let words: Vec<&str> = request.split_whitespace().collect();
        let (method, url) = match words.as_slice() {
            [url] => ("GET", *url),
            [method, url] => (*method, *url),
            _ => {
                let example =
                    "write \"METHOD URL\", for example \"GET https://api.example.com/orders/7\"";
                return Err(format!(
                    "`{request}` is not a request: {example} (a space inside the URL is %20)"
                ));
            }
        };
        let parsed = url_parts(url)?;
        Ok(Self {
            asked: format!("{method} {url}"),
            method: parse_method(method)?,
            https: parsed.https,
            authority: parsed.authority.map(str::to_owned),
            target: parsed.target,
            fields: headers
                .iter()
                .map(|field| parse_field(field))
                .collect::<Result<_, _>>()?,
            from,
            claims: None,
        })
    }

    /// The listener that is asked: the one named, the only one, or the one whose port the URL has.
    pub(super) fn listener(
        &self,
        listeners: &[ListenerConfig],
        name: Option<&str>,
    ) -> Result<usize, String> {
        let names: Vec<&str> = listeners.iter().map(|listener| &*listener.name).collect();
        let listed = names.join(", ");
        let index = match (name, listeners) {
            (Some(name), _) => names
                .iter()
                .position(|known| *known == name)
                .ok_or_else(|| format!("there is no listener `{name}`; there is {listed}"))?,
            (None, [_]) => 0,
            (None, _) => self
                .by_port(listeners)
                .or_else(|| self.by_scheme(listeners))
                .ok_or_else(|| {
                    format!("there are several listeners; say which with --listener NAME: {listed}")
                })?,
        };
        match listeners.get(index).map(|listener| &listener.address) {
            Some(Address::Unix(_)) if self.from.is_some() => {
                Err("that listener is a unix socket: who connects there has no address, leave --from out".to_owned())
            }
            _ => Ok(index),
        }
    }

    /// A URL without port leads to the only listener that speaks its scheme.
    fn by_scheme(&self, listeners: &[ListenerConfig]) -> Option<usize> {
        self.authority.as_ref().filter(|host| !host.contains(':'))?;
        let mut found = (0..)
            .zip(listeners)
            .filter(|(_, listener)| listener.tls.is_some() == self.https);
        match (found.next(), found.next()) {
            (Some((index, _)), None) => Some(index),
            _ => None,
        }
    }

    fn by_port(&self, listeners: &[ListenerConfig]) -> Option<usize> {
        let (_, port) = self.authority.as_ref()?.rsplit_once(':')?;
        let port: u16 = port.parse().ok()?;
        let has_port = |listener: &ListenerConfig| matches!(&listener.address, Address::Tcp(at) if at.port() == port);
        let mut found = (0..)
            .zip(listeners)
            .filter(|(_, listener)| has_port(listener));
        let (index, _) = found.next()?;
        found.next().is_none().then_some(index)
    }

    /// The address of the connection's other end; none on a unix socket.
    pub(super) fn peer(&self, listener: &ListenerConfig) -> Option<IpAddr> {
        match listener.address {
            Address::Tcp(_) => Some(self.from.unwrap_or(FROM).to_canonical()),
            Address::Unix(_) => None,
        }
    }

    /// The head as a client would send it, for the checker of the accept path.
    pub(super) fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.names_host() {
            head.push_str("host: ");
            head.push_str(self.authority.as_deref().unwrap_or(HOST));
            head.push_str("\r\n");
        }
        for (name, value) in &self.fields {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head + "\r\n"
    }

    fn names_host(&self) -> bool {
        self.fields
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    }

    /// What was assumed because the question does not say it.
    pub(super) fn assumptions(&self, listener: &ListenerConfig) -> Vec<String> {
        let mut notes = Vec::new();
        if self.authority.is_none() && !self.names_host() {
            notes.push(format!("the URL names no host: asked for {HOST}"));
        }
        if self.from.is_none() && matches!(listener.address, Address::Tcp(_)) {
            notes.push(format!("--from was not given: asked by {FROM}"));
        }
        let upper = self.method.as_str().to_ascii_uppercase();
        if self.method.as_str() != upper {
            notes.push(format!(
                "methods have a case: `{}` is not {upper}",
                self.method
            ));
        }
        notes
    }
}

fn parse_method(text: &str) -> Result<Method, String> {
    Method::from_bytes(text.as_bytes()).map_err(|_| format!("`{text}` is not a method"))
}

fn url_parts(url: &str) -> Result<Url<'_>, String> {
    if url.contains('#') {
        return Err(format!(
            "`{url}`: a fragment (#…) stays in the browser and is never sent; leave it out"
        ));
    }
    if url.starts_with('/') || url == "*" {
        return Ok(Url {
            https: false,
            authority: None,
            target: url.to_owned(),
        });
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(format!(
            "`{url}` is neither a path nor a URL: write /{url} or https://{url}"
        ));
    };
    let https = scheme.eq_ignore_ascii_case("https");
    if !https && !scheme.eq_ignore_ascii_case("http") {
        return Err(format!(
            "`{url}`: the scheme is `{scheme}`; this gateway speaks http and https"
        ));
    }
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.is_empty() {
        return Err(format!("`{url}` has no host"));
    }
    if authority.contains('@') {
        return Err(format!(
            "`{url}`: user and password are not sent in a URL; write -H 'authorization: Basic …'"
        ));
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok(Url {
        https,
        authority: Some(authority),
        target: format!("{slash}{target}"),
    })
}

fn parse_field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| format!("-H '{text}' has no colon: write -H 'name: value'"))?;
    if name.is_empty() {
        return Err(format!("-H '{text}' has no name: write -H 'name: value'"));
    }
    if text.contains(['\r', '\n']) {
        return Err(format!(
            "-H '{}' holds a line break: write one -H for each field",
            text.escape_debug()
        ));
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(request: &str) -> Result<Question, String> {
        Question::new(request, &[], None)
    }

    #[test]
    fn reads_methods_and_urls() {
        let full = ask("post HTTPS://Api.example.com:8443?x=1").unwrap();
        assert_eq!((full.method.as_str(), full.https), ("post", true));
        assert_eq!(
            (full.authority.as_deref(), &*full.target),
            (Some("Api.example.com:8443"), "/?x=1")
        );
        let path = ask("/orders/7").unwrap();
        assert_eq!(
            (
                path.method.as_str(),
                path.authority.as_deref(),
                &*path.target
            ),
            ("GET", None, "/orders/7")
        );
        assert_eq!(
            path.head(),
            "GET /orders/7 HTTP/1.1\r\nhost: localhost\r\n\r\n"
        );
        assert_eq!(ask("OPTIONS *").unwrap().target, "*");
    }

    #[test]
    fn a_host_field_replaces_the_one_of_the_url() {
        let fields = ["Host: b.example".to_owned(), "X-A:1".to_owned()];
        let question = Question::new("http://a.example/", &fields, None).unwrap();
        assert_eq!(
            question.head(),
            "GET / HTTP/1.1\r\nHost: b.example\r\nX-A: 1\r\n\r\n"
        );
    }

    #[test]
    fn says_what_is_wrong_with_a_request() {
        for (request, part) in [
            ("", "is not a request"),
            ("GET /a b", "%20"),
            ("GET /a#top", "fragment"),
            (
                "api.example.com/a",
                "write /api.example.com/a or https://api.example.com/a",
            ),
            ("ftp://a/b", "scheme"),
            ("http:///a", "no host"),
            ("http://u:p@a/", "authorization"),
            ("G@T /a", "not a method"),
        ] {
            let wrong = ask(request).unwrap_err();
            assert!(wrong.contains(part), "{wrong}");
        }
        for (field, part) in [
            ("x", "no colon"),
            (": x", "no name"),
            ("a: b\r\nc: d", "line break"),
        ] {
            let wrong = Question::new("/", &[field.to_owned()], None).unwrap_err();
            assert!(wrong.contains(part), "{wrong}");
        }
    }
}
