//! Which fields of a request an upstream has only from us, or otherwise than the client said them: an answer that varies by one
//! of these cannot be chosen by what later clients say.

use http::header::{self, HeaderMap, HeaderName};

/// What the key holds in any case: where the request was sent to, and how.
const KEYED: [HeaderName; 3] = [
    header::HOST,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// Their names. A field that is taken away is none of them: every request like this one loses it.
pub(super) fn ours(said: &HeaderMap, sent: &HeaderMap) -> Vec<HeaderName> {
    let is_ours = |name: &&HeaderName| !KEYED.contains(name) && !is_same(said, sent, name);
    sent.keys().filter(is_ours).cloned().collect()
}

fn is_same(said: &HeaderMap, sent: &HeaderMap, name: &HeaderName) -> bool {
    if said.get_all(name).iter().eq(sent.get_all(name)) {
        return true;
    }
    // HTTP/2 may part what is one field (RFC 9113 section 8.2.3).
    *name == header::COOKIE && joined(said) == joined(sent)
}

fn joined(fields: &HeaderMap) -> Vec<u8> {
    let crumbs = fields.get_all(header::COOKIE).iter();
    let crumbs: Vec<&[u8]> = crumbs.map(http::HeaderValue::as_bytes).collect();
    crumbs.join(&b"; "[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in pairs {
            fields.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        fields
    }

    #[test]
    fn what_is_added_or_changed_is_ours() {
        let said = fields(&[
            ("accept", "a"),
            ("x-user", "forged"),
            ("via", "1.1 a"),
            ("accept-encoding", "br"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
        ]);
        let sent = fields(&[
            ("accept", "a"),
            ("x-user", "alice"),
            ("via", "1.1 a, 2 gateway"),
            ("cookie", "a=1; b=2"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-host", "a"),
            ("host", "b"),
        ]);
        let mut names = ours(&said, &sent);
        names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        assert_eq!(names, ["via", "x-forwarded-for", "x-user"]);
    }
}
