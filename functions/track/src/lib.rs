//! `track` detects objects: it computes the detections of a new chunk. (`merge` tracks objects. The names can't be
//! changed, because services, accounts, metrics and triggers use them.)
//!
//! Detection needs no memory of other frames, so chunks are processed in parallel. `merge` assigns identities later.
//! Each detections file is created once. The number of existing files is the count of finished segments.
//!
//! ```
//! use std::sync::Arc;
//! use trackdrop_flow::{Cloud, stage::Staged};
//! use trackdrop_pipeline::Handler;
//! use trackdrop_track::{MediaSegmentDetector, Track};
//!
//! fn handler(cloud: Cloud, detector: MediaSegmentDetector) -> impl Handler {
//!     Staged(Track::new(cloud, Arc::new(detector)))
//! }
//! ```

mod appearance;
mod files;
mod media;
mod pool;
mod probe;

use async_trait::async_trait;
use std::{path::Path, sync::Arc};
use trackdrop_flow::{Cloud, NewObject, WorkReport, blocking, count, downloading, stage::StageHandler};
use trackdrop_pipeline::{
    Delivery, Failure, Looks, ObjectFinalized, PtsList, RequestId, RequestSettings, SegmentDescription, Stage,
    Stopwatch,
    counter::Counted,
    ledger::FrameAccount,
    manifest::ModelIdentity,
    names::{LONGEST_SHOWN, PerSegment, cut},
    settings::classes_named,
};
use trackdrop_tables::{
    TableError,
    detections::{AppearanceColumn, DetectionRow, DetectionsWriter, SegmentFooter},
};

pub use files::{AnyPath, FoundModel, ModelFile, ModelFiles, Offered, StorageOf};
pub use media::{MediaSegmentDetector, filter_of};
pub use pool::{DetectorPool, SessionBounds};
pub use probe::DetectorProber;
pub use trackdrop_media::{Limits, VideoEngine};

/// The result of detecting a segment.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentDetections {
    /// The detections, in frame order, within a frame in the detector's order.
    pub rows: Vec<DetectionRow>,
    /// The appearance of each detection. It has no bytes unless the settings request it.
    pub appearances: AppearanceColumn,
    /// The frames that the chunk owns.
    pub frame_pts: PtsList,
    /// The account of these frames for the ledger.
    pub account: FrameAccount,
}

/// What the flow needs to know about a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFacts {
    /// Which model it is.
    pub identity: ModelIdentity,
    /// Class names by class id.
    pub class_names: Vec<String>,
    /// The track threshold that its card recommends for its score scale.
    pub track_thresh: Option<f64>,
    /// The appearance network, if the settings name one.
    pub appearance_network: Option<ModelIdentity>,
}

/// Decodes the frames that a chunk owns, and detects objects in them. Blocks.
pub trait SegmentDetector: Send + Sync + std::fmt::Debug {
    /// Loads the model that a request's settings name.
    ///
    /// # Errors
    /// Permanent: the model is not offered, or can't be used. Transient: it can't be downloaded now.
    fn model(&self, settings: &RequestSettings, delivery: &Delivery) -> Result<ModelFacts, Failure>;

    /// Returns the detections of all frames that the chunk owns and that the detector looks at.
    ///
    /// # Errors
    /// Permanent: the frames of the chunk are not those of its segment, or the model fails on them.
    fn detect(
        &self,
        chunk: &Path,
        segment: &SegmentDescription,
        looks: Looks,
        delivery: &Delivery,
    ) -> Result<SegmentDetections, Failure>;
}

/// The handler.
#[derive(Debug)]
pub struct Track {
    cloud: Cloud,
    detector: Arc<dyn SegmentDetector>,
}

impl Track {
    /// A handler over this cloud and detector.
    pub fn new(cloud: Cloud, detector: Arc<dyn SegmentDetector>) -> Self {
        Self { cloud, detector }
    }
}

#[async_trait]
impl StageHandler for Track {
    const STAGE: Stage = Stage::Track;

    fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    async fn work(&self, request: &RequestId, chunk: &ObjectFinalized, delivery: &Delivery) -> Result<(), Failure> {
        let Some(info) = self.cloud.find(&chunk.object).await? else {
            // The chunk was deleted: with its request, or by a run that cuts the video again from the beginning.
            return Ok(());
        };
        let segment = SegmentDescription::from_metadata(&info.metadata).map_err(Failure::permanent_from)?;
        let result = PerSegment::Detections.object(request, segment.segment_number);
        if self.cloud.find(&result).await?.is_none() {
            let started = Stopwatch::start();
            let Some(stride) = segment.settings.detect_every.frames() else {
                return Err(Failure::permanent(format!(
                    "{} does not say how often it is to be looked at, but {}: process the video again",
                    segment.chunk_name(),
                    segment.settings.detect_every
                )));
            };
            let looks = segment.looks(stride.get());
            let (bytes, rows) = self.detect(chunk, segment.clone(), looks, delivery.clone()).await?;
            let seen = looks.count(segment.span.first_frame, segment.span.frame_count);
            let mut work = WorkReport::of(delivery, started, seen, segment.span.seconds());
            work.rows = rows;
            let new = NewObject::of_bytes(result, bytes, "application/vnd.apache.parquet").with_work(&work);
            self.cloud.create(new).await?;
        }
        let (number, of) = (segment.segment_number, segment.segment_count);
        count::complete(&self.cloud, Counted::Track, request, number, of, delivery).await
    }
}

impl Track {
    /// Writes the segment's detections as a Parquet file. Returns it, and the number of its rows.
    async fn detect(
        &self,
        chunk: &ObjectFinalized,
        segment: SegmentDescription,
        looks: Looks,
        delivery: Delivery,
    ) -> Result<(Vec<u8>, u64), Failure> {
        let fetch = self.cloud.storage.fetch(&chunk.object, Some(chunk.generation));
        let (_, file) = downloading(&delivery, fetch).await?;
        let detector = self.detector.clone();
        blocking(move || {
            let model = detector.model(&segment.settings, &delivery)?;
            check_classes(&segment.settings, &model)?;
            let found = detector.detect(file.path(), &segment, looks, &delivery)?;
            let footer = SegmentFooter {
                frame_pts: found.frame_pts,
                account: found.account,
                model: model.identity,
                class_names: model.class_names,
                track_thresh: model.track_thresh,
                appearance: segment.settings.appearance.clone(),
                appearance_network: model.appearance_network,
            };
            let write = || -> Result<(Vec<u8>, u64), TableError> {
                let mut writer = DetectionsWriter::with_appearance(Vec::new(), found.appearances.bytes_each())?;
                for (at, row) in found.rows.into_iter().enumerate() {
                    writer.push_seen(row, found.appearances.get(at).unwrap_or_default())?;
                }
                writer.finish(Some(&footer))
            };
            write().map_err(Failure::permanent_from)
        })
        .await
    }
}

/// Refuses a class that the model does not have, before any frame is decoded.
///
/// # Errors
/// Permanent: there is such a class. The message has similar names of the model's classes.
pub fn check_classes(settings: &RequestSettings, model: &ModelFacts) -> Result<(), Failure> {
    let names = &model.class_names;
    if let Some(class) =
        settings.classes.iter().flatten().chain(&settings.blur).find(|class| classes_named(class, names).is_empty())
    {
        let mut nearest: Vec<&String> = names.iter().collect();
        if names.len() > NEAREST {
            nearest.sort_by(|a, b| likeness(class, b).total_cmp(&likeness(class, a)));
        }
        let nearest: Vec<&str> = nearest.iter().take(NEAREST).map(|name| name.as_str()).collect();
        let others = match names.len().saturating_sub(NEAREST) {
            0 => String::new(),
            others => format!(", and {others} more, which `trackdrop model inspect FILE --json` lists"),
        };
        return Err(Failure::permanent(format!(
            "the model {} knows no class {:?}; it knows: {}{others}",
            model.identity.name,
            cut(class, LONGEST_SHOWN),
            nearest.join(", ")
        )));
    }
    Ok(())
}

/// How many class names the message shows if the model lacks the requested one.
const NEAREST: usize = 5;

/// How similar a user's word is to a class name, from 0 to 1.
fn likeness(asked: &str, name: &str) -> f64 {
    strsim::jaro_winkler(&asked.to_lowercase(), &name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(asked: &str, names: &[&str]) -> String {
        let settings = RequestSettings { classes: Some(vec![asked.to_owned()]), ..RequestSettings::default() };
        let model = ModelFacts {
            identity: ModelIdentity { name: "street".to_owned(), sha256: String::new() },
            class_names: names.iter().map(ToString::to_string).collect(),
            track_thresh: None,
            appearance_network: None,
        };
        check_classes(&settings, &model).unwrap_err().to_string()
    }

    #[test]
    fn the_five_nearest_of_eighty_class_names_are_named_the_nearest_first() {
        let near = ["traffic lamp", "traffic", "traffic cone", "traffic light", "traffic sign"];
        let others: Vec<String> = (0..75).map(|number| format!("class_{number}")).collect();
        let mut names: Vec<&str> = others.iter().map(String::as_str).collect();
        // Spread over the model's own order.
        for (place, name) in near.into_iter().enumerate() {
            names.insert(place * 16, name);
        }
        let said = refusal("Trafic", &names);
        let start = "the model street knows no class \"Trafic\"; it knows: traffic, ";
        assert!(said.starts_with(start) && said.contains(", and 75 more, which"), "{said}");
        assert!(near.iter().all(|name| said.contains(name)) && !said.contains("class_"), "{said}");
    }

    #[test]
    fn of_a_few_class_names_all_are_named_in_the_model_s_order() {
        let said = refusal("van", &["truck", "van der", "car"]);
        assert!(said.ends_with("it knows: truck, van der, car"), "{said}");
    }
}
