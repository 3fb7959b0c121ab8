//! `trackdrop model get`: downloads a detector into the cache, by name from a table with pinned hashes, or from an address with
//! its hash.

pub(crate) mod catalogue;

use crate::{
    args::GetArguments,
    download::{Wanted, fetch_shown, shown},
    output::line,
    sha256_hex::Sha256Hex,
};
use anyhow::{Context, bail, ensure};
use catalogue::Entry;
use reqwest::{Url, header::HeaderMap};
use serde_json::json;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};
use trackdrop_detector::{default_model_path, models_folder};

/// No detector is larger.
const MOST_BYTES: u64 = 4 << 30;

pub(crate) async fn get(arguments: &GetArguments) -> anyhow::Result<()> {
    let folder = match &arguments.to {
        Some(folder) => folder.clone(),
        None => models_folder(),
    };
    let Some(which) = &arguments.which else { return list(&folder, arguments.json) };
    let asked = Asked::of(which, arguments)?;
    let got = asked.get(&folder).await?;
    if arguments.json {
        let license = asked.entry.map(Entry::license);
        line!(
            "{}",
            json!({
                "name": asked.name, "model": got.model, "sha256": got.sha256.to_string(), "bytes": got.bytes, "license": license,
                "url": shown(&asked.wanted.url), "was_there": got.was_there,
            })
        );
        return Ok(());
    }
    let how = if got.was_there { "was there already".to_owned() } else { format!("from {}", shown(&asked.wanted.url)) };
    line!("{}: {} bytes, {how}; its sha256 is the pinned {}", asked.name, got.bytes, got.sha256);
    if let Some(entry) = asked.entry {
        line!("licence   {}, {}", entry.license(), entry.source);
    }
    line!("look      trackdrop model check {} PICTURE --out SEEN.png", got.model.display());
    line!("use       trackdrop run --model {} VIDEO", got.model.display());
    Ok(())
}

/// The models that can be fetched by name.
fn list(folder: &Path, as_json: bool) -> anyhow::Result<()> {
    for entry in &catalogue::ENTRIES {
        let model = folder.join(format!("{}.onnx", entry.name));
        let is_there = model.is_file();
        if as_json {
            line!(
                "{}",
                json!({
                    "name": entry.name, "ap": entry.ap, "bytes": entry.bytes, "license_of_code": entry.license_of_code,
                    "license_of_weights": entry.license_of_weights, "source": entry.source, "url": entry.url, "sha256": entry.sha256,
                    "model": is_there.then_some(model),
                })
            );
            continue;
        }
        let megabytes = entry.bytes as f64 / 1e6;
        let here = if is_there { "  is there" } else { "" };
        line!("{:<11} AP {:.1}  {megabytes:6.1} MB  {}{here}", entry.name, entry.ap, entry.license());
    }
    Ok(())
}

/// One model, as it was asked for.
struct Asked {
    name: String,
    entry: Option<&'static Entry>,
    wanted: Wanted,
}

/// One model that lies there.
struct Got {
    model: PathBuf,
    sha256: Sha256Hex,
    bytes: u64,
    was_there: bool,
}

impl Asked {
    fn of(which: &str, arguments: &GetArguments) -> anyhow::Result<Self> {
        if !which.contains("://") {
            let Some(entry) = catalogue::find(which) else {
                let names: Vec<_> = catalogue::ENTRIES.iter().map(|entry| entry.name).collect();
                bail!("no model is called {which:?}: there are {}; or give an address with --sha256", names.join(", "));
            };
            ensure!(
                arguments.sha256.is_none() && arguments.name.is_none(),
                "{which} is pinned: --sha256 and --name are for addresses"
            );
            return Self::of_entry(entry, arguments.mirror.as_deref());
        }
        let url = parse(which)?;
        let name = match &arguments.name {
            Some(name) => name.clone(),
            None => {
                let last = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
                last.strip_suffix(".onnx").unwrap_or(last).to_owned()
            }
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        ensure!(
            !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain),
            "{name:?} can't be a model's name (letters, digits, dots, hyphens): give another with --name"
        );
        ensure!(
            catalogue::find(&name).is_none()
                && default_model_path().file_stem().is_none_or(|default| *default != *name),
            "{name} is the name of another model: give this one another name with --name"
        );
        Ok(Self { name, entry: None, wanted: wanted(url, arguments.sha256, None) })
    }

    fn of_entry(entry: &'static Entry, mirror: Option<&str>) -> anyhow::Result<Self> {
        let url = match mirror {
            Some(mirror) => parse(&format!("{}/{}.onnx", mirror.trim_end_matches('/'), entry.name))?,
            None => parse(entry.url)?,
        };
        let sha256 = entry.sha256.parse().map_err(anyhow::Error::msg)?;
        let wanted = wanted(url, Some(sha256), Some(entry.bytes));
        Ok(Self { name: entry.name.to_owned(), entry: Some(entry), wanted })
    }

    async fn get(&self, folder: &Path) -> anyhow::Result<Got> {
        let model = folder.join(format!("{}.onnx", self.name));
        let is_there = || self.is_at(&model);
        if !is_there()? {
            let fetched = fetch_shown(&self.wanted, folder, &self.name, is_there).await;
            if let Some(complete) = fetched? {
                let (sha256, bytes) = (complete.sha256, complete.bytes);
                if self.wanted.sha256.is_none() {
                    let name = if self.ends_so() { String::new() } else { format!(" --name {}", self.name) };
                    bail!(
                        "nothing says that this is the right file, so it was not installed: {} gave {bytes} bytes with the sha256 {sha256}. \
                         Compare that with what its publisher states, then pin it (nothing is fetched again): trackdrop model get '{}' \
                         --sha256 {sha256}{name}",
                        shown(&self.wanted.url),
                        self.wanted.url
                    );
                }
                self.write_card(&model)?;
                let failed = || format!("cannot write {}", model.display());
                fs::rename(&complete.path, &model).with_context(failed)?;
                return Ok(Got { model, sha256, bytes, was_there: false });
            }
        }
        self.write_card(&model)?;
        let bytes = fs::metadata(&model).with_context(|| format!("cannot read {}", model.display()))?.len();
        let sha256 = self.wanted.sha256.context("a model was taken as it is")?;
        Ok(Got { model, sha256, bytes, was_there: true })
    }

    /// Whether the address alone gives the name.
    fn ends_so(&self) -> bool {
        [format!("/{}.onnx", self.name), format!("/{}", self.name)]
            .iter()
            .any(|end| self.wanted.url.path().ends_with(end.as_str()))
    }

    /// Whether this model is already installed there. Another file of that name is not replaced.
    fn is_at(&self, model: &Path) -> anyhow::Result<bool> {
        let found = match Sha256Hex::of_file(model) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            found => found.with_context(|| format!("cannot read {}", model.display()))?,
        };
        if Some(found) == self.wanted.sha256 {
            return Ok(true);
        }
        let pinned = self
            .wanted
            .sha256
            .map_or_else(|| "nothing pins what is asked for".to_owned(), |pinned| format!("not {pinned}"));
        bail!(
            "{} is there and has the sha256 {found}, {pinned}. Move it away, or give another folder with --to{}",
            model.display(),
            if self.entry.is_none() { ", or another name with --name" } else { "" }
        );
    }

    /// Writes the card of the table if there is none. A card that a user changed is not replaced.
    fn write_card(&self, model: &Path) -> anyhow::Result<()> {
        let (Some(entry), path) = (self.entry, model.with_extension("json")) else { return Ok(()) };
        let card = format!("{:#}\n", entry.card());
        match fs::read(&path) {
            Ok(found) if found == card.as_bytes() => return Ok(()),
            Ok(_) => {
                eprintln!("{} is not the card of this release; it stays. Remove it to get that", path.display());
                return Ok(());
            }
            Err(_) => {}
        }
        let failed = || format!("cannot write {}", path.display());
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new("."))).with_context(failed)?;
        file.write_all(card.as_bytes()).with_context(failed)?;
        file.persist(&path).map_err(|error| error.error).with_context(failed)?;
        Ok(())
    }
}

fn parse(address: &str) -> anyhow::Result<Url> {
    let url = Url::parse(address).with_context(|| format!("{address:?} is no address"))?;
    ensure!(
        ["http", "https"].contains(&url.scheme()),
        "{:?} can't be fetched: give an http or https address",
        url.scheme()
    );
    Ok(url)
}

fn wanted(url: Url, sha256: Option<Sha256Hex>, bytes: Option<u64>) -> Wanted {
    Wanted {
        url,
        headers: HeaderMap::new(),
        sha256,
        bytes,
        most_bytes: MOST_BYTES,
        resumes_version: false,
        instead: "fetch it elsewhere and give the file to --model",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, http::StatusCode, routing::get};

    const BODY: &str = "an ONNX file, for all that the fetching knows";

    #[tokio::test]
    async fn a_model_of_the_table_comes_with_its_card_and_somebodys_own_card_stays() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mirror = format!("http://{}/models/", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/models/made-up.onnx", get(|| async { BODY }))
            .fallback(|| async { (StatusCode::NOT_FOUND, "no") });
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        let sha256: &'static str = Sha256Hex::of(BODY.as_bytes()).to_string().leak();
        let bytes = BODY.len() as u64;
        let entry: &'static Entry =
            Box::leak(Box::new(Entry::made_up("made-up", "https://example.invalid/x", sha256, bytes)));
        let folder = tempfile::tempdir().unwrap();
        let got = || async { Asked::of_entry(entry, Some(&mirror)).unwrap().get(folder.path()).await.unwrap() };

        let first = got().await;
        assert_eq!(fs::read_to_string(&first.model).unwrap(), BODY);
        let path = first.model.with_extension("json");
        let card: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!((&card["name"], &card["family"]), (&"made-up".into(), &"yolox".into()));
        assert!(!first.was_there && got().await.was_there);

        fs::write(&path, "{}").unwrap();
        assert!(got().await.was_there);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}", "somebody's own card stays");
        fs::remove_file(&path).unwrap();
        got().await;
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&fs::read(&path).unwrap()).unwrap(),
            card,
            "a lost card comes back"
        );
    }

    #[test]
    fn a_hash_is_sixty_four_digits_of_either_case() {
        let hash = Sha256Hex::of(b"").to_string();
        assert_eq!(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for same in [hash.to_uppercase(), format!("sha256:{hash}")] {
            assert_eq!(same.parse::<Sha256Hex>().unwrap().to_string(), hash);
        }
        for wrong in ["", "e3b0", &hash[1..], &hash.replace('e', "g"), &"é".repeat(32)] {
            assert!(wrong.parse::<Sha256Hex>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_may_be_secret_in_an_address_is_not_shown() {
        let url = Url::parse("https://me:word@example.com/a/m.onnx?token=secret#part").unwrap();
        assert_eq!(shown(&url), "https://example.com/a/m.onnx");
    }
}
