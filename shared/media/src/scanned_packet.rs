//! What a pass over a stream finds about each packet.

use crate::entry_point::LeadIn;
use serde::{Deserialize, Serialize};

/// A packet as the container stores it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScannedPacket {
    pub pts: Option<i64>,
    pub dts: Option<i64>,
    pub duration: i64,
    pub position: i64,
    pub size: usize,
    /// A decoder may start here.
    pub is_entry: bool,
    /// The container says that this picture is not for showing.
    pub is_discarded: bool,
    /// A picture comes out of it (VP8 and VP9 have packets that only update references).
    pub has_picture: bool,
    /// Its picture refers to a part of the stream that the file does not hold.
    pub is_lost: bool,
    /// An edit list hides its picture.
    pub is_hidden: bool,
    /// It completes the frame of the packet before it, and has no picture of its own.
    pub is_second_field: bool,
    /// The bitstream says that it is shown before the picture that is stored ahead of it.
    pub shows_before_previous: bool,
    /// The container describes the stream again from this packet on.
    pub new_extradata: Option<Box<[u8]>>,
    /// What a chunk needs in front of it.
    pub lead_in: Option<Box<LeadIn>>,
}

/// A picture that came out of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DecodedPicture {
    /// Index of its packet.
    pub packet: usize,
    /// It was decoded without errors.
    pub is_whole: bool,
}
