//! Downloads a file into a folder. It resumes what an earlier run left, and refuses a file with another hash.

use crate::sha256_hex::Sha256Hex;
use anyhow::{Context, anyhow, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{ACCEPT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE},
};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

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
    /// Sent with each request: who asks.
    pub(crate) headers: HeaderMap,
    /// None: whatever comes.
    pub(crate) sha256: Option<Sha256Hex>,
    pub(crate) bytes: Option<u64>,
    /// More is refused.
    pub(crate) most_bytes: u64,
    /// Whether what an earlier run left is gone on with where only the server's word, and no hash, says that it is of the same version.
    pub(crate) resumes_version: bool,
    /// What to do where it can't be fetched.
    pub(crate) instead: &'static str,
}

impl Wanted {
    fn most_bytes(&self) -> u64 {
        self.bytes.unwrap_or(self.most_bytes)
    }
}

/// A file that is complete, and locked until this is dropped.
#[derive(Debug)]
pub(crate) struct Complete {
    pub(crate) path: PathBuf,
    pub(crate) sha256: Sha256Hex,
    pub(crate) bytes: u64,
    /// What the server called this content.
    pub(crate) version: Option<String>,
    _lock: File,
}

impl Complete {
    /// Removes it, once it is stored elsewhere.
    pub(crate) fn remove(self) {
        // What stays is in nobody's way: the next fetch begins with it.
        fs::remove_file(&self.path).ok();
        fs::remove_file(version_file(&self.path)).ok();
    }
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
    let mut part =
        Part::open(path.clone(), wanted.resumes_version).with_context(|| format!("cannot use {}", path.display()))?;
    let of_earlier_run = part.bytes > 0;
    let is_known = wanted.sha256.is_some() || part.version.is_some();
    if !is_known || part.bytes > wanted.most_bytes() {
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
    part.check_crc32c(wanted)?;
    part.file.sync_all().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Some(Complete { path, sha256, bytes: part.bytes, version: part.version, _lock: lock }))
}

/// [`fetch`] with a bar on a terminal that shows how far it is.
pub(crate) async fn fetch_shown(
    wanted: &Wanted,
    folder: &Path,
    name: &str,
    settled: impl FnOnce() -> anyhow::Result<bool>,
) -> anyhow::Result<Option<Complete>> {
    let bar = ProgressBar::no_length().with_style(style()).with_prefix(name.to_owned());
    let show = |bytes: u64, total: Option<u64>| {
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(bytes);
    };
    let fetched = fetch(wanted, folder, settled, &show).await;
    bar.finish_and_clear();
    fetched
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{prefix} {bar:24} {bytes} of {total_bytes}, {bytes_per_sec}");
    // A template that does not parse would be a bug of this line; the plain style serves as well.
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// What the server calls the version that it has now, read with the first byte of it. None where it does not say, or not now.
pub(crate) async fn version(url: &Url, headers: &HeaderMap) -> anyhow::Result<Option<String>> {
    let request = client()?.get(url.clone()).headers(headers.clone());
    let request = request.header(ACCEPT_ENCODING, "identity").header(RANGE, "bytes=0-0");
    let answer = request.send().await.map_err(reqwest::Error::without_url);
    Ok(answer.ok().filter(|answer| answer.status().is_success()).and_then(|answer| version_in(answer.headers())))
}

/// A strong entity tag, or else when it was changed last.
fn version_in(headers: &HeaderMap) -> Option<String> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    header(ETAG).filter(|etag| !etag.starts_with("W/")).or_else(|| header(LAST_MODIFIED)).map(str::to_owned)
}

/// The file that records the version of a partial download.
fn version_file(part: &Path) -> PathBuf {
    part.with_extension("version")
}

fn client() -> anyhow::Result<Client> {
    // Proxies are those of the environment: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY.
    Ok(Client::builder()
        .user_agent(concat!("trackdrop/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(SILENT_FOR)
        .build()?)
}

/// Waits until no other process downloads the same file.
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

/// Repeats requests until the file is complete; returns its hash.
async fn receive_all(
    wanted: &Wanted,
    part: &mut Part,
    progress: &dyn Fn(u64, Option<u64>),
) -> anyhow::Result<Sha256Hex> {
    let client = client()?;
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
            let is_kept = wanted.sha256.is_some() || (wanted.resumes_version && part.version.is_some());
            let kept = if is_kept { " Run the command again: it resumes the download." } else { "" };
            return Err(error.context(format!(
                "{} was not fetched: {} bytes arrived in {request} requests.{kept} If it can't be reached from here, set HTTPS_PROXY, or {}",
                shown(&wanted.url),
                part.bytes,
                wanted.instead
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
    version: Option<String>,
    /// Whether that is noted beside it, for later runs.
    is_noted: bool,
    /// CRC32C of the whole, where the server says it: Cloud Storage does.
    crc32c: Option<u32>,
}

/// An answer whose head was looked at.
enum Begun {
    /// Its body continues from here; how many bytes the whole file has.
    Body(Option<u64>),
    /// There is nothing more.
    Complete,
}

impl Part {
    fn open(path: PathBuf, is_noted: bool) -> io::Result<Self> {
        let version = fs::read_to_string(version_file(&path)).ok().filter(|_| is_noted);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        let mut bytes = 0;
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(Self { path, file, bytes, hasher, version, is_noted, crc32c: None });
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
        (self.bytes, self.hasher, self.version, self.crc32c) = (0, Sha256::new(), None, None);
        fs::remove_file(version_file(&self.path)).ok();
        Ok(())
    }

    /// Compares the downloaded bytes with the server's CRC32C.
    fn check_crc32c(&mut self, wanted: &Wanted) -> anyhow::Result<()> {
        let Some(stated) = self.crc32c else { return Ok(()) };
        let failed = || format!("cannot read {}", self.path.display());
        let (mut crc32c, mut buffer) = (0, vec![0; 1 << 20]);
        self.file.seek(SeekFrom::Start(0)).with_context(failed)?;
        loop {
            match self.file.read(&mut buffer).with_context(failed)? {
                0 => break,
                read => crc32c = crc32c::crc32c_append(crc32c, &buffer[..read]),
            }
        }
        if crc32c != stated {
            let bytes = self.bytes;
            self.clear()?;
            bail!(
                "{} gave {bytes} bytes with the CRC32C {crc32c:08x}, and says itself that it is {stated:08x}: the download was changed on its \
                 way. Run the command again",
                shown(&wanted.url)
            );
        }
        Ok(())
    }

    /// One request for the missing bytes.
    async fn receive(
        &mut self,
        client: &Client,
        wanted: &Wanted,
        progress: &dyn Fn(u64, Option<u64>),
    ) -> Result<(), Trouble> {
        // Only a hash or the server's own word makes two halves one file.
        if wanted.sha256.is_none() && self.version.is_none() {
            self.clear().map_err(Trouble::Lasting)?;
        }
        let mut request = client.get(wanted.url.clone()).headers(wanted.headers.clone());
        request = request.header(ACCEPT_ENCODING, "identity");
        if self.bytes > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.bytes));
            if let Some(version) = self.version.as_ref().filter(|_| wanted.sha256.is_none()) {
                request = request.header(IF_RANGE, version);
            }
        }
        let sent = request.send().await.map_err(reqwest::Error::without_url);
        let mut response = sent.map_err(|error| {
            let is_lasting = error.is_builder() || error.is_redirect();
            let error = anyhow::Error::new(error).context(format!("{} can't be asked", shown(&wanted.url)));
            if is_lasting { Trouble::Lasting(error) } else { Trouble::Passing(error) }
        })?;
        let Begun::Body(total) = self.begin(&response, wanted)? else { return Ok(()) };
        loop {
            let chunk = response.chunk().await.map_err(reqwest::Error::without_url);
            let Some(chunk) = chunk.context("the download broke off").map_err(Trouble::Passing)? else { break };
            let most = total.unwrap_or(wanted.most_bytes());
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
            Some(total) => Err(Trouble::Passing(anyhow!("{} of {total} bytes arrived", self.bytes))),
            None => Ok(()),
        }
    }

    /// Looks at the head of an answer.
    fn begin(&mut self, response: &Response, wanted: &Wanted) -> Result<Begun, Trouble> {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let url = shown(&wanted.url);
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                // bytes FIRST-LAST/TOTAL
                let first = header(CONTENT_RANGE)
                    .and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
                if first != Some(self.bytes) {
                    self.clear().map_err(Trouble::Lasting)?;
                    return Err(Trouble::Passing(anyhow!("{url} returned another part than was requested")));
                }
            }
            // The server has no parts, or the file is another one now.
            StatusCode::OK => self.clear().map_err(Trouble::Lasting)?,
            StatusCode::RANGE_NOT_SATISFIABLE if self.is_all(response.headers(), wanted) => return Ok(Begun::Complete),
            StatusCode::RANGE_NOT_SATISFIABLE if self.bytes > 0 => {
                self.clear().map_err(Trouble::Lasting)?;
                return Err(Trouble::Passing(anyhow!("{url} has less than an earlier run fetched")));
            }
            status if status.is_server_error() || [408, 425, 429].contains(&status.as_u16()) => {
                return Err(Trouble::Passing(anyhow!("{url} answers {status}")));
            }
            status => {
                let remedy = match status.as_u16() {
                    401 | 403 => format!("it needs a login, or you have no access; {}", wanted.instead),
                    404 | 410 => "it does not exist (any more); look for it at its publisher".to_owned(),
                    _ => wanted.instead.to_owned(),
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
        self.version = version_in(response.headers());
        self.crc32c = stated_crc32c(response.headers());
        if let Some(version) = self.version.as_ref().filter(|_| self.is_noted) {
            let noted = fs::write(version_file(&self.path), version);
            noted.with_context(|| format!("cannot write {}", self.path.display())).map_err(Trouble::Lasting)?;
        }
        let total = response.content_length().map(|rest| self.bytes + rest);
        let most = wanted.most_bytes();
        match total {
            Some(total) if total > most => Err(Trouble::Lasting(anyhow!(
                "{url} has {total} bytes; expected were {most} at most, so it is another file"
            ))),
            _ => Ok(Begun::Body(total)),
        }
    }

    /// Whether a server that has nothing more to give has given all: it was asked for the rest of the version that is here.
    fn is_all(&self, headers: &HeaderMap, wanted: &Wanted) -> bool {
        let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        let total: Option<u64> = range.and_then(|range| range.strip_prefix("bytes */")?.parse().ok());
        let is_other = version_in(headers).is_some_and(|version| self.version.as_ref() != Some(&version));
        wanted.sha256.is_none() && self.version.is_some() && total == Some(self.bytes) && !is_other
    }
}

/// The CRC32C that Cloud Storage states of what it sends: `x-goog-hash: crc32c=BASE64`, big end first.
fn stated_crc32c(headers: &HeaderMap) -> Option<u32> {
    if headers.get("x-goog-stored-content-encoding").is_some_and(|encoding| encoding != "identity") {
        return None;
    }
    let stated = headers.get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok());
    let hash = stated.flat_map(|value| value.split(',')).find_map(|hash| hash.trim().strip_prefix("crc32c="))?;
    Some(u32::from_be_bytes(BASE64_STANDARD.decode(hash).ok()?.try_into().ok()?))
}
