//! The work for the console: it runs the same functions in the same way as `trackdrop run`, as long as there is something to do.

use crate::{
    begin::{self, Again},
    delete,
    host::{self, Host},
    output::explain,
    plan::Plan,
    retrack, run, settings,
    upload::{self, Taken, Uploaded},
    wishes,
};
use anyhow::{Context, anyhow, bail};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, watch};
use trackdrop_cloud::local::{BusError, BusEvent, LocalCloud, Redrive};
use trackdrop_console::{FileWork, Model, Planning, Refused, Retracking, Wishes, Works};
use trackdrop_detector::{DeviceChoice, default_model_path};
use trackdrop_exchange::Retracked;
use trackdrop_flow::{Cloud, delete as deletion, end, manifest};
use trackdrop_merge::apply_edits;
use trackdrop_pipeline::{
    Bucket, Edit, Manifest, RequestId, RequestSettings, RequestState, Stage,
    names::{ObjectName, PerSegment, ResultFile},
};
use trackdrop_tables::{detections, tracks};

/// How often it is checked whether requests are over.
const POLL_EVERY: Duration = Duration::from_millis(250);
/// Checks in a row at which nothing is queued for a request that is not over: it would hang for ever.
const MOST_IDLE_TIMES: u32 = 8;
/// The reason of a request that was cancelled.
const CANCELLED: &str = "it was cancelled on the console; Retry resumes from what is done";

/// The functions over the data directory, at work while there are requests to work for.
pub(crate) struct Workshop {
    cloud: Cloud,
    local: Arc<LocalCloud>,
    model: Option<PathBuf>,
    /// Its detectors are loaded once they are needed. Another one takes its place when all is done, so that their memory is given back.
    host: Mutex<Arc<Host>>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    unfinished: BTreeSet<RequestId>,
    notes: BTreeMap<Option<RequestId>, String>,
}

impl std::fmt::Debug for Workshop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workshop").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Workshop {
    pub(crate) fn open(local: Arc<LocalCloud>, model: Option<&Path>) -> anyhow::Result<Self> {
        let model = match model {
            Some(path) => {
                Some(path.canonicalize().with_context(|| format!("the model {} can't be read", path.display()))?)
            }
            None => None,
        };
        let host = Mutex::new(Arc::new(fresh(&local)?));
        Ok(Self { cloud: host::cloud_of(&local), local, model, host, state: Mutex::default(), wake: Notify::new() })
    }

    fn host(&self) -> Arc<Host> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, about: Option<RequestId>, note: String) {
        self.state().notes.insert(about, note);
    }

    /// Begins to work on the request.
    fn take(&self, request: &RequestId) {
        let mut state = self.state();
        state.notes.remove(&Some(request.clone()));
        state.notes.remove(&None);
        state.unfinished.insert(request.clone());
        self.wake.notify_one();
    }

    fn lay_down(&self, request: &RequestId) {
        let mut state = self.state();
        state.unfinished.remove(request);
        state.notes.remove(&Some(request.clone()));
    }

    /// Works until `stop` says so.
    pub(crate) async fn run(&self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                () = self.wake.notified() => {}
            }
            let host = self.host();
            let outcome = host.bus.run(self.until_idle(&host, &mut stop), |event| self.heard(event)).await;
            if let Err(error) = outcome {
                self.broke_off(&host, error).await;
            }
            if self.state().unfinished.is_empty()
                && let Ok(fresh) = fresh(&self.local)
            {
                *self.host.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
            }
        }
    }

    /// The host can't continue: no request is processed until a person starts it again.
    async fn broke_off(&self, host: &Host, error: BusError) {
        let said = explain(&run::give_up(host, error).await);
        for request in self.unfinished() {
            if end::is_told(&self.cloud, &request).await.unwrap_or_default() {
                self.lay_down(&request);
            }
        }
        self.note(None, said);
        self.state().unfinished.clear();
    }

    async fn until_idle(&self, host: &Host, stop: &mut watch::Receiver<bool>) {
        let mut clock = tokio::time::interval(POLL_EVERY);
        let mut idle: BTreeMap<RequestId, u32> = BTreeMap::new();
        loop {
            tokio::select! {
                biased;
                () = stopped(stop) => return,
                _ = clock.tick() => {}
            }
            for request in self.unfinished() {
                if end::is_told(&self.cloud, &request).await.unwrap_or_default() {
                    self.lay_down(&request);
                    continue;
                }
                let is_idle = host.local.pending(&request).await.is_ok_and(|pending| pending == 0);
                let times = if is_idle { idle.get(&request).copied().unwrap_or_default() + 1 } else { 0 };
                idle.insert(request.clone(), times);
                if times > MOST_IDLE_TIMES {
                    self.lay_down(&request);
                    self.note(Some(request), "nothing is queued for it: Retry resumes from what is done".to_owned());
                }
            }
            if self.state().unfinished.is_empty() {
                return;
            }
        }
    }

    fn heard(&self, event: BusEvent) {
        let (request, note) = match event {
            BusEvent::Retrying { function, request, reason, wait } => {
                (request, format!("{function} failed and is attempted again in {:.0} s: {reason}", wait.as_secs_f64()))
            }
            BusEvent::Acknowledged { .. } => return,
            BusEvent::GivenUp { function, request, reason } => {
                (request, format!("{function} failed and is not attempted again: {reason}"))
            }
        };
        if let Ok(request) = request.parse() {
            self.note(Some(request), note);
        }
    }

    /// The settings that `trackdrop run` makes of these options, checked as it checks them.
    async fn settings(&self, wishes: &Wishes) -> anyhow::Result<RequestSettings> {
        let mut settings = settings::of_run(&wishes::of_run(wishes, self.model.as_deref())?.processing)?;
        let host = self.host();
        tokio::task::spawn_blocking(move || {
            run::check(&host.detectors, DeviceChoice::Auto, &mut settings)?;
            Ok(settings)
        })
        .await?
    }

    async fn begun(&self, name: &str, content: &Path, wishes: &Wishes) -> anyhow::Result<RequestId> {
        let settings = self.settings(wishes).await?;
        let uploaded = upload::upload_as(&self.local, name, content, Taken::Linked, &settings).await?;
        let again = if wishes.force { Again::Replace } else { Again::Beside };
        let job = begin::begin(&self.host(), uploaded, &settings, again).await?;
        self.take(&job.request);
        Ok(job.request)
    }

    async fn gone_on(&self, request: &RequestId) -> anyhow::Result<()> {
        let host = self.host();
        let manifest = manifest::read(&self.cloud, request).await?;
        if let Some(root) = manifest.as_ref().and_then(|manifest| manifest.retrack_of.clone()) {
            tracing::info!(%request, %root, "a version resumes");
            end::reopen(&self.cloud, request, None).await?;
            if self.local.pending(request).await? == 0 {
                begin::redrive(&host, request, request.as_str(), None, Redrive::Resume).await?;
            }
        } else {
            let info = self.upload_of(request).await?;
            let settings = match manifest {
                Some(manifest) => manifest.settings,
                None => RequestSettings::of_upload(&info.metadata)?,
            };
            begin::begin(&host, Uploaded::before(info), &settings, Again::Beside).await?;
        }
        self.take(request);
        Ok(())
    }

    async fn upload_of(&self, request: &RequestId) -> anyhow::Result<trackdrop_cloud::ObjectInfo> {
        let uploads = self.cloud.storage.list(&ObjectName::new(Bucket::Uploads, "")).await?;
        let is_it = |info: &trackdrop_cloud::ObjectInfo| info.finalized().request().as_ref() == Some(request);
        uploads
            .into_iter()
            .find(is_it)
            .with_context(|| format!("the video of {request} is not in the data directory any more: upload it again"))
    }

    async fn ended(&self, request: &RequestId) -> anyhow::Result<()> {
        let host = self.host();
        let found = manifest::state_and_round(&self.cloud, request).await?;
        let (state, round) = found.unzip();
        if state.is_some_and(RequestState::is_final) {
            bail!("{request} has already ended: there is nothing to cancel");
        }
        let unplanned: Option<Manifest> = run::describe(&host, request).await;
        if state.is_none() && unplanned.is_none() {
            return Err(unknown(request));
        }
        let stage = stage_of(state);
        end::fail(&self.cloud, request, stage, CANCELLED, round.flatten(), || unplanned).await?;
        for in_flight in host.bus.in_flight().iter().filter(|one| one.request == request.as_str()) {
            in_flight.delivery.cancel();
        }
        Ok(())
    }

    async fn mended(&self, of: &RequestId, keep: usize, edits: Vec<Edit>) -> anyhow::Result<RequestId> {
        let manifest = manifest::read(&self.cloud, of).await?.ok_or_else(|| unknown(of))?;
        let mut settings = manifest.settings.clone();
        // What the tracks don't allow is refused here, and not by a version that fails.
        if keep >= settings.edits.len() {
            self.try_edits(&manifest, edits.clone()).await?;
        }
        settings.edits.truncate(keep);
        settings.edits.extend(edits);
        settings.check()?;
        if let Some(first) = manifest::read(&self.cloud, manifest.detected_in()).await?
            && first.settings == settings
        {
            return Ok(first.request_id);
        }
        self.version(&manifest, settings).await
    }

    async fn retracked(&self, of: &RequestId, retracking: &Retracking) -> anyhow::Result<RequestId> {
        let arguments = wishes::of_retrack(of, retracking)?;
        let manifest = manifest::read(&self.cloud, of).await?.ok_or_else(|| unknown(of))?;
        let before = manifest.settings.clone();
        // The hash of a network's file may take a while.
        let settings = tokio::task::spawn_blocking(move || settings::of_version(&before, &arguments)).await??;
        self.version(&manifest, settings).await
    }

    /// Makes another version of a request's tracks, and works on it until it ends.
    async fn version(&self, of: &Manifest, settings: RequestSettings) -> anyhow::Result<RequestId> {
        let job = begin::begin_version(&self.host(), of, settings).await?;
        if !job.finished_before {
            self.take(&job.request);
        }
        Ok(job.request)
    }

    async fn try_edits(&self, manifest: &Manifest, edits: Vec<Edit>) -> anyhow::Result<()> {
        let storage = &self.cloud.storage;
        let (_, file) = storage.fetch(&ResultFile::Tracks.object(&manifest.request_id), None).await?;
        let segment = manifest.segments.first().context("the request has no plan: process the video first")?;
        let detections = PerSegment::Detections.object(manifest.detected_in(), segment.segment_number);
        let (_, bytes) = storage.get(&detections).await?;
        tokio::task::spawn_blocking(move || {
            let mut rows = tracks::stream(file.path())?.collect::<Result<Vec<_>, _>>()?;
            let names = detections::read_segment(bytes)?.footer.class_names;
            let names: Vec<Arc<str>> = names.iter().map(|name| Arc::from(name.as_str())).collect();
            Ok(apply_edits(&edits, &mut rows, &names)?)
        })
        .await?
    }

    async fn deleted(&self, request: &RequestId, with_upload: bool) -> anyhow::Result<()> {
        let found = deletion::find(&self.cloud, request).await?;
        let found = found.ok_or_else(|| unknown(request))?;
        delete::check(&found, std::slice::from_ref(request), with_upload, false)?;
        self.lay_down(request);
        delete::carry_out(&self.cloud, Some(&self.local), &found, with_upload).await
    }
}

/// A host whose detectors are not loaded.
fn fresh(local: &Arc<LocalCloud>) -> anyhow::Result<Host> {
    Host::over(local.clone(), host::detectors(DeviceChoice::Auto, None))
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Without a sender nobody can say any more that it continues.
    stop.wait_for(|stop| *stop).await.ok();
}

/// The stage that a request is in when it ends now.
fn stage_of(state: Option<RequestState>) -> Stage {
    match state {
        Some(RequestState::Tracking) => Stage::Track,
        Some(RequestState::Merging) => Stage::Merge,
        Some(RequestState::Annotating) => Stage::Annotate,
        _ => Stage::Split,
    }
}

fn unknown(request: &RequestId) -> anyhow::Error {
    anyhow!("there is no request {request}: the list of requests has them all")
}

/// Work that takes a while, beside the page.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> Result<T, Refused> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(refused),
        Err(error) => Err(refused(error.into())),
    }
}

fn refused(error: anyhow::Error) -> Refused {
    Refused(explain(&error))
}

#[async_trait]
impl Works for Workshop {
    fn models(&self) -> Vec<Model> {
        let default = self.model.clone().unwrap_or_else(default_model_path);
        let folder = default_model_path().parent().map(Path::to_owned).unwrap_or_default();
        let others = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut others: Vec<_> = others
            .filter(|path| path.extension().is_some_and(|extension| extension == "onnx") && *path != default)
            .collect();
        others.sort();
        let model = |path: PathBuf| Model {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            path: path.to_string_lossy().into_owned(),
        };
        std::iter::once(default).chain(others).map(model).collect()
    }

    async fn check(&self, name: &str, wishes: &Wishes) -> Result<(), Refused> {
        let uploads = host::uploads().map_err(refused)?;
        upload::check_name(name, &uploads).map_err(refused)?;
        self.settings(wishes).await.map(drop).map_err(refused)
    }

    async fn begin(&self, name: &str, content: &Path, wishes: &Wishes) -> Result<RequestId, Refused> {
        self.begun(name, content, wishes).await.map_err(refused)
    }

    async fn go_on(&self, request: &RequestId) -> Result<(), Refused> {
        self.gone_on(request).await.map_err(refused)
    }

    async fn cancel(&self, request: &RequestId) -> Result<(), Refused> {
        self.ended(request).await.map_err(refused)
    }

    async fn mend(&self, request: &RequestId, keep: usize, edits: Vec<Edit>) -> Result<RequestId, Refused> {
        self.mended(request, keep, edits).await.map_err(refused)
    }

    async fn retrack(&self, request: &RequestId, retracking: &Retracking) -> Result<RequestId, Refused> {
        self.retracked(request, retracking).await.map_err(refused)
    }

    async fn retrack_files(&self, work: &FileWork) -> Result<Retracked, Refused> {
        let (arguments, out) = (wishes::of_files(work).map_err(refused)?, work.out.clone());
        blocking(move || retrack::of_files(&out, &arguments)).await
    }

    async fn plan(&self, planning: &Planning) -> Result<serde_json::Value, Refused> {
        let arguments = wishes::of_plan(planning, self.model.as_deref()).map_err(refused)?;
        blocking(move || Ok(Plan::new(&arguments)?.json())).await
    }

    async fn delete(&self, request: &RequestId, with_upload: bool) -> Result<(), Refused> {
        self.deleted(request, with_upload).await.map_err(refused)
    }

    fn unfinished(&self) -> Vec<RequestId> {
        self.state().unfinished.iter().cloned().collect()
    }

    fn in_work(&self, request: &RequestId, stage: Stage) -> u64 {
        let of_it =
            |one: &&trackdrop_cloud::local::InFlight| one.request == request.as_str() && one.function == stage.name();
        self.host().bus.in_flight().iter().filter(of_it).map(|one| one.delivery.work_done()).sum()
    }

    fn notes(&self) -> Vec<(Option<RequestId>, String)> {
        self.state().notes.clone().into_iter().collect()
    }
}
