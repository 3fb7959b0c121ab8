//! Where the identity of a linked track is weakest.

use serde::{Deserialize, Serialize};

/// Two pieces of tracks that `link` made one identity: `tracks.parquet` has them in its footer, by track and time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdentityLink {
    /// The identity.
    pub track_id: u64,
    /// Index of the earlier piece's last frame.
    pub last_frame_index: u64,
    /// Its time, as `time_s` in rows.
    pub last_time_s: f64,
    /// Index of the later piece's first frame.
    pub first_frame_index: u64,
    /// Its time.
    pub first_time_s: f64,
    /// How much better this link is than the best other use of one of its two ends: another link, or none. In natural logarithms of
    /// likelihood: at 0.7 the other was half as likely, at 4.6 a hundredth. Below 0 where the whole was better served by a link that is
    /// not the best of its own.
    pub identity_margin: f64,
}
