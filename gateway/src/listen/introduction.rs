//! A trusted proxy introduces the client whose connection it passes on.

use super::Reception;
use super::accept::{Ends, Post};
use super::caps;
use super::census::Ticket;
use super::conn::Io;
use super::facts::Endpoint;
use super::proxy_protocol::{Announced, reading};
use super::refusal::TurnedAway;

/// Reads the PROXY header and counts the client that it announces. Without one the connection is the proxy's own.
pub(super) async fn hear<R: Reception>(
    io: &mut Io,
    post: &Post<R>,
    ends: Ends,
    ticket: &mut Ticket,
) -> Result<Ends, TurnedAway> {
    let limit = post.listener.live().settings.header_timeout;
    let announced = reading::read(io, limit).await;
    let announced = announced.map_err(|_| TurnedAway::ProxyHeader)?;
    let Announced::Client {
        source,
        destination,
    } = announced
    else {
        return Ok(ends);
    };
    let (client, local) = (Endpoint::Ip(source), Endpoint::Ip(destination));
    let live = post.listener.live();
    if !live.trusts(client)
        && let Some(place) = caps::place(post, &live, client)?
    {
        ticket.hold(place);
    }
    Ok(Ends { client, local })
}
