//! The stages of a request.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The stages of a request, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Index, plan and cut the upload.
    Split,
    /// Decode a chunk's window and detect objects.
    Track,
    /// Give every object one identity over the whole video.
    Merge,
    /// Write the rows into the warehouse.
    Load,
    /// Draw a segment's final tracks.
    Annotate,
    /// Join the annotated segments.
    Join,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 6] = [Self::Split, Self::Track, Self::Merge, Self::Load, Self::Annotate, Self::Join];

    /// The function's name, as the trigger files write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Track => "track",
            Self::Merge => "merge",
            Self::Load => "load",
            Self::Annotate => "annotate",
            Self::Join => "join",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
