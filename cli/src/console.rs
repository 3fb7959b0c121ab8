//! `trackdrop console`: a page over the data directory.

use crate::{
    args::ConsoleArguments,
    host::{cloud_of, limits, open_existing},
    output::line,
};
use anyhow::{Context, anyhow};
use std::{
    net::Ipv4Addr,
    path::Path,
    process::{Command, Stdio},
};
use tokio::net::TcpListener;
use trackdrop_console::{Console, Token, serve};

pub(crate) async fn console(data: &Path, arguments: &ConsoleArguments) -> anyhow::Result<()> {
    let local = open_existing(data)?.ok_or_else(|| {
        anyhow!("{data:?} is no data directory: process a video first (trackdrop run VIDEO), or give --data")
    })?;
    let token = Token::random()?;
    // Loopback only: the page has no other lock than the token.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port)).await.with_context(|| {
        format!("port {} of 127.0.0.1 can't be used: give another --port, or 0 for any that is free", arguments.port)
    })?;
    let port = listener.local_addr()?.port();
    let address = format!("http://127.0.0.1:{port}/?token={}", token.as_str());
    let console = Console::new(cloud_of(&local), local.clone(), limits()?, token)?;
    line!("{address}");
    if !arguments.no_open {
        open(&address);
    }
    serve(listener, console, async {
        // Without the signal the page is served until the process is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
    .await
    .context("the page can't be served any longer")
}

/// Opens the address in the browser of this desktop, where there is one. The address was printed, so that nothing is lost where there is none.
fn open(address: &str) {
    Command::new("xdg-open").arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok();
}
