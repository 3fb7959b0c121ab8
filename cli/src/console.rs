//! `trackdrop console`: a page over the data directory.

use crate::{
    args::ConsoleArguments,
    host::{cloud_of, limits, open_data},
    output::line,
    workshop::Workshop,
};
use anyhow::Context;
use std::{
    net::Ipv4Addr,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use trackdrop_cloud::local::LocalCloud;
use trackdrop_console::{Console, Drops, Incoming, Token, serve};

pub(crate) async fn console(data: &Path, arguments: &ConsoleArguments) -> anyhow::Result<()> {
    let local = open_data(data)?;
    let token = Token::random()?;
    // Loopback only: the page has no other lock than the token.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port)).await.with_context(|| {
        format!("port {} of 127.0.0.1 can't be used: give another --port, or 0 for any that is free", arguments.port)
    })?;
    let port = listener.local_addr()?.port();
    let address = format!("http://127.0.0.1:{port}/?token={}", token.as_str());
    let workshop = Arc::new(Workshop::open(local.clone(), arguments.model.as_deref())?);
    let console = Console::new(cloud_of(&local), local.clone(), limits()?, token)?;
    let console = console.with_drops(drops(&local, &workshop)?);
    let (told, mut stop) = watch::channel(false);
    let working = tokio::spawn({
        let (workshop, stop) = (workshop.clone(), stop.clone());
        async move { workshop.run(stop).await }
    });
    line!("{address}");
    if !arguments.no_open {
        open(&address);
    }
    tokio::spawn(async move {
        stopped().await;
        told.send_replace(true);
    });
    let served = serve(listener, console, async move {
        // Nobody else could tell.
        stop.wait_for(|stop| *stop).await.ok();
    });
    served.await.context("the page can't be served any longer")?;
    working.await.context("the work on requests ended without an answer")
}

/// The part that accepts videos. A second console of the same data directory accepts none, and says so on its page.
fn drops(local: &LocalCloud, workshop: &Arc<Workshop>) -> anyhow::Result<Result<Drops, String>> {
    let incoming = Incoming::open(&local.incoming(), limits()?.max_bytes);
    Ok(match incoming {
        Ok(incoming) => Ok(Drops { incoming, works: workshop.clone() }),
        Err(error) => Err(error.to_string()),
    })
}

/// Waits until the process is asked to stop. If signals can't be received, it runs until it is killed.
async fn stopped() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Opens the address in the browser of this desktop, where there is one. The address was printed, so that nothing is lost where there is none.
fn open(address: &str) {
    Command::new("xdg-open").arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok();
}
