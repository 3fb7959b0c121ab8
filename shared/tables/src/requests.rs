//! One row per finished request. The fields of the row are the columns of [`crate::schema::REQUESTS`].

use serde::{Deserialize, Serialize};
use trackdrop_pipeline::{Rational, RequestId, RequestState, Stage, Timestamp, manifest::VideoInfo};

/// A finished request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestRow {
    /// The request.
    pub request_id: RequestId,
    /// If this is a version: the request whose detections it uses.
    pub retrack_of: Option<RequestId>,
    /// Object name of the upload.
    pub video: String,
    /// Creation time of the upload.
    pub uploaded_at: Timestamp,
    /// When the request ended.
    pub finished_at: Timestamp,
    /// `done`, `done_without_video` or `failed`.
    pub state: RequestState,
    /// The stage that failed.
    pub error_stage: Option<Stage>,
    /// Why it failed.
    pub error: Option<String>,
    /// Segments that the video was cut into.
    pub segments: i64,
    /// Frames of the ledger.
    pub frames: i64,
    /// Frames decoded with errors or not at all.
    pub frames_damaged: i64,
    /// Detections stored.
    pub detections: i64,
    /// Rows in `tracks`.
    pub track_rows: i64,
    /// Identities.
    pub track_count: i64,
    /// Name of the model.
    pub model: Option<String>,
    /// SHA-256 of the model file, hex.
    pub model_sha256: Option<String>,
    /// Release of Trackdrop.
    pub version: String,
    /// Seconds of work in `split`.
    pub split_s: f64,
    /// Seconds of work in `track`, all segments together.
    pub track_s: f64,
    /// Seconds of work in `merge`.
    pub merge_s: f64,
    /// Seconds of work in `annotate`, all segments together.
    pub annotate_s: f64,
    /// Seconds of work in `join`.
    pub join_s: f64,
    /// How the picture is stored and shown.
    #[serde(flatten)]
    pub picture: PictureColumns,
}

/// How the pictures of a video are stored and shown. All fields are none if the upload is not a video.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PictureColumns {
    /// Width of the upright picture that boxes are in.
    pub width_px: Option<i64>,
    /// Height of that picture.
    pub height_px: Option<i64>,
    /// Width of the decoded picture, as it is stored.
    pub stored_width_px: Option<i64>,
    /// Height of the decoded picture, as it is stored.
    pub stored_height_px: Option<i64>,
    /// Whether the stored picture must be mirrored left to right to be upright.
    pub mirrored: Option<bool>,
    /// By how many degrees it must be turned clockwise after that.
    pub rotation_degrees: Option<i64>,
    /// Width of a pixel of the upright picture divided by its height.
    pub sample_aspect_ratio: Option<Rational>,
    /// Width at which a player shows the upright picture.
    pub shown_width_px: Option<i64>,
    /// Height at which a player shows the upright picture.
    pub shown_height_px: Option<i64>,
}

impl From<&VideoInfo> for PictureColumns {
    fn from(video: &VideoInfo) -> Self {
        Self {
            width_px: Some(video.width_px.into()),
            height_px: Some(video.height_px.into()),
            stored_width_px: video.stored_width_px.map(i64::from),
            stored_height_px: video.stored_height_px.map(i64::from),
            mirrored: video.mirrored,
            rotation_degrees: Some(video.rotation_degrees.into()),
            sample_aspect_ratio: video.sample_aspect_ratio,
            shown_width_px: video.shown_width_px.map(i64::from),
            shown_height_px: video.shown_height_px.map(i64::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::REQUESTS;

    #[test]
    fn a_row_has_exactly_the_tables_columns_in_order() {
        let row = RequestRow {
            request_id: "req_0aZ9bY8c_20261123T182501".parse().unwrap(),
            retrack_of: None,
            video: "v".into(),
            uploaded_at: Timestamp::from_micros(0),
            finished_at: Timestamp::from_micros(0),
            state: RequestState::Done,
            error_stage: None,
            error: None,
            segments: 0,
            frames: 0,
            frames_damaged: 0,
            detections: 0,
            track_rows: 0,
            track_count: 0,
            model: None,
            model_sha256: None,
            version: "0".into(),
            split_s: 0.0,
            track_s: 0.0,
            merge_s: 0.0,
            annotate_s: 0.0,
            join_s: 0.0,
            picture: PictureColumns::default(),
        };
        let json = serde_json::to_string(&row).unwrap();
        let mut position = 0;
        for column in REQUESTS.columns {
            let key = format!("\"{}\":", column.name);
            position += json[position..].find(&key).unwrap_or_else(|| panic!("{key} is missing or out of order"));
        }
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&json).unwrap().as_object().unwrap().len(),
            REQUESTS.columns.len()
        );
    }
}
