//! Tracks frame by frame.

use crate::{arrays, error};
use numpy::{PyArray1, PyArray2};
use pyo3::{exceptions::PyTypeError, intern, prelude::*};
use trackdrop_tracker::{Detection, Rules, Settings, Track};

/// See `_trackdrop.pyi`.
#[pyclass(module = "trackdrop", frozen)]
pub(crate) struct Tracks {
    #[pyo3(get)]
    ids: Py<PyArray1<i64>>,
    #[pyo3(get)]
    xyxy: Py<PyArray2<f64>>,
    #[pyo3(get)]
    scores: Py<PyArray1<f64>>,
    #[pyo3(get)]
    class_ids: Option<Py<PyAny>>,
    #[pyo3(get)]
    detections: Py<PyArray1<i64>>,
    count: usize,
}

#[pymethods]
impl Tracks {
    fn __len__(&self) -> usize {
        self.count
    }

    fn __repr__(&self) -> String {
        format!("<trackdrop.Tracks of {} objects>", self.count)
    }
}

/// Which boxes are returned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Boxes {
    Tracker,
    Detections,
}

/// See `_trackdrop.pyi`.
#[pyclass(module = "trackdrop", subclass)]
pub(crate) struct ByteTrack {
    tracker: trackdrop_tracker::ByteTrack,
    boxes: Boxes,
}

#[pymethods]
impl ByteTrack {
    #[new]
    #[pyo3(signature = (
        track_thresh = 0.6, match_thresh = 0.9, track_buffer = 30, frame_rate = 30.0, score_fusion = true, *,
        boxes = "tracker", thresh_is_high = false, birth_thresh_capped = false, plain_iou = false, close_duplicates = false,
        forgive_timeout = false, ids_at_confirmation = false, confirm_frames = 1, pairs_at_limit = false,
        single_precision = false, births_in_set_order = false
    ))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    #[allow(clippy::fn_params_excessive_bools, reason = "each has a name in Python")]
    fn new(
        track_thresh: f64,
        match_thresh: f64,
        track_buffer: u32,
        frame_rate: f64,
        score_fusion: bool,
        boxes: &str,
        thresh_is_high: bool,
        birth_thresh_capped: bool,
        plain_iou: bool,
        close_duplicates: bool,
        forgive_timeout: bool,
        ids_at_confirmation: bool,
        confirm_frames: u32,
        pairs_at_limit: bool,
        single_precision: bool,
        births_in_set_order: bool,
    ) -> PyResult<Self> {
        let settings = Settings { track_thresh, match_thresh, track_buffer, frame_rate, score_fusion };
        let rules = Rules {
            thresh_is_high,
            birth_thresh_capped,
            plain_iou,
            close_duplicates,
            forgive_timeout,
            ids_at_confirmation,
            confirm_frames,
            pairs_at_limit,
            single_precision,
            births_in_set_order,
        };
        let boxes = match boxes {
            "tracker" => Boxes::Tracker,
            "detections" => Boxes::Detections,
            other => return Err(error::value(format!("boxes must be \"tracker\" or \"detections\", got {other:?}"))),
        };
        let tracker = trackdrop_tracker::ByteTrack::with_rules(settings, rules).map_err(error::value)?;
        Ok(Self { tracker, boxes })
    }

    #[pyo3(signature = (xyxy, scores = None, class_ids = None))]
    fn update(
        &mut self,
        py: Python<'_>,
        xyxy: &Bound<'_, PyAny>,
        scores: Option<&Bound<'_, PyAny>>,
        class_ids: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        match scores {
            Some(scores) => Ok(Py::new(py, self.update_arrays(py, xyxy, scores, class_ids)?)?.into_any()),
            None => self.update_fields(py, xyxy, class_ids),
        }
    }

    fn reset(&mut self) -> PyResult<()> {
        let (settings, rules) = (self.tracker.settings().clone(), *self.tracker.rules());
        self.tracker = trackdrop_tracker::ByteTrack::with_rules(settings, rules).map_err(error::value)?;
        Ok(())
    }

    #[getter]
    fn frame_count(&self) -> u64 {
        self.tracker.frame_count()
    }

    #[getter]
    fn refused(&self) -> u64 {
        self.tracker.refused()
    }

    fn __repr__(&self) -> String {
        let Settings { track_thresh, match_thresh, track_buffer, frame_rate, score_fusion } = self.tracker.settings();
        let fusion = if *score_fusion { "True" } else { "False" };
        format!(
            "ByteTrack(track_thresh={track_thresh:?}, match_thresh={match_thresh:?}, track_buffer={track_buffer}, \
             frame_rate={frame_rate:?}, score_fusion={fusion})"
        )
    }
}

impl ByteTrack {
    fn update_arrays(
        &mut self,
        py: Python<'_>,
        xyxy: &Bound<'_, PyAny>,
        scores: &Bound<'_, PyAny>,
        class_ids: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Tracks> {
        let detections = arrays::detections(xyxy, scores)?;
        // All errors are found before the tracker takes the frame.
        let numpy = py.import(intern!(py, "numpy"))?;
        let class_ids = class_ids.map(|ids| numpy.call_method1(intern!(py, "asarray"), (ids,))).transpose()?;
        if let Some(ids) = &class_ids {
            arrays::same_length("class_ids", ids.len()?, detections.len())?;
        }
        let tracks = py.detach(|| self.step(&detections));
        let ids = tracks.iter().map(|track| track.id as i64).collect();
        let places: Vec<i64> = tracks.iter().map(|track| track.detection as i64).collect();
        let corners = tracks.iter().flat_map(|track| [track.x1, track.y1, track.x2, track.y2]).collect();
        let places = arrays::to_array(py, places);
        let class_ids = class_ids.map(|ids| ids.call_method1(intern!(py, "take"), (&places,))).transpose()?;
        Ok(Tracks {
            ids: arrays::to_array(py, ids),
            xyxy: arrays::to_boxes(py, corners)?,
            scores: arrays::to_array(py, tracks.iter().map(|track| track.score).collect()),
            class_ids: class_ids.map(Bound::unbind),
            detections: places,
            count: tracks.len(),
        })
    }

    /// The rows to return. Ids fit into `i64`, because they are counted from 1.
    fn step(&mut self, detections: &[Detection]) -> Vec<Track> {
        let tracks = self.tracker.step(detections).to_vec();
        if self.boxes == Boxes::Tracker {
            return tracks;
        }
        let overlapping = self.tracker.overlapping(detections);
        let matched = overlapping.into_iter().enumerate().filter_map(|(place, track)| Some((place, track?)));
        matched
            .map(|(detection, track)| {
                let Detection { x1, y1, x2, y2, score } = detections[detection];
                Track { id: tracks[track].id, x1, y1, x2, y2, score, detection }
            })
            .collect()
    }

    /// An object with the fields of supervision's `Detections`.
    fn update_fields(
        &mut self,
        py: Python<'_>,
        detections: &Bound<'_, PyAny>,
        class_ids: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let Some(xyxy) = detections.getattr_opt(intern!(py, "xyxy"))?.filter(|_| class_ids.is_none()) else {
            let kind = detections.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "give boxes and scores, or one object with the fields xyxy and confidence such as supervision's Detections; \
                 got {kind} without scores"
            )));
        };
        let confidence = detections.getattr_opt(intern!(py, "confidence"))?.filter(|scores| !scores.is_none());
        let Some(confidence) = confidence else {
            return Err(error::value("the detections have no confidence, which tracking needs"));
        };
        let tracks = self.update_arrays(py, &xyxy, &confidence, None)?;
        let select = py.import(intern!(py, "trackdrop._fields"))?.getattr(intern!(py, "select"))?;
        let xyxy = (self.boxes == Boxes::Tracker).then_some(&tracks.xyxy);
        Ok(select.call1((detections, &tracks.detections, &tracks.ids, xyxy))?.unbind())
    }
}
