//! Finds the request that a user names, by the rules of the `trackdrop` command and with its messages.

use crate::error;
use pyo3::prelude::*;
use std::{collections::BTreeSet, fs, io::ErrorKind, path::PathBuf};
use trackdrop_pipeline::{
    Bucket, Manifest, RequestId, Timestamp,
    asked::{Candidate, LATEST, NotOne, meant},
};

/// A request of the data directory.
struct Known {
    uploaded_at: Timestamp,
    /// When its upload was created; for a version, when the version was requested.
    made_at: Timestamp,
    request: RequestId,
    video: String,
    state: &'static str,
}

/// The file of a manifest. If its request is a version, also when it was requested, in µs since 1970.
type Planned = (PathBuf, Option<i64>);

/// An upload's name, its generation, and when it was created, in µs since 1970.
type Upload = (String, i64, i64);

/// The id of the request that `asked` names. `asked` is not a whole id.
#[pyfunction]
pub(crate) fn request_meant(
    py: Python<'_>,
    asked: &str,
    planned: Vec<Planned>,
    uploads: Vec<Upload>,
    deleted: Vec<String>,
) -> PyResult<String> {
    py.detach(|| {
        let mut known = planned.into_iter().filter_map(|one| read(one).transpose()).collect::<PyResult<Vec<_>>>()?;
        let mut settled: BTreeSet<String> = known.iter().map(|known| known.request.to_string()).collect();
        settled.extend(deleted);
        known.extend(uploads.into_iter().map(waiting).filter(|known| !settled.contains(known.request.as_str())));
        known.sort_by(|a, b| (a.uploaded_at, &a.request).cmp(&(b.uploaded_at, &b.request)));
        if asked == LATEST
            && let Some(latest) = known.iter().max_by_key(|known| (known.made_at, &known.request))
        {
            return Ok(latest.request.to_string());
        }
        let candidates: Vec<Candidate<'_>> = known
            .iter()
            .map(|known| Candidate { request: &known.request, video: &known.video, state: known.state })
            .collect();
        match meant(asked, &candidates) {
            Ok(request) => Ok(request.to_string()),
            Err(several @ NotOne::Several { .. }) => Err(error::value(several)),
            Err(none) => Err(error::absent(none)),
        }
    })
}

/// None if the request is being deleted.
fn read((path, asked_at): Planned) -> PyResult<Option<Known>> {
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(problem) if problem.kind() == ErrorKind::NotFound => return Ok(None),
        Err(problem) => return Err(error::opening(&path, &problem)),
    };
    let manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|problem| error::value(format!("{}: {problem}", path.display())))?;
    let uploaded_at = manifest.source.uploaded_at;
    let asked_at = asked_at.filter(|_| manifest.retrack_of.is_some()).map(Timestamp::from_micros);
    Ok(Some(Known {
        uploaded_at,
        made_at: asked_at.unwrap_or(uploaded_at),
        video: manifest.video().to_owned(),
        state: manifest.state.as_str(),
        request: manifest.request_id,
    }))
}

/// The request of an upload that is not planned yet.
fn waiting((video, generation, created): Upload) -> Known {
    let made_at = Timestamp::from_micros(created);
    let request = RequestId::of_upload(Bucket::Uploads.as_str(), &video, generation, made_at);
    Known { uploaded_at: made_at, made_at, request, video, state: "waiting" }
}
