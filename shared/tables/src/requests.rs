//! One row a finished request: the row's fields are the columns of [`crate::schema::REQUESTS`].

use serde::{Deserialize, Serialize};
use trackdrop_pipeline::{RequestId, RequestState, Stage, Timestamp};

/// A finished request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestRow {
    /// The request.
    pub request_id: RequestId,
    /// The request whose detections it was made from, where it is another version of that one's tracks.
    pub retrack_of: Option<RequestId>,
    /// Object name of the upload.
    pub video: String,
    /// Creation time of the upload.
    pub uploaded_at: Timestamp,
    /// When the request ended.
    pub finished_at: Timestamp,
    /// `done` or `failed`.
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
    /// Version of Trackdrop.
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
