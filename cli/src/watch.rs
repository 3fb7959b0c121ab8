//! `trackdrop watch`: processes the videos that appear in a folder, each once, when its file is complete.
//!
//! A file is **complete** when all of this is true:
//!
//! 1. it has the name of a video, and not one that uploads ignore (unfinished downloads, hidden files);
//! 2. two checks in a row found the same file: inode, size and time of its last change;
//! 3. no program has it open for writing, which the operating system is asked; where it can't say (a network drive, another user's file), the file
//!    stayed as it was for `--quiet-seconds`;
//! 4. its head is that of a video that can be decoded, which an MP4's is not before its index is written.
//!
//! Its content is hashed before and while it is uploaded, so a file that changes meanwhile is not taken either.
//!
//! **Once**: an upload is known by its content, which needs no record. The record `watched.jsonl` of the data directory only saves reading all
//! files again after a restart.

mod complete;
mod record;

use crate::{
    args::WatchArguments,
    begin::{Again, Job, begin},
    host::{self, Host},
    progress::Progress,
    run::{self, INTERRUPTED},
    settings, upload, videos,
};
use anyhow::{Context, bail};
use complete::{Seen, obstacle};
use record::Record;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::signal::unix::{SignalKind, signal};
use trackdrop_flow::{end, manifest};
use trackdrop_media::Limits;
use trackdrop_pipeline::{RequestSettings, trigger::Trigger};

/// How often the folder is scanned.
const SCAN_EVERY: Duration = Duration::from_secs(1);

/// Processes what appears in a folder, until it is stopped: by SIGTERM with success, by an interrupt with 130.
pub(crate) async fn watch(data: &Path, arguments: &WatchArguments) -> anyhow::Result<ExitCode> {
    let mut settings = settings::of_run(&arguments.processing)?;
    let quiet = Duration::try_from_secs_f64(arguments.quiet_seconds)
        .with_context(|| format!("--quiet-seconds {} is not a length of time", arguments.quiet_seconds))?;
    let folder = arguments.folder.canonicalize().with_context(|| format!("{:?} can't be watched", arguments.folder))?;
    if !folder.is_dir() {
        bail!("{folder:?} is not a folder: give the folder in which videos appear");
    }
    let detectors = run::detectors(&arguments.processing, &mut settings)?;
    let host = Arc::new(Host::open(data, detectors)?);
    if folder.starts_with(host.local.root()) {
        bail!("{folder:?} is in the data directory {:?}: watch another folder", host.local.root());
    }
    // Asking whether a file is open for writing may bring this signal, which would end the program.
    let _ignored = signal(SignalKind::io())?;
    let mut watcher = Watcher {
        record: Record::open(host.local.root())?,
        uploads: host::uploads()?,
        limits: host::limits()?,
        recursive: arguments.recursive,
        json: arguments.json,
        host: host.clone(),
        folder,
        settings,
        quiet,
        seen: BTreeMap::new(),
        told: BTreeMap::new(),
        active: Vec::new(),
    };
    watcher.resume().await?;
    eprintln!("watching {}; stop with Ctrl-C, and resume with the same command", watcher.folder.display());
    see_through(&host, watcher).await
}

/// Delivers events while the folder is watched.
async fn see_through(host: &Host, watcher: Watcher) -> anyhow::Result<ExitCode> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut watching = tokio::spawn(watcher.watch());
    let (mut code, mut trouble) = (ExitCode::SUCCESS, None);
    let stop = async {
        tokio::select! {
            _ = interrupt.recv() => code = ExitCode::from(INTERRUPTED),
            _ = terminate.recv() => {}
            ended = &mut watching => trouble = Some(ended),
        }
    };
    let progress = Progress::new();
    let outcome = host.bus.run(stop, |event| progress.event(&event)).await;
    watching.abort();
    if let Err(error) = outcome {
        return Err(run::give_up(host, error).await);
    }
    match trouble {
        None => Ok(code),
        Some(Ok(Err(error))) => Err(error.context("stopped watching; the same command resumes")),
        Some(Ok(Ok(never))) => match never {},
        Some(Err(error)) => Err(error).context("the folder can't be watched any more"),
    }
}

/// A request that is not over.
struct Active {
    job: Job,
    since: Instant,
}

struct Watcher {
    host: Arc<Host>,
    folder: PathBuf,
    recursive: bool,
    json: bool,
    settings: RequestSettings,
    uploads: Trigger,
    limits: Limits,
    quiet: Duration,
    record: Record,
    /// What the last scan found that is not taken, and since when it is so.
    seen: BTreeMap<PathBuf, (Seen, Instant)>,
    /// Why a file is not taken, as it was said.
    told: BTreeMap<PathBuf, (Seen, String)>,
    active: Vec<Active>,
}

impl Watcher {
    /// Resumes the work that an earlier watch left unfinished.
    async fn resume(&mut self) -> anyhow::Result<()> {
        for (video, request) in self.record.requests() {
            if end::is_told(&self.host.cloud, &request).await? {
                continue;
            }
            let state = manifest::state(&self.host.cloud, &request).await?;
            // One that waits in the queue has no manifest yet; another without one was deleted.
            if state.is_some() || self.host.local.pending(&request).await? > 0 {
                let job = Job { request, video, finished_before: false };
                self.active.push(Active { job, since: Instant::now() });
            }
        }
        Ok(())
    }

    async fn watch(mut self) -> anyhow::Result<std::convert::Infallible> {
        let mut scan = tokio::time::interval(SCAN_EVERY);
        scan.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            scan.tick().await;
            self.tell_what_is_over().await?;
            self.scan().await?;
        }
    }

    async fn tell_what_is_over(&mut self) -> anyhow::Result<()> {
        let mut left = Vec::new();
        for Active { job, since } in std::mem::take(&mut self.active) {
            if !end::is_told(&self.host.cloud, &job.request).await? {
                left.push(Active { job, since });
            } else if let Some(failed) = run::tell(&self.host, &job, self.json, since, true).await? {
                eprintln!("trackdrop: {failed}");
            }
        }
        self.active = left;
        Ok(())
    }

    /// One scan of the folder: what is complete is taken, one file after the other.
    async fn scan(&mut self) -> anyhow::Result<()> {
        let mut found = Vec::new();
        if let Err(error) = videos::in_folder(&self.folder, self.recursive, &self.uploads, &mut found) {
            // A drive that is gone for a while, or a folder that was removed while it was read.
            self.say(&self.folder.clone(), Seen::default(), format!("{error:#}"));
            return Ok(());
        }
        let names: BTreeSet<&PathBuf> = found.iter().collect();
        self.seen.retain(|path, _| names.contains(path));
        self.told.retain(|path, _| names.contains(path));
        for path in found {
            // Gone since, or already taken.
            let Some(now) = Seen::of(&path).filter(|now| !self.record.holds(&path, now)) else {
                self.seen.remove(&path);
                continue;
            };
            let since = match self.seen.get(&path) {
                Some((before, since)) if *before == now => *since,
                _ => {
                    self.seen.insert(path, (now, Instant::now()));
                    continue;
                }
            };
            match self.obstacle(&path, since).await? {
                Some(why) => self.say(&path, now, why),
                None => self.take(&path, now).await?,
            }
        }
        Ok(())
    }

    async fn obstacle(&self, path: &Path, since: Instant) -> anyhow::Result<Option<String>> {
        let (path, limits, quiet) = (path.to_owned(), self.limits.clone(), self.quiet);
        let asked = tokio::task::spawn_blocking(move || obstacle(&path, since.elapsed(), quiet, &limits));
        asked.await.context("a file can't be examined")
    }

    /// Prints why a file is not taken, and repeats that only if the file changes.
    fn say(&mut self, path: &Path, seen: Seen, why: String) {
        let is_known = self.told.get(path).is_some_and(|known| *known == (seen, why.clone()));
        if !is_known {
            eprintln!("{} waits: {why}", path.display());
            self.told.insert(path.to_owned(), (seen, why));
        }
    }

    /// Uploads a file and begins its request. If the video was processed before, with any settings, the file is only recorded.
    async fn take(&mut self, path: &Path, seen: Seen) -> anyhow::Result<()> {
        let uploaded = match upload::upload(&self.host.local, path, &self.settings).await {
            Ok(uploaded) if Seen::of(path) == Some(seen) => uploaded,
            // It changed meanwhile, or is gone: the next scan decides.
            Ok(_) => return Ok(()),
            Err(_) if Seen::of(path) != Some(seen) => return Ok(()),
            Err(error) => return Err(error),
        };
        let job = begin(&self.host, uploaded, &self.settings, Again::Leave).await?;
        self.record.add(path, seen, &job.request)?;
        self.seen.remove(path);
        let what = if job.finished_before { "was processed before" } else { "is being processed" };
        eprintln!("{} {what} ({})", path.display(), job.request);
        if !job.finished_before {
            self.active.push(Active { job, since: Instant::now() });
        } else if let Some(manifest) = manifest::read(&self.host.cloud, &job.request).await?
            && let Some(failed) = run::failure(&job, &manifest)
        {
            eprintln!("trackdrop: {failed}; `trackdrop run` attempts it again");
        }
        Ok(())
    }
}
