//! Bodies that are too long, too slow, or do not end.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt as _, stream};

use super::*;

const MEBIBYTE: u64 = 1 << 20;

/// A body of this many mebibytes, and how many of them were taken.
fn body(mebibytes: usize) -> (Body, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let piece = Bytes::from(vec![b' '; 1 << 20]);
    let frames = stream::iter(0..mebibytes).map(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok::<_, Infallible>(piece.clone())
    });
    (Body::from_stream(frames), taken)
}

#[tokio::test]
async fn a_gibibyte_is_refused_once_it_is_too_long() {
    let desk = Desk::with(|it| it.limits.upload_bytes = 4 * MEBIBYTE).await;
    let (long, taken) = body(1024);
    let reply = desk.post_body(BASE, MULTIPART, long).await;
    assert_eq!(reply.error(), (413, "MALFORMED_UPLOAD".to_owned()));
    assert_eq!(reply.json()["errors"][0]["detail"], "an update has 4194304 bytes at most");
    assert_eq!(taken.load(Ordering::SeqCst), 5);
    // Where the length is told, not a byte is read.
    let told = Body::from(vec![b' '; 5 << 20]);
    assert_eq!(desk.post_body(BASE, MULTIPART, told).await.status, 413);
    // What is as long as it may be is read, and is no upload.
    let (longest, taken) = body(4);
    let reply = desk.post_body(BASE, MULTIPART, longest).await;
    assert_eq!(reply.error(), (400, "MALFORMED_UPLOAD".to_owned()));
    assert_eq!(taken.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn all_uploads_together_have_a_budget() {
    let desk = Arc::new(
        Desk::with(|it| {
            it.limits.upload_bytes = 4 * MEBIBYTE;
            it.limits.uploads_bytes = 6 * MEBIBYTE;
        })
        .await,
    );
    // One that has sent three mebibytes, and waits.
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let (arrived, here) = tokio::sync::oneshot::channel::<()>();
    let first = body(3).0.into_data_stream();
    let waiting = stream::once(async move {
        arrived.send(()).unwrap();
        ended.await.unwrap();
        Ok(Bytes::new())
    });
    let first = Body::from_stream(first.chain(waiting));
    let other = Arc::clone(&desk);
    let first = tokio::spawn(async move { other.post_body(BASE, MULTIPART, first).await });
    here.await.unwrap();
    let reply = desk.post_body(BASE, MULTIPART, body(4).0).await;
    assert_eq!(reply.error(), (503, "UNKNOWN".to_owned()));
    assert_eq!(reply.header(RETRY_AFTER), Some("5"));
    assert_eq!(desk.post_body(BASE, MULTIPART, body(2).0).await.status, 400);
    end.send(()).unwrap();
    assert_eq!(first.await.unwrap().status, 400);
    assert_eq!(desk.post_body(BASE, MULTIPART, body(4).0).await.status, 400);
}

#[tokio::test]
async fn whoever_sends_nothing_is_not_waited_for() {
    let desk = Desk::new().await;
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let silent = Body::from_stream(body(1).0.into_data_stream().chain(stream::pending()));
    let reply = desk.post_body(BASE, MULTIPART, silent).await;
    assert_eq!(reply.error(), (408, "MALFORMED_UPLOAD".to_owned()));
    assert_eq!(started.elapsed().as_secs(), 30);
    // A byte now and then makes it no better.
    let started = tokio::time::Instant::now();
    let slow = stream::repeat(()).then(|()| async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        Ok::<_, Infallible>(Bytes::from_static(b"-"))
    });
    let reply = desk.post_body(BASE, MULTIPART, Body::from_stream(slow)).await;
    assert_eq!(reply.error(), (503, "UNKNOWN".to_owned()));
    assert_eq!(started.elapsed().as_secs(), 300);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_upload() {
    let desk = Desk::new().await;
    let broken = stream::iter([Ok(Bytes::from_static(b"--b\r\n")), Err("the line is cut")]);
    let reply = desk.post_body(BASE, MULTIPART, Body::from_stream(broken)).await;
    assert_eq!(reply.error(), (400, "MALFORMED_UPLOAD".to_owned()));
}
