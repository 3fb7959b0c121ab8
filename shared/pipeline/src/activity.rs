//! What an attempt spends its time on: the parts of a stage's work that reports show separately.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A part of a stage's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// Getting an object from the store.
    Download,
    /// Reading a video's packets and planning its segments.
    Index,
    /// Copying packets into chunks.
    Cut,
    /// Loading the model.
    Model,
    /// Decoding frames, and scaling them to what the network takes.
    Decode,
    /// The network, with what comes before and after it.
    Inference,
    /// Giving detections their identities.
    Association,
    /// Drawing tracks into frames.
    Drawing,
    /// Encoding frames.
    Encoding,
    /// Joining annotated segments, and copying the source's audio.
    Join,
    /// Loading rows into the warehouse.
    Load,
}

impl Activity {
    /// The activity's name, as spans and reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Index => "index",
            Self::Cut => "cut",
            Self::Model => "model",
            Self::Decode => "decode",
            Self::Inference => "inference",
            Self::Association => "association",
            Self::Drawing => "drawing",
            Self::Encoding => "encoding",
            Self::Join => "join",
            Self::Load => "load",
        }
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The work that an attempt has reported as done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WorkDone {
    /// Seconds of work.
    pub seconds: f64,
    /// Frames.
    pub frames: u64,
    /// Seconds of video that these frames are shown for.
    pub video_seconds: f64,
}
