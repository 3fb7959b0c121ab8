//! A person's corrections, made last: the log is replayed over the rows that everything else came to.

use crate::classes::Classes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use trackdrop_pipeline::{Edit, links::IdentityLink};
use trackdrop_tables::tracks::TrackRow;

/// An edit that the tracks do not allow.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("edit {number}, \"{edit}\": {reason}")]
pub struct Impossible {
    /// Which one of the log, from 1.
    number: usize,
    edit: Edit,
    reason: String,
}

/// Replays the log over all rows of a video, ordered by frame. `names` are the model's classes, by their ids.
///
/// # Errors
/// The first edit that means a track, a frame or a class that is not there, or that would put an object twice into a frame.
pub fn apply(edits: &[Edit], rows: &mut Vec<TrackRow>, names: &[Arc<str>]) -> Result<(), Impossible> {
    // An id that an edit took away never comes back for something else.
    let mut new_id = 1 + rows.iter().map(|row| row.track_id).max().unwrap_or_default();
    for (number, edit) in (1..).zip(edits) {
        one(edit, rows, names, &mut new_id).map_err(|reason| Impossible { number, edit: edit.clone(), reason })?;
    }
    Ok(())
}

fn one(edit: &Edit, rows: &mut Vec<TrackRow>, names: &[Arc<str>], new_id: &mut i64) -> Result<(), String> {
    match edit {
        &Edit::Merge { into, from } => merge(rows, id(into)?, id(from)?),
        &Edit::Split { track, frame } => split(rows, id(track)?, frame, new_id),
        Edit::Class { track, class } => {
            let is_it = |name: &&Arc<str>| name.eq_ignore_ascii_case(class);
            let known = (0..).zip(names).find(|(_, name)| is_it(name));
            let (class_id, name) =
                known.ok_or_else(|| format!("the model has no class {class:?}: it knows {}", names.join(", ")))?;
            let track = id(*track)?;
            of(rows, track)?;
            for row in rows.iter_mut().filter(|row| row.track_id == track) {
                (row.class_id, row.class_name) = (class_id, name.clone());
            }
            Ok(())
        }
        &Edit::Delete { track } => {
            let track = id(track)?;
            of(rows, track)?;
            rows.retain(|row| row.track_id != track);
            Ok(())
        }
    }
}

fn id(track: u64) -> Result<i64, String> {
    i64::try_from(track).map_err(|_| format!("there is no track {track}"))
}

/// The first row of a track.
fn of(rows: &[TrackRow], track: i64) -> Result<&TrackRow, String> {
    rows.iter().find(|row| row.track_id == track).ok_or_else(|| format!("there is no track {track}"))
}

fn merge(rows: &mut [TrackRow], into: i64, from: i64) -> Result<(), String> {
    of(rows, from)?;
    let first = of(rows, into)?;
    let (class_id, class_name) = (first.class_id, first.class_name.clone());
    let frames: BTreeSet<_> = rows.iter().filter(|row| row.track_id == into).map(|row| row.frame_index).collect();
    let of_from = |row: &&mut TrackRow| row.track_id == from;
    if let Some(both) = rows.iter_mut().filter(of_from).find(|row| frames.contains(&row.frame_index)) {
        return Err(format!(
            "both tracks are in frame {}, and an object is in a frame once: split one of them first",
            both.frame_index
        ));
    }
    for row in rows.iter_mut().filter(of_from) {
        (row.track_id, row.class_id, row.class_name) = (into, class_id, class_name.clone());
    }
    Ok(())
}

fn split(rows: &mut [TrackRow], track: i64, frame: u64, new_id: &mut i64) -> Result<(), String> {
    let first = of(rows, track)?.frame_index;
    let is_after = |row: &TrackRow| u64::try_from(row.frame_index).is_ok_and(|index| index >= frame);
    let last = rows.iter().rfind(|row| row.track_id == track).map_or(first, |row| row.frame_index);
    if u64::try_from(first).is_ok_and(|first| first >= frame) || u64::try_from(last).is_ok_and(|last| last < frame) {
        return Err(format!("the track is in frames {first} to {last}: split it at one of {} to {last}", first + 1));
    }
    for row in rows.iter_mut().filter(|row| row.track_id == track && is_after(row)) {
        row.track_id = *new_id;
    }
    *new_id += 1;
    Ok(())
}

/// The links under the identities that their later pieces have now; those of tracks that are left out are left out.
pub(crate) fn renamed(links: Vec<IdentityLink>, before: &[TrackRow], after: &[TrackRow]) -> Vec<IdentityLink> {
    // A row is the same if it is of the same frame and box.
    let place = |row: &TrackRow| (row.frame_index, row.bbox.map(f32::to_bits));
    let now: BTreeMap<_, _> = after.iter().map(|row| (place(row), row.track_id)).collect();
    let track_of = |link: &IdentityLink, frame: u64| {
        let is_it = |row: &&TrackRow| row.track_id as u64 == link.track_id && row.frame_index as u64 == frame;
        before.iter().find(is_it).and_then(|row| now.get(&place(row))).copied()
    };
    links
        .into_iter()
        .filter_map(|link| {
            let (earlier, later) = (track_of(&link, link.last_frame_index)?, track_of(&link, link.first_frame_index)?);
            // What a split has parted is no link any more.
            (earlier == later).then_some(IdentityLink { track_id: later as u64, ..link })
        })
        .collect()
}

/// The class of every identity that is left.
pub(crate) fn classes_of(rows: &[TrackRow]) -> Classes {
    rows.iter().map(|row| (row.track_id as u64, (row.class_id, row.class_name.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Track 1 in frames 0 to 3, track 2 in 2 to 5, track 3 in 6 to 7.
    fn rows() -> Vec<TrackRow> {
        let mut rows: Vec<_> = [(1, 0..4), (2, 2..6), (3, 6..8)]
            .into_iter()
            .flat_map(|(track_id, frames)| {
                frames.map(move |frame_index| TrackRow {
                    frame_index,
                    pts: frame_index,
                    track_id,
                    class_id: 0,
                    class_name: "person".into(),
                    score: 0.5,
                    bbox: [track_id as f32, frame_index as f32, 9.0, 9.0],
                    observed: true,
                })
            })
            .collect();
        rows.sort_by_key(|row| row.frame_index);
        rows
    }

    fn edited(log: &[&str]) -> Result<Vec<(i64, i64, String)>, String> {
        let log: Vec<Edit> = log.iter().map(|text| text.parse().unwrap()).collect();
        let names = ["person".into(), "Car".into()];
        let mut rows = rows();
        apply(&log, &mut rows, &names).map_err(|error| error.to_string())?;
        Ok(rows.into_iter().map(|row| (row.track_id, row.frame_index, row.class_name.to_string())).collect())
    }

    fn frames(rows: &[(i64, i64, String)], track: i64) -> Vec<i64> {
        rows.iter().filter(|row| row.0 == track).map(|row| row.1).collect()
    }

    #[test]
    fn the_log_is_replayed_in_its_order() {
        let rows = edited(&["class 2 car", "merge 2 3", "split 2 4", "delete 1"]).unwrap();
        // Track 3 is gone by then, and its id stays gone.
        assert_eq!((frames(&rows, 2), frames(&rows, 4)), (vec![2, 3], vec![4, 5, 6, 7]));
        assert_eq!(rows.len(), 6, "{rows:?}");
        assert!(rows.iter().all(|row| row.2 == "Car"), "{rows:?}");
    }

    #[test]
    fn no_id_of_the_log_is_given_twice() {
        let rows = edited(&["split 1 1", "merge 1 4", "split 1 2", "delete 5", "split 2 3"]).unwrap();
        assert_eq!((frames(&rows, 1), frames(&rows, 6)), (vec![0, 1], vec![3, 4, 5]));
        assert!(frames(&rows, 4).is_empty() && frames(&rows, 5).is_empty(), "{rows:?}");
    }

    #[test]
    fn a_split_is_undone_by_a_merge() {
        assert_eq!(edited(&["split 2 4", "merge 2 4"]), edited(&[]));
    }

    #[test]
    fn what_the_tracks_do_not_allow_is_refused_with_its_place_in_the_log() {
        for (log, words) in [
            (&["delete 1", "merge 2 1"][..], "edit 2, \"merge 2 1\": there is no track 1"),
            (&["merge 1 2"], "both tracks are in frame 2"),
            (&["split 1 0"], "split it at one of 1 to 3"),
            (&["split 1 4"], "split it at one of 1 to 3"),
            (&["class 1 unicorn"], "it knows person, Car"),
            (&["delete 18446744073709551615"], "there is no track"),
        ] {
            let said = edited(log).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn links_have_the_identities_of_now_and_end_where_they_were_parted() {
        let link = |track_id, last_frame_index, first_frame_index| IdentityLink {
            track_id,
            last_frame_index,
            last_time_s: 0.0,
            first_frame_index,
            first_time_s: 0.0,
            identity_margin: 1.0,
        };
        let (before, mut after) = (rows(), rows());
        let log: Vec<Edit> = ["split 1 2", "merge 3 2"].iter().map(|text| text.parse().unwrap()).collect();
        apply(&log, &mut after, &["person".into()]).unwrap();
        let links = renamed(vec![link(1, 1, 2), link(1, 0, 1), link(2, 3, 4)], &before, &after);
        let left: Vec<_> = links.iter().map(|link| (link.track_id, link.first_frame_index)).collect();
        assert_eq!(left, [(1, 1), (3, 4)]);
    }
}
