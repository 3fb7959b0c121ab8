//! A video at an address. It is downloaded into the data directory, so that a download that breaks off resumes in the next run,
//! and uploaded from there.

use crate::{
    download::{self, Wanted, fetch_shown, shown},
    host,
    sha256_hex::Sha256Hex,
    upload::{self, Uploaded},
};
use anyhow::{Context, bail};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::{Url, header::HeaderMap};
use std::collections::BTreeMap;
use trackdrop_cloud::{
    ObjectInfo, Storage,
    google::{Identity, check_endpoint, variable},
    local::LocalCloud,
};
use trackdrop_pipeline::{
    Bucket, RequestSettings,
    names::{LONGEST_SHOWN, ObjectName, cut},
};

const GOOGLE: &str = "https://storage.googleapis.com";
/// Custom metadata of an upload that was fetched: the hash of its whole address, which may hold a secret.
const FROM_KEY: &str = "trackdrop-from";
/// What the server called the version that was fetched.
const VERSION_KEY: &str = "trackdrop-from-version";

/// Where a video is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Where it is fetched from.
    url: Url,
    /// Its file name.
    name: String,
    /// Whether it is an object of Cloud Storage, which is fetched with the caller's credentials.
    is_google: bool,
    /// Whether Cloud Storage is an emulator of it, which knows no credentials.
    is_emulated: bool,
}

impl Address {
    /// The address that a word is; none where it is of a kind that can't be fetched.
    ///
    /// # Errors
    /// It is malformed, or has no file name.
    pub(crate) fn parse(word: &str) -> anyhow::Result<Option<Self>> {
        let told = || format!("{:?} is not the address of a file", cut(word, LONGEST_SHOWN));
        let (scheme, rest) = word.split_once("://").with_context(told)?;
        let address = match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => {
                let url = Url::parse(word).with_context(told)?;
                let last = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
                let name = percent_decode_str(last).decode_utf8().with_context(told)?.into_owned();
                // The parser forgives an address without a host.
                if rest.starts_with('/') {
                    bail!("{}: it names no server", told());
                }
                Self { url, name, is_google: false, is_emulated: false }
            }
            "gs" => {
                let (bucket, object) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    bail!("{}: it names no bucket", told());
                }
                let (endpoint, is_emulated) = google_endpoint()?;
                let [bucket, path] = [bucket, object].map(|part| utf8_percent_encode(part, NON_ALPHANUMERIC));
                let url = format!("{endpoint}/storage/v1/b/{bucket}/o/{path}?alt=media");
                let name = object.rsplit('/').next().unwrap_or_default().to_owned();
                Self { url: Url::parse(&url).with_context(told)?, name, is_google: true, is_emulated }
            }
            _ => return Ok(None),
        };
        let is_usable =
            |name: &str| !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']) && name.len() <= 255;
        if !is_usable(&address.name) {
            bail!("{}: it must end in the name of a file", told());
        }
        Ok(Some(address))
    }

    /// Its file name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Fetches it into `uploads`, unless it is there in the version that its server has now.
    pub(crate) async fn upload(&self, cloud: &LocalCloud, settings: &RequestSettings) -> anyhow::Result<Uploaded> {
        let headers = self.headers().await?;
        if let Some(known) = self.known(cloud).await? {
            let version = download::version(&self.url, &headers).await?;
            if version.is_some() && version.as_ref() == known.metadata.get(VERSION_KEY) {
                return Ok(Uploaded::before(known));
            }
        }
        let wanted = Wanted {
            url: self.url.clone(),
            headers,
            sha256: None,
            bytes: None,
            most_bytes: host::limits()?.max_bytes,
            resumes_version: true,
            instead: match self.is_google {
                true => {
                    "log in with `gcloud auth application-default login` (the account needs storage.objects.get), or fetch it with \
                     `gcloud storage cp` and give the file"
                }
                false => "fetch it in another way and give the file",
            },
        };
        let fetched = fetch_shown(&wanted, &cloud.root().join("downloads"), &self.name, || Ok(false)).await?;
        let complete = fetched.with_context(|| format!("{} was not fetched", shown(&self.url)))?;
        let mut from = BTreeMap::new();
        if let Some(version) = &complete.version {
            from.insert(FROM_KEY.to_owned(), self.key());
            from.insert(VERSION_KEY.to_owned(), version.clone());
        }
        let sha256 = complete.sha256.to_string();
        let uploaded = upload::upload_fetched(cloud, &complete.path, &self.name, &sha256, from, settings).await?;
        complete.remove();
        Ok(uploaded)
    }

    fn key(&self) -> String {
        Sha256Hex::of(self.url.as_str().as_bytes()).to_string()
    }

    /// The last upload that was downloaded from this address.
    async fn known(&self, cloud: &LocalCloud) -> anyhow::Result<Option<ObjectInfo>> {
        let key = self.key();
        let uploads = cloud.list(&ObjectName::new(Bucket::Uploads, "")).await?;
        let from_here = uploads.into_iter().filter(|info| info.metadata.get(FROM_KEY) == Some(&key));
        Ok(from_here.max_by_key(|info| info.generation))
    }

    /// The credentials of the request: for Cloud Storage those of the machine, or none, with which public objects can be read.
    async fn headers(&self) -> anyhow::Result<HeaderMap> {
        if !self.is_google || self.is_emulated {
            return Ok(HeaderMap::new());
        }
        let identity = match Identity::default_account() {
            Ok(identity) => identity,
            Err(error) => {
                eprintln!("{error}; {} is asked for as nobody", self.name.escape_debug());
                return Ok(HeaderMap::new());
            }
        };
        Ok(identity.headers().await.unwrap_or_else(|reason| {
            eprintln!("{reason}; {} is asked for as nobody", self.name.escape_debug());
            HeaderMap::new()
        }))
    }
}

/// Where Cloud Storage is, as for the services (docs/services.md), and whether that is an emulator.
fn google_endpoint() -> anyhow::Result<(String, bool)> {
    if let Some(emulator) = variable("STORAGE_EMULATOR_HOST")? {
        let url = if emulator.contains("://") { emulator } else { format!("http://{emulator}") };
        return Ok((url.trim_end_matches('/').to_owned(), true));
    }
    Ok(match variable("TRACKDROP_STORAGE_ENDPOINT")? {
        Some(endpoint) => (check_endpoint("TRACKDROP_STORAGE_ENDPOINT", &endpoint)?, false),
        None => (GOOGLE.to_owned(), false),
    })
}
