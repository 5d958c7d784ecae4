//! Cookies between versions: HTTP/2 may send them in several fields, HTTP/1.1 knows one (RFC 9113 section 8.2.3).

use http::{HeaderValue, header};
use pingora::http::RequestHeader;
use pingora::prelude::Result;

/// Joins the crumbs of a cookie into one field. An upstream may read the first field only, and what it skips must not
/// depend on how the client cut its cookie.
pub(super) fn join_crumbs(head: &mut RequestHeader) -> Result<()> {
    let crumbs = head.headers.get_all(header::COOKIE);
    if crumbs.iter().nth(1).is_none() {
        return Ok(());
    }
    let pieces: Vec<&[u8]> = crumbs.iter().map(HeaderValue::as_bytes).collect();
    // Joined from values that were values; if it were none, no cookie is better than half of one.
    if let Ok(whole) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        return head.insert_header(header::COOKIE, whole);
    }
    head.remove_header(&header::COOKIE);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(crumbs: &[&'static str]) -> Vec<String> {
        let mut head = RequestHeader::build("GET", b"/", None).unwrap();
        for crumb in crumbs {
            head.append_header(header::COOKIE, *crumb).unwrap();
        }
        join_crumbs(&mut head).unwrap();
        let fields = head.headers.get_all(header::COOKIE);
        fields
            .iter()
            .map(|field| field.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn joins_crumbs_in_order() {
        assert_eq!(joined(&["a=1", "b=2; c=3", "d=4"]), ["a=1; b=2; c=3; d=4"]);
        assert_eq!(joined(&["a=1; b=2"]), ["a=1; b=2"]);
        assert_eq!(joined(&[]), [""; 0]);
    }
}
