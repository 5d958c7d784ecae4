//! The only place that builds Pingora's peers from our settings.

use std::net::SocketAddr;

use pingora::upstreams::peer::HttpPeer;

use crate::config::model::UpstreamConfig;

/// A plaintext HTTP/1.1 peer with every timeout set; Pingora's own default is none at all.
pub(super) fn peer(address: SocketAddr, config: &UpstreamConfig) -> HttpPeer {
    // A literal address: `HttpPeer::new` would look a name up and block.
    let mut peer = HttpPeer::new(address, false, String::new());
    peer.options.connection_timeout = Some(config.connect_timeout);
    peer.options.total_connection_timeout = Some(config.connect_timeout);
    peer.options.read_timeout = Some(config.read_timeout);
    peer.options.write_timeout = Some(config.write_timeout);
    peer.options.idle_timeout = Some(config.idle_timeout);
    peer
}
