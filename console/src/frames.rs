//! The time of every frame, so that the page never computes a frame from a time and a frame rate.

use crate::{Console, json::Json, problem::Problem, requests};
use axum::extract::{Path, State};
use serde_json::json;
use std::sync::Arc;

pub(crate) async fn table(State(console): State<Arc<Console>>, Path(request): Path<String>) -> Result<Json, Problem> {
    let manifest = requests::found(&console, &request).await?;
    let video = manifest
        .source
        .video
        .as_ref()
        .ok_or_else(|| Problem::not_found(format!("{request} has no frames: it is {}", manifest.state.as_str())))?;
    // Run-length coded, as the manifest writes them: an hour at a constant rate takes a few bytes a segment.
    let segments: Vec<_> = manifest.segments.iter().map(|segment| segment.frame_pts.to_string()).collect();
    Ok(Json(json!({
        "time_base": [video.time_base.num(), video.time_base.den()], "origin_pts": video.origin_pts, "end_pts": video.end_pts,
        "frame_count": video.frame_count, "segments": segments,
    })))
}
