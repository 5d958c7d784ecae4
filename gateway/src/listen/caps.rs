//! Whether one more connection may come in: the server's count, the listener's, and its address's.
//!
//! Trusted proxies stand for many clients and have no count of their own. Where they announce a client by the PROXY protocol,
//! that client's address is counted as soon as it is known.

use super::Reception;
use super::accept::Post;
use super::census::Ticket;
use super::crowd::Place;
use super::facts::Endpoint;
use super::live::Live;
use super::refusal::TurnedAway;

/// A ticket for a connection from here.
pub(super) fn admit<R: Reception>(post: &Post<R>, client: Endpoint) -> Result<Ticket, TurnedAway> {
    let live = post.listener.live();
    let max = live.settings.connections_max;
    let mut ticket = post.census.admit(&post.listener.connections, max)?;
    let trusted = live.trusts(client);
    if live.settings.proxy_protocol && !trusted {
        return Err(TurnedAway::Untrusted);
    }
    if !trusted && let Some(place) = place(post, &live, client)? {
        ticket.hold(place);
    }
    Ok(ticket)
}

/// A place in the crowd for this address; `None` for a client without one.
pub(super) fn place<R: Reception>(
    post: &Post<R>,
    live: &Live,
    client: Endpoint,
) -> Result<Option<Place>, TurnedAway> {
    let Endpoint::Ip(address) = client else {
        return Ok(None);
    };
    let max = live.settings.connections_per_ip_max;
    post.listener.crowd.admit(address.ip(), max).map(Some)
}
