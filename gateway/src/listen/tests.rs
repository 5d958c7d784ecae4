//! The accept path over real sockets.
