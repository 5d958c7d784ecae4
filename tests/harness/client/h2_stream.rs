//! One HTTP/2 stream by prior knowledge, piece by piece in both directions: what a gRPC client does.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use super::h2c::{H2Request, within};
use crate::wait::DEADLINE;
use crate::wire::Headers;
use crate::wire::h2::fields;

/// One stream on a connection of its own.
#[derive(Debug)]
pub struct H2Stream {
    runtime: Runtime,
    response: Option<h2::client::ResponseFuture>,
    sending: SendStream<Bytes>,
    receiving: Option<RecvStream>,
}

impl H2Stream {
    /// Connects and sends the head (a body that the request has follows); the sending side stays open.
    pub fn open(addr: SocketAddr, request: &H2Request) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (response, mut sending) = runtime.block_on(within(DEADLINE, async {
            let stream = TcpStream::connect(addr).await.expect("connected");
            let (send, connection) = h2::client::handshake(stream).await.expect("a handshake");
            tokio::spawn(connection);
            let mut send = send.ready().await.expect("a ready connection");
            send.send_request(request.head("http", &addr.to_string()), false)
                .expect("a request")
        }));
        if !request.content().is_empty() {
            sending
                .send_data(request.content().to_vec().into(), false)
                .expect("an open stream");
        }
        Self {
            runtime,
            response: Some(response),
            sending,
            receiving: None,
        }
    }

    /// Sends a piece of the body.
    pub fn send(&mut self, bytes: &[u8]) {
        self.sending
            .send_data(bytes.to_vec().into(), false)
            .expect("an open stream");
        self.drive();
    }

    /// Ends the body.
    pub fn finish(&mut self) {
        self.sending
            .send_data(Bytes::new(), true)
            .expect("an open stream");
        self.drive();
    }

    /// Gives the stream up, as a client that cancels its call.
    pub fn cancel(&mut self) {
        self.sending.send_reset(h2::Reason::CANCEL);
        self.drive();
    }

    /// The head of the answer.
    pub fn head(&mut self) -> (u16, Headers) {
        self.try_head().expect("an answer")
    }

    /// The head of the answer, or the stream's error.
    pub fn try_head(&mut self) -> Result<(u16, Headers), h2::Error> {
        let response = self.response.take().expect("the head comes once");
        let (head, body) = self
            .runtime
            .block_on(within(DEADLINE, response))?
            .into_parts();
        self.receiving = Some(body);
        Ok((head.status.as_u16(), fields(&head.headers)))
    }

    /// The head of the answer, if it comes within this time.
    pub fn head_within(&mut self, time: Duration) -> Option<(u16, Headers)> {
        let response = self.response.as_mut().expect("the head comes once");
        let waited = async { tokio::time::timeout(time, response).await };
        let answered = self.runtime.block_on(waited).ok()?;
        let (head, body) = answered.expect("an answer").into_parts();
        self.response = None;
        self.receiving = Some(body);
        Some((head.status.as_u16(), fields(&head.headers)))
    }

    /// The next piece of the answer, never an empty one; `None` at its end.
    pub fn receive(&mut self) -> Result<Option<Vec<u8>>, h2::Error> {
        let receiving = self.receiving.as_mut().expect("the head comes first");
        loop {
            let piece = self.runtime.block_on(within(DEADLINE, receiving.data()));
            let Some(piece) = piece.transpose()? else {
                return Ok(None);
            };
            receiving.flow_control().release_capacity(piece.len())?;
            if !piece.is_empty() {
                return Ok(Some(piece.to_vec()));
            }
        }
    }

    /// Exactly so many bytes of the answer, however they come in pieces.
    pub fn receive_exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            let piece = self.receive().expect("a living stream");
            bytes.extend(piece.expect("more of the answer"));
        }
        assert_eq!(bytes.len(), count, "a piece goes beyond");
        bytes
    }

    /// Whether the answer has ended; right after the head: whether it ended with it.
    pub fn is_over(&self) -> bool {
        let receiving = self.receiving.as_ref().expect("the head comes first");
        receiving.is_end_stream()
    }

    /// What comes after the body.
    pub fn trailers(&mut self) -> Result<Headers, h2::Error> {
        let receiving = self.receiving.as_mut().expect("the head comes first");
        let trailers = self
            .runtime
            .block_on(within(DEADLINE, receiving.trailers()))?;
        Ok(fields(&trailers.unwrap_or_default()))
    }

    /// Lets the connection write what it was given.
    fn drive(&self) {
        self.runtime.block_on(async {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
        });
    }
}
