//! Connections of callers. The connection of a caller that sends nothing is closed.

use axum::{Router, body::Body, extract::Request, serve::Listener};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{net::IpAddr, pin::pin, time::Duration};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// How long the head of an HTTP request may take to arrive, and how long a connection may wait for the next request.
pub(crate) const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// The caller of a request's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Answers HTTP/1.1 requests until `stop` ends. Then it accepts no more connections, and waits until all open ones have
/// their answers.
pub(crate) async fn serve(mut listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let (connections, stopping, mut stop) = (TaskTracker::new(), CancellationToken::new(), pin!(stop));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    loop {
        let (stream, address) = tokio::select! {
            biased;
            () = &mut stop => break,
            // Continues after a connection that it can't accept.
            accepted = Listener::accept(&mut listener) => accepted,
        };
        let (router, peer) = (router.clone(), Peer(address.ip()));
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request)
        });
        let (connection, stopping) = (http.serve_connection(TokioIo::new(stream), answer), stopping.clone());
        connections.spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%address, "a connection ended: {error}");
            }
        });
    }
    drop(listener);
    stopping.cancel();
    connections.close();
    connections.wait().await;
}
