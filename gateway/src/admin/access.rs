//! Who may use the admin listener: tokens where there are some, and never a web page of somebody else.

use std::net::IpAddr;

use http::{HeaderMap, Method, header};
use subtle::ConstantTimeEq;

use crate::config::secret::Secret;

/// The tokens in force. Without any, the address is loopback or a unix socket: validation saw to it.
#[derive(Default)]
pub(super) struct Tokens {
    pub(super) read: Option<Secret>,
    pub(super) write: Option<Secret>,
}

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAccess {
    /// No token, or a wrong one: 401.
    Token,
    /// A token that may read and not change: 403.
    ReadOnly,
    /// The `Host` is a name (DNS rebinding) or the `Origin` another site (a page in somebody's browser): 403.
    Foreign,
}

impl Tokens {
    /// Whether a request may pass.
    pub(super) fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), NoAccess> {
        // A page of another site cannot know a token, and cannot read an answer; without tokens it must not even ask.
        let open = self.read.is_none() && self.write.is_none();
        if open && is_foreign(headers) {
            return Err(NoAccess::Foreign);
        }
        if open {
            return Ok(());
        }
        let sent = bearer(headers).ok_or(NoAccess::Token)?;
        let may_write = matches(self.write.as_ref(), sent);
        let may_read = may_write | matches(self.read.as_ref(), sent);
        match (
            may_read,
            may_write,
            *method == Method::GET || *method == Method::HEAD,
        ) {
            (false, ..) => Err(NoAccess::Token),
            (true, false, false) => Err(NoAccess::ReadOnly),
            (true, true, _) | (true, false, true) => Ok(()),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let field = fields.next().filter(|_| fields.next().is_none())?;
    let (scheme, token) = field.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

/// In constant time, so that the time of an answer says nothing of the token.
fn matches(token: Option<&Secret>, sent: &[u8]) -> bool {
    token.is_some_and(|token| token.expose().as_bytes().ct_eq(sent).into())
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    if !is_own(host) {
        return true;
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return false;
    };
    let origin = origin.to_str().unwrap_or_default();
    let site = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    site != Some(host)
}

/// An address or `localhost`: a name that somebody's DNS could point here is not.
fn is_own(host: &str) -> bool {
    let name = crate::decide::host::canonical(host);
    let bare = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(&name);
    bare.is_empty() || bare == "localhost" || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secret::SecretRef;
    use std::collections::BTreeMap;

    fn secret(text: &str) -> Option<Secret> {
        let env = BTreeMap::from([("T".to_owned(), text.to_owned())]);
        Some(SecretRef::Env("T".into()).resolve(&env).unwrap())
    }

    fn check(
        tokens: &Tokens,
        method: Method,
        fields: &[(header::HeaderName, &str)],
    ) -> Result<(), NoAccess> {
        let headers = fields
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();
        tokens.check(&method, &headers)
    }

    #[test]
    fn tokens_decide_where_there_are_some() {
        let tokens = Tokens {
            read: secret("r"),
            write: secret("w"),
        };
        let with = |method, token: &str| check(&tokens, method, &[(header::AUTHORIZATION, token)]);
        assert_eq!(check(&tokens, Method::GET, &[]), Err(NoAccess::Token));
        assert_eq!(with(Method::GET, "Bearer x"), Err(NoAccess::Token));
        assert_eq!(with(Method::GET, "Basic r"), Err(NoAccess::Token));
        assert_eq!(with(Method::GET, "bearer r"), Ok(()));
        assert_eq!(with(Method::POST, "Bearer r"), Err(NoAccess::ReadOnly));
        assert_eq!(with(Method::POST, "Bearer w"), Ok(()));
        assert_eq!(with(Method::GET, "Bearer w"), Ok(()));
    }

    #[test]
    fn no_page_of_another_site_gets_in() {
        let open = Tokens::default();
        let with = |host: &str, origin: Option<&str>| {
            let mut fields = vec![(header::HOST, host)];
            fields.extend(origin.map(|origin| (header::ORIGIN, origin)));
            check(&open, Method::POST, &fields)
        };
        assert_eq!(with("127.0.0.1:9090", None), Ok(()));
        assert_eq!(with("[::1]:9090", None), Ok(()));
        assert_eq!(
            with("localhost:9090", Some("http://localhost:9090")),
            Ok(())
        );
        assert_eq!(with("evil.example:9090", None), Err(NoAccess::Foreign));
        assert_eq!(
            with("127.0.0.1:9090", Some("https://evil.example")),
            Err(NoAccess::Foreign)
        );
        assert_eq!(with("127.0.0.1:9090", Some("null")), Err(NoAccess::Foreign));
    }
}
