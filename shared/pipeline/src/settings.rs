//! What a user asks for with an upload. The settings travel with the request: results depend on these and on
//! nothing that a function is deployed with.

mod edits;
mod refinements;
mod sharing;

use crate::{export_format::ExportFormat, looks::DetectEvery, names::cut, time::Rational};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{collections::BTreeMap, fmt, marker::PhantomData};
use trackdrop_tracker::{check_match_thresh, check_track_thresh};

pub use edits::{Edit, EditError};
use refinements::refinements;
pub use refinements::{
    Appearance, AppearanceNetwork, LINK_GAP_S, LONGEST_LINK_GAP_S, NamedAppearance, NamedSmooth, Refinements, Smooth,
};

/// How one request is to be processed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RequestSettings {
    /// Target length of a segment in seconds; cuts fall on keyframes, so segments are at least this long, but for the
    /// last one and one before a part that is divided.
    pub segment_seconds: f64,
    /// The detector: on one machine the path of an ONNX file; for the services one of the offered models, by its name or as
    /// `gs://BUCKET/OBJECT`. None means the default model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// SHA-256 of the model file, so that a changed file is noticed; hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_sha256: Option<String>,
    /// SHA-256 of the model's card, where it has one; hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card_sha256: Option<String>,
    /// Only objects of these classes are tracked; none means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Detections that score below this are ignored. Detections up to 0.1 never count (ByteTrack's floor).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_score: Option<f32>,
    /// How many frames come from one look of the detector to the next, 1 to 100. Frames in between are skipped by plan; an object that is
    /// seen in both looks has a row in each of them with `observed = false`.
    #[serde(skip_serializing_if = "DetectEvery::is_all")]
    pub detect_every: DetectEvery,
    /// Whether the annotated video is made.
    pub video: bool,
    /// Objects of these classes are made unrecognisable in the annotated video, in every frame from shortly before a track begins until shortly after
    /// it ends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blur: Vec<String>,
    /// What is drawn into the annotated video.
    #[serde(skip_serializing_if = "Boxes::are_all")]
    pub boxes: Boxes,
    /// Whether the best crop of each object is written, in the same pass that makes the annotated video.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub crops: bool,
    /// Which of the file's video streams is tracked, from 0, cover pictures not counted; none means the one that the manifest's
    /// `video_streams` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_stream: Option<u32>,
    /// Pictures per second of a bare stream, which has no clock; none means the rate that the stream states, or 25.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_frame_rate: Option<Rational>,
    /// The share of damaged frames above which the request fails; none means one half.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_damaged_share: Option<f64>,
    /// Formats of other tools in which the tracks are also written, one file per format.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<ExportFormat>,
    /// Whether `time_s` counts from the zero of the source's clock, even if the video begins much later on that clock.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub source_clock: bool,
    /// Where the tracker departs from its defaults.
    #[serde(deserialize_with = "object")]
    pub tracker: TrackerOverrides,
    /// The refinements of the finished tracks.
    #[serde(skip_serializing_if = "Refinements::is_none", deserialize_with = "refinements")]
    pub refine: Refinements,
    /// What is stored about the look of each detection; with `refine.link` links compare it, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appearance: Option<Appearance>,
    /// Corrections by a person, made last and in this order: `merge 3 7`, `split 3 120`, `class 3 car`, `delete 9`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub edits: Vec<Edit>,
}

/// What to draw into an annotated video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Boxes {
    /// The box, the label and the trail of every object.
    #[default]
    All,
    /// Nothing.
    None,
}

impl Boxes {
    /// Whether all of them are drawn.
    pub fn are_all(&self) -> bool {
        *self == Self::All
    }
}

/// ByteTrack's parameters. Those that are not set have their defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrackerOverrides {
    /// Score above which a detection takes part in the first association.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_thresh: Option<f64>,
    /// Cost limit of the first association.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_thresh: Option<f64>,
    /// Frames for which a lost track is retained, whatever the frame rate; with `scale_buffer` frames at 30 fps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_buffer: Option<u32>,
    /// Whether the cost is weighted by the detection's score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score_fusion: Option<bool>,
    /// A deviation from the reference: the buffer is `track_buffer` / 30 seconds in every video, whatever its frame rate.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub scale_buffer: bool,
    /// A deviation from the reference: each class is associated separately.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub per_class: bool,
}

/// Settings that are refused.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// The target length is no number, or too small.
    #[error("segment length {0} s is not a number of at least {SHORTEST_SEGMENT_S}")]
    SegmentSeconds(f64),
    /// Written as JSON they would not fit beside a chunk, which carries them.
    #[error(
        "the settings are {0} bytes as JSON; the maximum is {LONGEST_BYTES}: name fewer classes, or give shorter names"
    )]
    TooLong(usize),
    /// The score bound is outside 0 to 1.
    #[error("minimum score {0} is not between 0 and 1")]
    MinScore(f32),
    /// The tracker would refuse it.
    #[error(transparent)]
    Tracker(#[from] trackdrop_tracker::SettingsError),
    /// The standard deviation of the smoothing is out of its range.
    #[error("smoothing over {0} frames: it must be above 0 and at most 1,000")]
    Smooth(f64),
    /// The longest gap to link over is out of its range.
    #[error("linking over {0} s: it must be above 0 and at most {LONGEST_LINK_GAP_S}")]
    Link(f64),
    /// The rate of a bare stream is out of its range.
    #[error("raw frame rate {0}: it must be above 0 and at most 1,000 pictures a second")]
    RawFrameRate(Rational),
    /// The share of damaged frames is outside 0 to 1.
    #[error("largest share of damaged frames {0} is not between 0 and 1")]
    MaxDamagedShare(f64),
    /// A format that is asked for twice, whose file could be written once only.
    #[error("the format {0} is named twice in the list of exports")]
    ExportTwice(ExportFormat),
    /// A class that is to be blurred is not tracked, so nobody would know where its objects are.
    #[error("class {0:?} is to be blurred, but only other classes are tracked: add it to the list of classes")]
    BlurUntracked(String),
    /// Where not every frame is looked at, an object may be in the picture before anybody knows of it.
    #[error(
        "objects can be blurred only where every frame is looked at, and detect_every is {0}: make it 1, or blur nothing"
    )]
    BlurBetweenLooks(DetectEvery),
    /// Crops are made with the annotated video.
    #[error("crops need the annotated video: set `video` to true (leave out --no-video), or `crops` to false")]
    CropsWithoutVideo,
    /// A class list that names nothing.
    #[error("a list of classes is empty or has an empty name in it")]
    Classes,
    /// The settings of an upload do not parse.
    #[error("the upload's `trackdrop-settings` metadata can't be read: {0}")]
    Malformed(String),
}

/// The shortest target length of a segment. Cuts fall on key frames, so shorter ones would only make more of them.
pub const SHORTEST_SEGMENT_S: f64 = 0.1;
/// Settings travel in the custom metadata of each chunk, of which Cloud Storage takes 8 KiB in all ([`crate::segment`]).
pub const LONGEST_BYTES: usize = 4_096;
/// How many characters of a parser's message are shown: it repeats what it did not understand.
const LONGEST_REASON: usize = 300;

/// Reads a struct from an object alone: by itself serde takes a list of its fields for one as well, hence an empty list for all the defaults.
fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object, {...}")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(Object(PhantomData))
}

/// The key of an upload's custom metadata that holds its settings as JSON.
pub const METADATA_KEY: &str = "trackdrop-settings";

impl Default for RequestSettings {
    fn default() -> Self {
        Self {
            segment_seconds: 10.0,
            model: None,
            model_sha256: None,
            card_sha256: None,
            classes: None,
            min_score: None,
            detect_every: DetectEvery::ALL,
            video: true,
            blur: Vec::new(),
            boxes: Boxes::All,
            crops: false,
            video_stream: None,
            raw_frame_rate: None,
            max_damaged_share: None,
            exports: Vec::new(),
            source_clock: false,
            tracker: TrackerOverrides::default(),
            refine: Refinements::default(),
            appearance: None,
            edits: Vec::new(),
        }
    }
}

impl RequestSettings {
    /// The settings an upload carries in its custom metadata; the defaults where it carries none.
    ///
    /// # Errors
    /// Metadata that is not a JSON object of settings, or a value that no stage could honour.
    pub fn of_upload(metadata: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let Some(json) = metadata.get(METADATA_KEY) else { return Ok(Self::default()) };
        let malformed = |error: serde_json::Error| {
            SettingsError::Malformed(cut(&error.to_string(), LONGEST_REASON).escape_debug().to_string())
        };
        let mut json = serde_json::Deserializer::from_str(json);
        let settings: Self = object(&mut json).map_err(malformed)?;
        json.end().map_err(malformed)?;
        settings.check()?;
        Ok(settings)
    }

    /// Refuses values that no stage could honour.
    ///
    /// # Errors
    /// The first value that no stage could honour.
    pub fn check(&self) -> Result<(), SettingsError> {
        if !(self.segment_seconds >= SHORTEST_SEGMENT_S && self.segment_seconds.is_finite()) {
            return Err(SettingsError::SegmentSeconds(self.segment_seconds));
        }
        match serde_json::to_string(self) {
            Ok(json) if json.len() > LONGEST_BYTES => return Err(SettingsError::TooLong(json.len())),
            _ => {}
        }
        // Before the detector has worked for hours.
        self.tracker.track_thresh.map_or(Ok(()), check_track_thresh)?;
        self.tracker.match_thresh.map_or(Ok(()), check_match_thresh)?;
        if let Some(Smooth::Gaussian(sigma)) = self.refine.smooth
            && !(sigma > 0.0 && sigma <= 1000.0)
        {
            return Err(SettingsError::Smooth(sigma));
        }
        if let Some(gap_s) = self.refine.link.filter(|gap_s| !(*gap_s > 0.0 && *gap_s <= LONGEST_LINK_GAP_S)) {
            return Err(SettingsError::Link(gap_s));
        }
        if let Some(rate) = self.raw_frame_rate.filter(|rate| !(rate.num() > 0 && rate.to_f64() <= 1000.0)) {
            return Err(SettingsError::RawFrameRate(rate));
        }
        if let Some(share) = self.max_damaged_share.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(SettingsError::MaxDamagedShare(share));
        }
        if let Some((_, &format)) = (0..).zip(&self.exports).find(|&(at, format)| self.exports[..at].contains(format)) {
            return Err(SettingsError::ExportTwice(format));
        }
        if self.crops && !self.video {
            return Err(SettingsError::CropsWithoutVideo);
        }
        if self.blur.iter().any(|name| name.trim().is_empty()) {
            return Err(SettingsError::Classes);
        }
        if let Some(classes) = &self.classes
            && let Some(untracked) =
                self.blur.iter().find(|name| !classes.iter().any(|class| class.to_lowercase() == name.to_lowercase()))
        {
            return Err(SettingsError::BlurUntracked(cut(untracked, LONGEST_REASON).into_owned()));
        }
        if !self.blur.is_empty() && !self.detect_every.is_all() {
            return Err(SettingsError::BlurBetweenLooks(self.detect_every));
        }
        match (self.min_score, &self.classes) {
            (Some(score), _) if !(0.0..=1.0).contains(&score) => Err(SettingsError::MinScore(score)),
            (_, Some(classes)) if classes.is_empty() || classes.iter().any(|name| name.trim().is_empty()) => {
                Err(SettingsError::Classes)
            }
            _ => Ok(()),
        }
    }

    /// Of each of a model's classes whether its objects are tracked; none where all are.
    pub fn wanted_classes(&self, names: &[String]) -> Option<Vec<bool>> {
        let asked = self.classes.as_ref()?;
        let wanted: Vec<usize> = asked.iter().flat_map(|asked| classes_named(asked, names)).collect();
        Some((0..names.len()).map(|class| wanted.contains(&class)).collect())
    }

    /// Writes the classes that are asked for as the model does, so that other capitals are no other settings.
    pub fn name_classes_as(&mut self, names: &[String]) {
        if let (Some(wanted), Some(asked)) = (self.wanted_classes(names), &mut self.classes) {
            let wanted = names.iter().zip(wanted).filter(|(_, is_wanted)| *is_wanted);
            *asked = wanted.map(|(name, _)| name.clone()).collect();
        }
    }
}

/// The ids of the classes that a user means by a name: those of exactly this name, else those that differ from it by capitals only.
pub fn classes_named(asked: &str, names: &[String]) -> Vec<usize> {
    let those = |is_meant: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..names.len()).filter(|&class| is_meant(&names[class])).collect()
    };
    match those(&|name| name == asked) {
        exact if !exact.is_empty() => exact,
        _ => those(&|name| name.to_lowercase() == asked.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_may_be_named_without_its_capitals_unless_two_differ_by_them_only() {
        let names = ["person", "Car", "car"].map(str::to_owned);
        let named = |asked: &str| classes_named(asked, &names);
        assert_eq!((named("Person"), named("car"), named("CAR"), named("bus")), (vec![0], vec![2], vec![1, 2], vec![]));
        let settings = RequestSettings { classes: Some(vec!["Person".into()]), ..Default::default() };
        assert_eq!(settings.wanted_classes(&names), Some(vec![true, false, false]));
        assert_eq!(RequestSettings::default().wanted_classes(&names), None);
    }

    #[test]
    fn settings_that_no_stage_could_honour_are_refused_with_the_value() {
        for bad in [0.0, -1.0, 1e-9, 0.099, f64::NAN, f64::INFINITY] {
            assert!(RequestSettings { segment_seconds: bad, ..Default::default() }.check().is_err(), "{bad}");
        }
        let settings = RequestSettings { min_score: Some(1.5), ..Default::default() };
        assert_eq!(settings.check().unwrap_err().to_string(), "minimum score 1.5 is not between 0 and 1");
        assert_eq!(
            RequestSettings { classes: Some(vec![]), ..Default::default() }.check(),
            Err(SettingsError::Classes)
        );
        let everything = TrackerOverrides { track_thresh: Some(0.0), ..Default::default() };
        assert_eq!(RequestSettings { tracker: everything, ..Default::default() }.check(), Ok(()));
        let nothing = TrackerOverrides { match_thresh: Some(0.0), ..Default::default() };
        assert!(RequestSettings { tracker: nothing, ..Default::default() }.check().is_err());
        for bad in [-0.1, 1.1, f64::NAN] {
            for tracker in [
                TrackerOverrides { track_thresh: Some(bad), ..Default::default() },
                TrackerOverrides { match_thresh: Some(bad), ..Default::default() },
            ] {
                assert!(RequestSettings { tracker, ..Default::default() }.check().is_err(), "{bad}");
            }
        }
        for bad in [0.0, f64::NAN, 1001.0] {
            for refine in [
                Refinements { smooth: Some(Smooth::Gaussian(bad)), ..Default::default() },
                Refinements { link: Some(bad), ..Default::default() },
            ] {
                assert!(RequestSettings { refine, ..Default::default() }.check().is_err(), "{bad}");
            }
        }
        for bad in ["0/1", "-25/1", "1001/1"] {
            let settings = RequestSettings { raw_frame_rate: Some(bad.parse().unwrap()), ..Default::default() };
            assert!(settings.check().unwrap_err().to_string().contains(bad));
        }
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(RequestSettings { max_damaged_share: Some(bad), ..Default::default() }.check().is_err(), "{bad}");
        }
        let many = RequestSettings { classes: Some(vec!["x".repeat(100); 40]), ..Default::default() };
        assert!(many.check().unwrap_err().to_string().contains("4096"), "{many:?}");
        let blur = |classes: Option<&str>| RequestSettings {
            classes: classes.map(|name| vec![name.to_owned()]),
            blur: vec!["person".into()],
            ..Default::default()
        };
        assert_eq!((blur(None).check(), blur(Some("person")).check()), (Ok(()), Ok(())));
        assert_eq!(blur(Some("car")).check(), Err(SettingsError::BlurUntracked("person".into())));
        let detect_every = 2.try_into().unwrap();
        let between = RequestSettings { detect_every, ..blur(None) };
        assert_eq!(between.check(), Err(SettingsError::BlurBetweenLooks(detect_every)));
        let crops = RequestSettings { crops: true, video: false, ..Default::default() };
        assert_eq!(crops.check(), Err(SettingsError::CropsWithoutVideo));
        let misspelt = BTreeMap::from([(METADATA_KEY.to_owned(), r#"{"segment_secs": 3}"#.to_owned())]);
        assert!(RequestSettings::of_upload(&misspelt).is_err());
    }

    #[test]
    fn settings_are_an_object_and_what_is_none_is_refused_in_a_short_line() {
        let of = |json: &str| RequestSettings::of_upload(&BTreeMap::from([(METADATA_KEY.to_owned(), json.to_owned())]));
        assert_eq!(of("{}").unwrap(), RequestSettings::default());
        assert!(of(r#"{"tracker": {"track_thresh": 0.4}, "refine": {"backfill": true}}"#).is_ok());
        assert_eq!(of(r#"{"refine": true}"#).unwrap().refine, Refinements::best());
        assert_eq!(of(r#"{"refine": false}"#).unwrap().refine, Refinements::default());
        let both = of(r#"{"refine": {"smooth": "rts", "link": 1.5}}"#).unwrap().refine;
        assert_eq!(both, Refinements { smooth: Some(Smooth::RTS), link: Some(1.5), ..Default::default() });
        assert_eq!(serde_json::to_string(&both).unwrap(), r#"{"smooth":"rts","link":1.5}"#);
        assert_eq!(of(r#"{"appearance": "color"}"#).unwrap().appearance, Some(Appearance::COLOR));
        let by_network = of(r#"{"appearance": {"network": "osnet"}}"#).unwrap().appearance.unwrap();
        assert_eq!(
            (by_network.to_string(), by_network.network().unwrap().network_sha256.clone()),
            ("osnet".into(), None)
        );
        assert_eq!(serde_json::to_string(&by_network).unwrap(), r#"{"network":"osnet"}"#);
        assert_eq!(of(r#"{"detect_every": 3}"#).unwrap().detect_every, 3.try_into().unwrap());
        assert_eq!(of(r#"{"detect_every": "auto"}"#).unwrap().detect_every, DetectEvery::AUTO);
        assert_eq!(serde_json::to_value(of("{}").unwrap()).unwrap().get("detect_every"), None);
        assert_eq!(of(r#"{"refine": {"smooth": 2}}"#).unwrap().refine.smooth, Some(Smooth::Gaussian(2.0)));
        let long = format!(r#"{{"{}": 1}}"#, "x\\n".repeat(2_000));
        for bad in [
            "[]",
            "[3.0]",
            "",
            "null",
            "1",
            "\"x\"",
            "{} {}",
            r#"{"tracker": []}"#,
            r#"{"detect_every": "often"}"#,
            r#"{"detect_every": 0}"#,
            r#"{"detect_every": "auto:0"}"#,
            r#"{"appearance": "smell"}"#,
            r#"{"appearance": {}}"#,
            r#"{"appearance": {"network": "osnet", "batch": 3}}"#,
            r#"{"refine": []}"#,
            r#"{"refine": 1}"#,
            r#"{"refine": {"smooth": "gauss"}}"#,
            r#"{"tracker": [0.5]}"#,
            r#"{"video": true, "video": false}"#,
            r#"{"segment_seconds": 1e999}"#,
            r#"{"classes": {}}"#,
            &long,
        ] {
            let error = of(bad).unwrap_err().to_string();
            assert!(
                error.contains("trackdrop-settings") && error.len() < 900 && !error.contains('\n'),
                "{bad}: {error}"
            );
        }
    }
}
