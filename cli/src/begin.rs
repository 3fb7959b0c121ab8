//! Finds or makes the request for an upload and its settings: an existing one, a version of its tracks, or another upload of the
//! same content beside it. Results of other settings stay.

use crate::{
    host::Host,
    settings,
    upload::{self, Uploaded},
};
use anyhow::{Context, bail};
use std::collections::BTreeMap;
use trackdrop_cloud::{ObjectInfo, local::Redrive};
use trackdrop_flow::{
    delete,
    end::{self, video_name},
    manifest,
    version::{self, Version},
};
use trackdrop_pipeline::{
    Manifest, RequestId, RequestSettings, RequestState,
    names::{Marker, ObjectName},
};

/// One request of this run.
pub(crate) struct Job {
    pub(crate) request: RequestId,
    pub(crate) video: String,
    /// Whether an earlier run had finished it.
    pub(crate) finished_before: bool,
}

impl Job {
    fn of(request: &RequestId, video: &str) -> Self {
        Self { request: request.clone(), video: video.to_owned(), finished_before: false }
    }

    fn finished_before(self) -> Self {
        Self { finished_before: true, ..self }
    }
}

/// What becomes of an upload that was processed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Results with other settings are stored beside the existing ones.
    Beside,
    /// The video is processed again, and the new results replace the existing ones.
    Replace,
    /// Nothing is processed again, even if the settings differ. An interrupted request is finished.
    Leave,
}

/// Makes sure that there will be results by these settings: a new request is started by its upload, an interrupted one resumes, a failed one is
/// tried again, and a finished one is left alone.
///
/// A new request may be over by now, where the bus delivers beside this call. It is a job of this call all the same, and is not tried again.
pub(crate) async fn begin(
    host: &Host,
    upload: Uploaded,
    settings: &RequestSettings,
    again: Again,
) -> anyhow::Result<Job> {
    if upload.is_new {
        return started(&upload.object);
    }
    let first = Earlier::read(host, upload.object).await?;
    if again == Again::Leave || first.is_deleted || first.settings.same_results(settings) {
        return first.settle(host, settings, again).await;
    }
    match first.state() {
        // Nothing is lost.
        Some(RequestState::Failed) => first.restart(host, settings, Redrive::Reset).await,
        Some(state) if state.has_rows() => beside(host, first, settings, again).await,
        _ if again == Again::Replace => first.restart(host, settings, Redrive::Reset).await,
        _ => bail!(
            "{:?} is being processed with other settings ({}): wait for it, or finish it by the command that began it; --force processes it \
             with these instead",
            first.upload.object.name,
            settings::difference(&first.settings, settings)
        ),
    }
}

/// The job that an upload of this call started.
fn started(upload: &ObjectInfo) -> anyhow::Result<Job> {
    Ok(Job::of(&request_of(upload)?, &upload.object.name))
}

fn request_of(upload: &ObjectInfo) -> anyhow::Result<RequestId> {
    upload.finalized().request().context("an upload makes a request")
}

/// Results with other settings, beside those of a request that has rows.
async fn beside(host: &Host, first: Earlier, settings: &RequestSettings, again: Again) -> anyhow::Result<Job> {
    let mut earlier = first;
    loop {
        if earlier.settings.detections_serve(settings)
            && let Some(of) = earlier.detected(host).await?
        {
            return version_of(host, &earlier, of, settings, again).await;
        }
        let object = upload::beside(&earlier.upload, settings)?;
        if object == earlier.upload.object {
            // Its detections were cleared away, and its place is taken by results with another filter.
            bail!(
                "{:?} was processed with other settings ({}), and its detections are no longer there: --force processes it again, in place of \
                 these results",
                object.name,
                settings::difference(&earlier.settings, settings)
            );
        }
        let there = upload::stat(&host.local, &object).await?;
        if there.is_none() && again == Again::Replace {
            return earlier.restart(host, settings, Redrive::Reset).await;
        }
        let copy = match there {
            Some(copy) => Uploaded::before(copy),
            None => upload::copy_beside(&host.local, &earlier.upload, &object, settings).await?,
        };
        if copy.is_new {
            eprintln!("{}", told(&earlier, settings, "it is detected again, and both results are stored"));
            return started(&copy.object);
        }
        earlier = Earlier::read(host, copy.object).await?;
        let is_unfinished = earlier.state().is_none_or(|state| !state.has_rows());
        if earlier.is_deleted || is_unfinished || earlier.settings.same_results(settings) {
            return earlier.settle(host, settings, again).await;
        }
    }
}

fn told(earlier: &Earlier, settings: &RequestSettings, what: &str) -> String {
    let difference = settings::difference(&earlier.settings, settings);
    format!("{} was processed with other settings ({difference}): {what}", earlier.upload.object.name.escape_debug())
}

/// Makes another version of a request's tracks, for which no detector runs.
async fn version_of(
    host: &Host,
    earlier: &Earlier,
    of: &Manifest,
    settings: &RequestSettings,
    again: Again,
) -> anyhow::Result<Job> {
    // What results do not depend on must not make another version.
    let (segment_seconds, model) = (of.settings.segment_seconds, of.settings.model.clone());
    let of_version = RequestSettings { segment_seconds, model, ..settings.clone() };
    let known = version::named(of, &of_version)?;
    let is_there = manifest::read(&host.cloud, &known).await?.is_some();
    match again {
        Again::Replace if !is_there => return earlier.restart(host, settings, Redrive::Reset).await,
        Again::Replace => redrive(host, &known, &earlier.upload.object.name, None, Redrive::Reset).await?,
        _ if is_there => {}
        _ => eprintln!("{}", told(earlier, settings, "no detector runs again, and both results are stored")),
    }
    begin_version(host, of, of_version).await
}

/// Makes a version of a request's tracks, unless it is there, and makes sure that it will end.
pub(crate) async fn begin_version(host: &Host, of: &Manifest, settings: RequestSettings) -> anyhow::Result<Job> {
    let known = version::named(of, &settings)?;
    if delete::is_deleted(&host.cloud, &known).await? {
        // What was deleted is made again where it is asked for again.
        redrive(host, &known, &video_name(of), None, Redrive::Reset).await?;
    }
    let Version { request, .. } = version::make(&host.cloud, of, settings).await?;
    let job = Job::of(&request, &video_name(of));
    match manifest::state(&host.cloud, &request).await? {
        Some(RequestState::Done) if end::is_told(&host.cloud, &request).await? => {
            host.local.restore_results(&request).await?;
            return Ok(job.finished_before());
        }
        Some(RequestState::Failed | RequestState::DoneWithoutVideo) => {
            end::reopen(&host.cloud, &request, None).await?;
            redrive(host, &request, &job.video, None, Redrive::Resume).await?;
        }
        // Nothing queued and not over: a crash came between reopening it and queueing its events.
        _ if host.local.pending(&request).await? == 0 => {
            redrive(host, &request, &job.video, None, Redrive::Resume).await?;
        }
        _ => {}
    }
    Ok(job)
}

/// An upload and the request that it made.
struct Earlier {
    upload: ObjectInfo,
    request: RequestId,
    manifest: Option<Manifest>,
    /// What it was, or will be, processed with.
    settings: RequestSettings,
    is_deleted: bool,
}

impl Earlier {
    async fn read(host: &Host, upload: ObjectInfo) -> anyhow::Result<Self> {
        let request = request_of(&upload)?;
        let manifest = manifest::read(&host.cloud, &request).await?;
        let settings = match &manifest {
            Some(manifest) => manifest.settings.clone(),
            None => RequestSettings::of_upload(&upload.metadata)?,
        };
        let is_deleted = manifest.is_none() && delete::is_deleted(&host.cloud, &request).await?;
        Ok(Self { upload, request, manifest, settings, is_deleted })
    }

    fn state(&self) -> Option<RequestState> {
        self.manifest.as_ref().map(|manifest| manifest.state)
    }

    /// Its manifest, if its detections are complete.
    async fn detected(&self, host: &Host) -> anyhow::Result<Option<&Manifest>> {
        let marker = Marker::Tracked.object(&self.request);
        let is_complete = host.cloud.find(&marker).await?.is_some();
        Ok(self.manifest.as_ref().filter(|_| is_complete))
    }

    /// Makes sure that this request ends. If it begins again, it has these settings.
    async fn settle(self, host: &Host, settings: &RequestSettings, again: Again) -> anyhow::Result<Job> {
        // A request that was deleted starts again, with the settings of this call.
        if again == Again::Replace || (self.is_deleted && again != Again::Leave) {
            return self.restart(host, settings, Redrive::Reset).await;
        }
        let job = Job::of(&self.request, &self.upload.object.name);
        match self.state() {
            _ if self.is_deleted => return Ok(job.finished_before()),
            Some(RequestState::Failed | RequestState::DoneWithoutVideo) if again == Again::Leave => {
                return Ok(job.finished_before());
            }
            Some(RequestState::Failed | RequestState::DoneWithoutVideo) if self.settings.same_results(settings) => {
                end::reopen(&host.cloud, &self.request, None).await?;
                // An existing plan was made for its own segment length.
                let segment_seconds = self.settings.segment_seconds;
                let settings = RequestSettings { segment_seconds, ..settings.clone() };
                return self.restart(host, &settings, Redrive::Resume).await;
            }
            Some(RequestState::Failed) => return self.restart(host, settings, Redrive::Reset).await,
            // Its end is published after its state is set. If the process was killed in between, the delivery that publishes it is still queued.
            Some(RequestState::Done) if end::is_told(&host.cloud, &self.request).await? => {
                host.local.restore_results(&self.request).await?;
                return Ok(job.finished_before());
            }
            Some(_) | None => {}
        }
        // Nothing queued and not over: a crash came between reopening it and queueing its events.
        if host.local.pending(&self.request).await? == 0 {
            let settings = self.settings.clone();
            return self.restart(host, &settings, Redrive::Resume).await;
        }
        Ok(job)
    }

    async fn restart(&self, host: &Host, settings: &RequestSettings, how: Redrive) -> anyhow::Result<Job> {
        let metadata = upload::with_settings(&self.upload, settings)?;
        let name = &self.upload.object.name;
        redrive(host, &self.request, name, Some((self.upload.object.clone(), metadata)), how).await?;
        Ok(Job::of(&self.request, name))
    }
}

/// Starts a request again; with the upload that starts it and its new metadata, where that does.
pub(crate) async fn redrive(
    host: &Host,
    request: &RequestId,
    video: &str,
    upload: Option<(ObjectName, BTreeMap<String, String>)>,
    how: Redrive,
) -> anyhow::Result<()> {
    if host.local.redrive(request, upload, how).await? {
        return Ok(());
    }
    bail!("{video:?} is being processed by another trackdrop right now: wait for it or stop it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host;
    use trackdrop_detector::DeviceChoice;

    /// What `watch` and the console do, whose bus delivers while they upload.
    #[tokio::test]
    async fn a_new_upload_that_failed_before_its_request_was_looked_at_is_a_job_of_this_call_and_is_not_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let video = folder.path().join("a.mp4");
        std::fs::write(&video, "no video").unwrap();
        let host = Host::open(&folder.path().join("data"), host::detectors(DeviceChoice::Auto, None)).unwrap();
        let settings = RequestSettings::default();
        let new = upload::upload(&host.local, &video, &settings).await.unwrap();
        let request = request_of(&new.object).unwrap();
        let (told, mut events) = tokio::sync::mpsc::unbounded_channel();
        let stop = async {
            while !end::is_told(&host.cloud, &request).await.unwrap() {
                events.recv().await.unwrap();
            }
        };
        host.bus.run(stop, |event| drop(told.send(event))).await.unwrap();

        for again in [Again::Leave, Again::Beside, Again::Replace] {
            let job = begin(&host, new.clone(), &settings, again).await.unwrap();
            assert_eq!((&job.request, job.finished_before), (&request, false), "{again:?}");
            assert_eq!(manifest::state(&host.cloud, &request).await.unwrap(), Some(RequestState::Failed), "{again:?}");
        }
        let same = upload::upload(&host.local, &video, &settings).await.unwrap();
        assert!(!same.is_new);
        assert!(begin(&host, same.clone(), &settings, Again::Leave).await.unwrap().finished_before);
        assert!(!begin(&host, same, &settings, Again::Beside).await.unwrap().finished_before);
        assert!(host.local.pending(&request).await.unwrap() > 0, "an earlier failure is tried again");
    }
}
