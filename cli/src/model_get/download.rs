//! A file from the web into a folder: what an earlier run left is gone on with, and nothing is believed that has another hash.

use super::Sha256Hex;
use anyhow::{Context, anyhow, bail};
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{ACCEPT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE},
};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

/// No detector is larger.
const MOST_BYTES: u64 = 4 << 30;
/// How often a server is asked in one run, and how often in a row without a byte.
const REQUESTS: u32 = 20;
const REQUESTS_IN_VAIN: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const CONNECT_WITHIN: Duration = Duration::from_secs(30);
/// A server that sends nothing for so long has gone.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// What is to be fetched.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) url: Url,
    /// None: any content; then this can't recognise what an earlier run left.
    pub(crate) sha256: Option<Sha256Hex>,
    pub(crate) bytes: Option<u64>,
}

/// A file that is complete, and locked until this is dropped.
#[derive(Debug)]
pub(crate) struct Complete {
    pub(crate) path: PathBuf,
    pub(crate) sha256: Sha256Hex,
    pub(crate) bytes: u64,
    _lock: File,
}

/// Why a request brought nothing, or not all.
enum Trouble {
    /// The next one may.
    Passing(anyhow::Error),
    Lasting(anyhow::Error),
}

/// The address without what may be secret in it.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for addresses that can't have them.
    url.set_username("").ok();
    url.set_password(None).ok();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// Fetches a file into `folder/.parts`, where it stays until somebody renames it.
///
/// `settled` is asked once nobody else fetches it: it may have come meanwhile, and then there is none.
///
/// # Errors
///
/// The server does not give it, gives something else, or the disk fails. What has come by then stays, unless it is wrong.
pub(crate) async fn fetch(
    wanted: &Wanted,
    folder: &Path,
    settled: impl FnOnce() -> anyhow::Result<bool>,
    progress: &dyn Fn(u64, Option<u64>),
) -> anyhow::Result<Option<Complete>> {
    let parts = folder.join(".parts");
    fs::create_dir_all(&parts).with_context(|| format!("cannot make the folder {}", parts.display()))?;
    let key = Sha256Hex::of(wanted.url.as_str().as_bytes()).to_string();
    let path = parts.join(&key[..32]);
    let lock = lock(&path.with_extension("lock"))?;
    if settled()? {
        return Ok(None);
    }
    let mut part = Part::open(path.clone()).with_context(|| format!("cannot use {}", path.display()))?;
    let of_earlier_run = part.bytes > 0;
    if wanted.sha256.is_none() || part.bytes > wanted.bytes.unwrap_or(MOST_BYTES) {
        part.clear()?;
    }
    let mut sha256 = part.sha256();
    if part.bytes == 0 || Some(sha256) != wanted.sha256 {
        sha256 = receive_all(wanted, &mut part, progress).await?;
        if of_earlier_run && wanted.sha256.is_some_and(|pinned| pinned != sha256) {
            // The first half may be of another file than the second.
            part.clear()?;
            sha256 = receive_all(wanted, &mut part, progress).await?;
        }
    }
    if let Some(pinned) = wanted.sha256.filter(|pinned| *pinned != sha256) {
        let bytes = part.bytes;
        part.clear()?;
        bail!(
            "{} gave {bytes} bytes with the sha256 {sha256}, not {pinned}: nothing was installed. The download was changed on its way, \
             or the publisher replaced the file; do not use it before you know which",
            shown(&wanted.url)
        );
    }
    part.file.sync_all().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Some(Complete { path, sha256, bytes: part.bytes, _lock: lock }))
}

/// Waits until no other process fetches the same.
fn lock(path: &Path) -> anyhow::Result<File> {
    let failed = || format!("cannot lock {}", path.display());
    let file = OpenOptions::new().create(true).append(true).open(path).with_context(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("another trackdrop fetches it; waiting");
            file.lock().with_context(failed)?;
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
    }
    Ok(file)
}

/// Asks until all of it is there; gives its hash.
async fn receive_all(
    wanted: &Wanted,
    part: &mut Part,
    progress: &dyn Fn(u64, Option<u64>),
) -> anyhow::Result<Sha256Hex> {
    // Proxies are those of the environment: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY.
    let client = Client::builder()
        .user_agent(concat!("trackdrop/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(SILENT_FOR)
        .build()?;
    let mut in_vain = 0;
    for request in 1.. {
        let before = part.bytes;
        let error = match part.receive(&client, wanted, progress).await {
            Ok(()) => break,
            Err(Trouble::Lasting(error)) => return Err(error),
            Err(Trouble::Passing(error)) => error,
        };
        in_vain = if part.bytes > before { 0 } else { in_vain + 1 };
        if in_vain == REQUESTS_IN_VAIN || request == REQUESTS {
            let kept = if wanted.sha256.is_some() { " Run the command again: it resumes the download." } else { "" };
            return Err(error.context(format!(
                "{} was not fetched: {} bytes have come in {request} requests.{kept} If it can't be reached from here, set HTTPS_PROXY, or \
                 fetch it elsewhere and give the file to --model",
                shown(&wanted.url),
                part.bytes
            )));
        }
        if in_vain > 0 {
            tokio::time::sleep(FIRST_WAIT * 2u32.pow(in_vain - 1)).await;
        }
    }
    Ok(part.sha256())
}

/// What has come so far, on disk.
struct Part {
    path: PathBuf,
    file: File,
    bytes: u64,
    hasher: Sha256,
    /// What the server called the version of which this is the beginning.
    etag: Option<String>,
}

impl Part {
    fn open(path: PathBuf) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        let mut bytes = 0;
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(Self { path, file, bytes, hasher, etag: None });
            }
            hasher.update(&buffer[..read]);
            bytes += read as u64;
        }
    }

    fn sha256(&self) -> Sha256Hex {
        Sha256Hex(self.hasher.clone().finalize().into())
    }

    fn clear(&mut self) -> anyhow::Result<()> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.with_context(|| format!("cannot write {}", self.path.display()))?;
        (self.bytes, self.hasher, self.etag) = (0, Sha256::new(), None);
        Ok(())
    }

    /// One request for what is missing.
    async fn receive(
        &mut self,
        client: &Client,
        wanted: &Wanted,
        progress: &dyn Fn(u64, Option<u64>),
    ) -> Result<(), Trouble> {
        // Only a hash or the server's own word makes two halves one file.
        if wanted.sha256.is_none() && self.etag.is_none() {
            self.clear().map_err(Trouble::Lasting)?;
        }
        let mut request = client.get(wanted.url.clone()).header(ACCEPT_ENCODING, "identity");
        if self.bytes > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.bytes));
            if let Some(etag) = self.etag.as_ref().filter(|_| wanted.sha256.is_none()) {
                request = request.header(IF_RANGE, etag);
            }
        }
        let sent = request.send().await.map_err(reqwest::Error::without_url);
        let mut response = sent.map_err(|error| {
            let is_lasting = error.is_builder() || error.is_redirect();
            let error = anyhow::Error::new(error).context(format!("{} can't be asked", shown(&wanted.url)));
            if is_lasting { Trouble::Lasting(error) } else { Trouble::Passing(error) }
        })?;
        let total = self.begin(&response, wanted)?;
        loop {
            let chunk = response.chunk().await.map_err(reqwest::Error::without_url);
            let Some(chunk) = chunk.context("the download broke off").map_err(Trouble::Passing)? else { break };
            let most = total.or(wanted.bytes).unwrap_or(MOST_BYTES);
            if self.bytes + chunk.len() as u64 > most {
                self.clear().map_err(Trouble::Lasting)?;
                return Err(Trouble::Lasting(anyhow!("{} gives more than {most} bytes", shown(&wanted.url))));
            }
            let written = self.file.write_all(&chunk);
            // What is on disk and what was counted must stay the same, so this one can't be gone on with.
            if let Err(error) = written {
                drop(self.clear());
                let error = anyhow::Error::new(error).context(format!("cannot write {}", self.path.display()));
                return Err(Trouble::Lasting(error));
            }
            self.hasher.update(&chunk);
            self.bytes += chunk.len() as u64;
            progress(self.bytes, total);
        }
        match total.filter(|total| *total != self.bytes) {
            Some(total) => Err(Trouble::Passing(anyhow!("{} of {total} bytes have come", self.bytes))),
            None => Ok(()),
        }
    }

    /// Looks at the head of an answer; gives how many bytes the whole file has.
    fn begin(&mut self, response: &Response, wanted: &Wanted) -> Result<Option<u64>, Trouble> {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let url = shown(&wanted.url);
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                // bytes FIRST-LAST/TOTAL
                let first = header(CONTENT_RANGE)
                    .and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
                if first != Some(self.bytes) {
                    self.clear().map_err(Trouble::Lasting)?;
                    return Err(Trouble::Passing(anyhow!("{url} gave another part than it was asked for")));
                }
            }
            // The server has no parts, or the file is another one now.
            StatusCode::OK => self.clear().map_err(Trouble::Lasting)?,
            StatusCode::RANGE_NOT_SATISFIABLE if self.bytes > 0 => {
                self.clear().map_err(Trouble::Lasting)?;
                return Err(Trouble::Passing(anyhow!("{url} has less than an earlier run fetched")));
            }
            status if status.is_server_error() || [408, 425, 429].contains(&status.as_u16()) => {
                return Err(Trouble::Passing(anyhow!("{url} answers {status}")));
            }
            status => {
                let remedy = match status.as_u16() {
                    401 | 403 => {
                        "it wants a login or is closed to you; fetch it in a browser and give the file to --model"
                    }
                    404 | 410 => "it is not there (any more); look for it at its publisher's",
                    _ => "fetch it elsewhere and give the file to --model",
                };
                return Err(Trouble::Lasting(anyhow!("{url} answers {status}: {remedy}")));
            }
        }
        if header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html")) {
            return Err(Trouble::Lasting(anyhow!(
                "{url} is a web page, not a file: give the address of the download itself (at Hugging Face it has /resolve/ in it, at \
                 GitHub /raw/ or /releases/download/)"
            )));
        }
        self.etag = header(ETAG).filter(|etag| !etag.starts_with("W/")).map(str::to_owned);
        let total = response.content_length().map(|rest| self.bytes + rest);
        let most = wanted.bytes.unwrap_or(MOST_BYTES);
        match total {
            Some(total) if total > most => Err(Trouble::Lasting(anyhow!(
                "{url} has {total} bytes; expected were {most} at most, so it is another file"
            ))),
            _ => Ok(total),
        }
    }
}
