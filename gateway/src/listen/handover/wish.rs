//! Somebody who wishes an upgrade and waits for what comes of it: `gateway upgrade`.

use std::path::Path;
use std::time::Duration;

use super::HandoverError;
use super::channel::{Channel, within};
use super::message::{Message, Wish};

/// Longer than the running process gives its successor.
const ANSWER: Duration = Duration::from_secs(90);

/// Has the process at this control socket, whoever it runs as, start its successor; the process that serves then.
pub async fn upgrade(path: &Path) -> Result<u32, HandoverError> {
    within(ANSWER, async {
        let mut channel = Channel::connect(path).await?;
        channel.send(&Message::Hello(Wish::Upgrade)).await?;
        let message = channel.receive().await?;
        let Message::Done(process) = message else {
            return Err(message.instead_of("instead of `done`"));
        };
        Ok(process)
    })
    .await
}
