//! Where a Redis is.

use std::str::FromStr;

use plugins::contract::leaf::LeafError;
use plugins::leaf;
use url::{Host, Url};

/// `"redis://host:port/database"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct RedisUrl {
    pub(in crate::config) host: String,
    pub(in crate::config) port: u16,
    pub(in crate::config) database: u16,
}

leaf!(
    RedisUrl,
    "redis-url",
    "where a Redis is: \"redis://10.0.0.5:6379\", \"redis://cache.internal/1\""
);

const PORT: u16 = 6379;

impl FromStr for RedisUrl {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        // The text may hold a password: no message repeats it.
        let wrong = |help: &str| LeafError::new("this is not where a Redis is").help(help);
        let usual = "write for example \"redis://10.0.0.5:6379\"";
        let url: Url = text.parse().map_err(|_| wrong(usual))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(LeafError::new("a password stands in no address")
                .help("write password = \"env:NAME\" beside it"));
        }
        if url.scheme() == "rediss" {
            return Err(wrong("write redis:// and beside it tls = true"));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_ascii_lowercase(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(wrong(usual)),
        };
        let plain = url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "redis" || host.is_empty() || !plain {
            return Err(wrong(usual));
        }
        let database = match url.path() {
            "" | "/" => 0,
            path => path.trim_start_matches('/').parse().map_err(|_| {
                wrong("what follows the port is the number of a database, for example /1")
            })?,
        };
        Ok(Self {
            host,
            port: url.port().unwrap_or(PORT),
            database,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, u16, u16)> {
        let url: RedisUrl = text.parse().ok()?;
        Some((url.host, url.port, url.database))
    }

    #[test]
    fn reads_host_port_and_database() {
        let is = |host: &str, port, database| Some((host.to_owned(), port, database));
        assert_eq!(read("redis://10.0.0.5:7000/3"), is("10.0.0.5", 7000, 3));
        assert_eq!(
            read("redis://Cache.internal"),
            is("cache.internal", 6379, 0)
        );
        assert_eq!(read("redis://[::1]:1/"), is("::1", 1, 0));
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "redis",
            "redis://",
            "10.0.0.5:6379",
            "http://a",
            "rediss://a",
            "redis://u:p@a",
            "redis://:p@a",
            "redis://a/x",
            "redis://a/1/2",
            "redis://a?db=1",
            "redis://a:99999",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
