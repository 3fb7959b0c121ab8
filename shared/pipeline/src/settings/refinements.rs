//! The refinements of finished tracks that a request asks for.

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::fmt;

/// Named deviations from the rows that the tracker returned, each off by default. Only `link` changes ids, no row is removed, and
/// rows that are added have `observed = false`. An upload may say `"refine": true` for [`Refinements::best`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Refinements {
    /// Gaps of up to this many frames are filled by straight lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill_gaps: Option<u32>,
    /// How boxes are smoothed over time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smooth: Option<Smooth>,
    /// The detection that a track was born from becomes its first row.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub backfill: bool,
    /// Tracks are cut at each missing frame, and the track pieces are linked again over the whole video where at most this many seconds are between
    /// them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<f64>,
    /// Detections that belong to no track are added to the tracks that pass there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recover: bool,
}

/// What is stored about the look of each detection; links compare it, too. An upload sets `"color"` or `{"network": NAME}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "appearance is neither \"color\" nor {\"network\": NAME}")]
pub enum Appearance {
    /// By name.
    Named(NamedAppearance),
    /// The vectors of a re-identification network.
    Network(AppearanceNetwork),
}

/// A description of detections that needs no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NamedAppearance {
    /// The colours of the box in four stripes, 64 bytes.
    Color,
}

/// A network that computes a vector from the crop of each box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppearanceNetwork {
    /// On one machine the path of an ONNX file; for the services one of the offered models, by its name or as
    /// `gs://BUCKET/OBJECT`.
    pub network: String,
    /// SHA-256 of the file, so that a changed one is noticed; hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_sha256: Option<String>,
    /// SHA-256 of its card; hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_card_sha256: Option<String>,
}

impl Appearance {
    /// The colours of the box.
    pub const COLOR: Self = Self::Named(NamedAppearance::Color);

    /// The network that is asked for, if one is.
    pub fn network(&self) -> Option<&AppearanceNetwork> {
        match self {
            Self::Named(NamedAppearance::Color) => None,
            Self::Network(network) => Some(network),
        }
    }

    /// Whether both describe a detection in the same way. The path of a network is not compared if its hash is known.
    pub fn is_same(&self, other: &Self) -> bool {
        self.essence() == other.essence()
    }

    /// What the stored bytes depend on.
    pub(super) fn essence(&self) -> Self {
        match self {
            Self::Network(network) if network.network_sha256.is_some() => {
                Self::Network(AppearanceNetwork { network: String::new(), ..network.clone() })
            }
            other => other.clone(),
        }
    }
}

impl fmt::Display for Appearance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(NamedAppearance::Color) => f.write_str("color"),
            Self::Network(AppearanceNetwork { network, .. }) => f.write_str(network),
        }
    }
}

/// How boxes are smoothed over time: by a Gaussian of this standard deviation in frames, or as its name says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Smooth {
    /// Standard deviation in frames.
    Gaussian(f64),
    /// By name.
    Named(NamedSmooth),
}

/// A way to smooth that has no parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NamedSmooth {
    /// A Kalman filter and the smoother of Rauch, Tung and Striebel, with the video's own noise; fills gaps of up to 18 frames or one second.
    Rts,
}

impl Smooth {
    /// The smoother of Rauch, Tung and Striebel.
    pub const RTS: Self = Self::Named(NamedSmooth::Rts);
}

/// The longest gap that is linked over unless another is asked for, s.
pub const LINK_GAP_S: f64 = 3.0;
/// A longer gap can't be asked for: a prediction over a minute says nothing.
pub const LONGEST_LINK_GAP_S: f64 = 60.0;

impl Refinements {
    /// The refinements that were best on the measured sequences of MOTChallenge: link, recover, and smooth by RTS.
    pub fn best() -> Self {
        Self { link: Some(LINK_GAP_S), recover: true, smooth: Some(Smooth::RTS), ..Self::default() }
    }

    /// Whether the tracks of the tracker are not changed.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads refinements from an object, or from `true`, which is the best of them, and `false`, which is none.
pub(super) fn refinements<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Refinements, D::Error> {
    struct ObjectOrBool;

    impl<'de> Visitor<'de> for ObjectOrBool {
        type Value = Refinements;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true, false or an object, {...}")
        }

        fn visit_bool<E>(self, best: bool) -> Result<Refinements, E> {
            Ok(if best { Refinements::best() } else { Refinements::default() })
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Refinements, A::Error> {
            Refinements::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(ObjectOrBool)
}
