//! Heads without the map that remembers the letter case of their names.
//!
//! Pingora keeps such a map beside the fields, copies it for every attempt and searches it for every change. Names of fields
//! have no case (RFC 9110 section 5.1) and HTTP/2 writes them in lower case anyway, so we drop it once, where a head
//! arrives; `decisions/0009` has the figures. It also gives us the fields themselves, where Pingora's own methods would parse
//! every name again.

use http::{Request, request};
use pingora::http::RequestHeader;
pub(super) use plugins::contract::view::change_fields as response;

/// Drops the map of a request's head.
pub(super) fn request(head: &mut RequestHeader) {
    change(head, |_fields| ());
}

/// Changes the fields and the target of a request's head.
pub(super) fn change<T>(
    head: &mut RequestHeader,
    change: impl FnOnce(&mut request::Parts) -> T,
) -> T {
    let empty = RequestHeader::from(Request::new(()).into_parts().0);
    let mut parts = request::Parts::from(std::mem::replace(head, empty));
    let result = change(&mut parts);
    *head = RequestHeader::from(parts);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_everything_but_the_case() {
        let mut head = RequestHeader::build("POST", b"/a?b=c", None).unwrap();
        head.append_header("X-Two", "1").unwrap();
        head.append_header("X-two", "2").unwrap();
        request(&mut head);
        assert_eq!(
            (head.method.as_str(), head.raw_path()),
            ("POST", &b"/a?b=c"[..])
        );
        assert_eq!(head.headers.get_all("x-two").iter().count(), 2);
        let mut wire = Vec::new();
        head.header_to_h1_wire(&mut wire);
        assert_eq!(wire, b"x-two: 1\r\nx-two: 2\r\n");
    }
}
