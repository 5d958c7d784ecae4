//! Requests that a page of another origin makes with the user's cookies.
//!
//! Browsers send cookies with requests of any page. A credential in a cookie therefore counts only where nothing can be
//! changed, or where the browser says that the page is of our own origin.

use crate::contract::prelude::*;

/// Whether a credential in a cookie may count for this request.
pub(super) fn permits(request: &RequestView<'_>) -> bool {
    let safe = matches!(
        *request.method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    );
    let mut sites = request.headers.get_all("sec-fetch-site").iter();
    let same = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
    safe || (sites.next().is_some_and(same) && sites.next().is_none())
}
