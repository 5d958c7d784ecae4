//! A client that does what a browser does without scripts: keeps cookies, follows redirects, sends forms.
//!
//! Every host is 127.0.0.1. Cookies are shared by all ports of a host, as in browsers; `Secure` and `Path` hold.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::client::{Client, Response, Tls};

/// As many as browsers follow.
const REDIRECTS_MAX: usize = 20;

/// Somebody at a browser.
#[derive(Debug, Default)]
pub struct Visitor {
    cookies: Vec<Cookie>,
    tls: Option<Tls>,
    /// Sent with every request, beside what a browser sends for a navigation.
    headers: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
struct Cookie {
    host: String,
    name: String,
    value: String,
    path: String,
    secure: bool,
}

/// An answer and where it was found.
#[derive(Debug)]
pub struct Page {
    /// The URL of the last request.
    pub url: String,
    /// Every URL on the way, this one too.
    pub way: Vec<String>,
    /// The answer.
    pub response: Response,
}

impl Visitor {
    /// Somebody without cookies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes this for `https`.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sends this field with every request.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One `GET` without following redirects.
    pub fn get(&mut self, url: &str) -> Page {
        self.request("GET", url, &[], "")
    }

    /// `GET`, following redirects.
    pub fn visit(&mut self, url: &str) -> Page {
        let page = self.get(url);
        self.follow(page)
    }

    /// Follows the redirects of an answer.
    pub fn follow(&mut self, mut page: Page) -> Page {
        for _ in 0..REDIRECTS_MAX {
            let Some(next) = page.next() else {
                return page;
            };
            let way = std::mem::take(&mut page.way);
            page = self.get(&next);
            page.way.splice(0..0, way);
        }
        panic!("more than {REDIRECTS_MAX} redirects: {:?}", page.way)
    }

    /// Sends the form `name=value…` as a browser does from a page of the same origin, without following redirects.
    pub fn post(&mut self, url: &str, form: &str) -> Page {
        let (origin, _) = split(url);
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", origin),
            ("sec-fetch-site", "same-origin"),
        ];
        self.request("POST", url, &headers, form)
    }

    /// Fills in the provider's login page and follows the way back.
    pub fn log_in(&mut self, page: &Page, account: &str) -> Page {
        assert!(
            page.url.contains("/login/"),
            "not a login page: {:?} {}",
            page.way,
            page.response.text()
        );
        let sent = self.post(&page.url, &format!("login={account}"));
        self.follow(sent)
    }

    /// One request with the cookies that belong to it, keeping those that come back.
    pub fn request(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Page {
        let (origin, path) = split(url);
        let (scheme, authority) = origin.split_once("://").expect("a URL");
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host);
        let port = authority
            .rsplit_once(':')
            .map_or(443, |(_, port)| port.parse().expect("a port"));
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let cookies = self.cookies_for(host, path, scheme == "https");
        let mut all = vec![("host", authority), ("accept", "text/html,*/*;q=0.8")];
        if !headers.iter().any(|(name, _)| *name == "sec-fetch-mode") {
            all.push(("sec-fetch-mode", "navigate"));
        }
        if !cookies.is_empty() {
            all.push(("cookie", &cookies));
        }
        all.extend_from_slice(headers);
        let own = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        all.extend(own);
        let mut client = match (scheme, &self.tls) {
            ("https", Some(tls)) => tls.connect(addr),
            ("https", None) => Tls::careless("localhost").connect(addr),
            _ => Client::connect(addr),
        };
        let response = client.request(method, path, &all, body.as_bytes());
        for field in response.headers.all("set-cookie") {
            self.keep(host, path, field);
        }
        Page {
            url: url.to_owned(),
            way: vec![url.to_owned()],
            response,
        }
    }

    /// The value of a cookie, whatever its path.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let cookie = self.cookies.iter().find(|cookie| cookie.name == name)?;
        Some(&cookie.value)
    }

    /// The names of all cookies.
    pub fn cookie_names(&self) -> Vec<&str> {
        self.cookies
            .iter()
            .map(|cookie| cookie.name.as_str())
            .collect()
    }

    /// Changes the value of a cookie that is there.
    pub fn tamper(&mut self, name: &str, value: &str) {
        let cookie = self.cookies.iter_mut().find(|cookie| cookie.name == name);
        value.clone_into(&mut cookie.expect("a cookie of this name").value);
    }

    /// All cookies as they are now, to be put back later by [`Visitor::restore`].
    pub fn snapshot(&self) -> Cookies {
        Cookies(self.cookies.clone())
    }

    /// Has exactly these cookies again.
    pub fn restore(&mut self, cookies: &Cookies) {
        self.cookies.clone_from(&cookies.0);
    }

    fn cookies_for(&self, host: &str, path: &str, secure: bool) -> String {
        let path = path.split('?').next().unwrap_or_default();
        let mut all = String::new();
        for cookie in &self.cookies {
            if cookie.host == host && (secure || !cookie.secure) && within(path, &cookie.path) {
                let gap = if all.is_empty() { "" } else { "; " };
                write!(all, "{gap}{}={}", cookie.name, cookie.value).expect("a String takes all");
            }
        }
        all
    }

    fn keep(&mut self, host: &str, path: &str, field: &str) {
        let mut parts = field.split(';').map(str::trim);
        let (name, value) = parts
            .next()
            .and_then(|pair| pair.split_once('='))
            .expect("a cookie");
        let folder = path
            .split('?')
            .next()
            .and_then(|path| path.rsplit_once('/'));
        let mut cookie = Cookie {
            host: host.to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
            path: folder.map_or_else(|| "/".to_owned(), |(folder, _)| format!("{folder}/")),
            secure: false,
        };
        let mut gone = false;
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match key.to_ascii_lowercase().as_str() {
                "path" => value.clone_into(&mut cookie.path),
                "secure" => cookie.secure = true,
                "max-age" => gone = value.trim_start_matches('-') == "0" || value.starts_with('-'),
                "expires" => gone |= value.contains(" 1970 "),
                _ => {}
            }
        }
        self.cookies.retain(|old| {
            (&old.host, &old.name, &old.path) != (&cookie.host, &cookie.name, &cookie.path)
        });
        if !gone {
            self.cookies.push(cookie);
        }
    }
}

/// Cookies set aside.
#[derive(Debug, Clone)]
pub struct Cookies(Vec<Cookie>);

impl Page {
    /// The URL that a redirect leads to.
    pub fn next(&self) -> Option<String> {
        if !matches!(self.response.status, 301 | 302 | 303 | 307) {
            return None;
        }
        let to = self
            .response
            .header("location")
            .expect("a redirect says whereto");
        Some(if to.starts_with('/') {
            split(&self.url).0.to_owned() + to
        } else {
            to.to_owned()
        })
    }
}

/// Origin and path with query.
fn split(url: &str) -> (&str, &str) {
    let start = url.find("://").expect("a URL") + 3;
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    let path = &url[end..];
    (&url[..end], if path.is_empty() { "/" } else { path })
}

/// RFC 6265 section 5.1.4.
fn within(path: &str, folder: &str) -> bool {
    path == folder
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| folder.ends_with('/') || rest.starts_with('/'))
}
