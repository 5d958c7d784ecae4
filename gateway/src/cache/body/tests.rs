//! Read while it is written, in parts, by slow readers.

use std::sync::Arc;

use super::*;

async fn read_all(body: &Body, reader: &mut Position) -> Result<Vec<u8>, Lost> {
    let mut all = Vec::new();
    while let Some(piece) = body.read(reader).await? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

#[test]
fn is_read_while_it_is_written() {
    runtime().block_on(async {
        let body = Arc::new(Body::default());
        let reader = tokio::spawn({
            let body = body.clone();
            async move { read_all(&body, &mut Position::default()).await }
        });
        for piece in ["one ", "two ", "three"] {
            body.push(Bytes::from_static(piece.as_bytes()));
            tokio::task::yield_now().await;
        }
        body.finish();
        assert_eq!(reader.await.unwrap(), Ok(b"one two three".to_vec()));
        assert_eq!(body.whole().unwrap().pieces().len(), 1);
    });
}

#[test]
fn a_range_is_cut_out() {
    runtime().block_on(async {
        let body = Body::default();
        let (one, two) = (vec![1; ONE_PIECE], vec![2; 10]);
        body.push(one.into());
        body.push(two.into());
        body.finish();
        let mut reader = Position::default();
        reader.seek(ONE_PIECE - 1, Some(ONE_PIECE + 2));
        assert_eq!(read_all(&body, &mut reader).await, Ok(vec![1, 2, 2]));
    });
}

#[test]
fn what_breaks_off_is_never_whole() {
    runtime().block_on(async {
        let body = Body::default();
        body.push(Bytes::from_static(b"part"));
        let mut reader = Position::default();
        assert_eq!(
            body.read(&mut reader).await,
            Ok(Some(Bytes::from_static(b"part")))
        );
        body.break_off();
        assert_eq!(body.read(&mut reader).await, Err(Lost::Broken));
        assert!(body.whole().is_none());
    });
}

#[test]
fn what_passes_through_waits_for_its_readers_and_is_not_kept() {
    runtime().block_on(async {
        let body = Arc::new(Body::default());
        let mut reader = Position::default();
        body.push(Bytes::from_static(b"first"));
        body.read(&mut reader).await.unwrap();
        body.pass_through();
        body.push(vec![0; PASSING_MAX + 1].into());
        let room = tokio::spawn({
            let body = body.clone();
            async move { body.has_room().await }
        });
        tokio::task::yield_now().await;
        assert!(!room.is_finished());
        body.read(&mut reader).await.unwrap();
        room.await.unwrap();
        assert_eq!(body.read(&mut Position::default()).await, Err(Lost::Gone));
        body.finish();
        assert_eq!(body.read(&mut reader).await, Ok(None));
        assert!(body.whole().is_none());
    });
}
