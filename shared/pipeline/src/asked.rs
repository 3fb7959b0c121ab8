//! Which request a user means: its id, a beginning of it that no other has, the name of its video, or `latest`.

use crate::{
    RequestId,
    names::{LONGEST_SHOWN, cut},
};

/// The word for the newest request.
pub const LATEST: &str = "latest";
/// What every id begins with.
const ID_START: &str = "req_";
/// The beginning of an id has at least this many characters, so that a short word does not match one by chance.
const SHORTEST_BEGINNING: usize = 4;
/// Requests that are named where a word means several.
const MOST_NAMED: usize = 5;

/// A request that may be meant.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its id.
    pub request: &'a RequestId,
    /// The object name of its upload.
    pub video: &'a str,
    /// A word for its state.
    pub state: &'a str,
}

/// The request that `asked` means, by an id, a beginning of one or the name of a video. [`LATEST`] is not handled here. `known`
/// is in the order of the uploads.
///
/// # Errors
/// No request is meant, or several are; the message names them.
pub fn meant<'a>(asked: &str, known: &[Candidate<'a>]) -> Result<&'a RequestId, NotOne> {
    let shown = || cut(asked, LONGEST_SHOWN).into_owned();
    if known.is_empty() {
        return Err(NotOne::NoneYet { asked: shown() });
    }
    let begins = |id: &str| {
        let (id, asked) = (id.trim_start_matches(ID_START), asked.trim_start_matches(ID_START));
        asked.chars().count() >= SHORTEST_BEGINNING && id.starts_with(asked)
    };
    // The same file name in another folder is another video, which is stored under its hash.
    let is_named = |video: &str| video == asked || video.rsplit('/').next() == Some(asked);
    let meant: Vec<&Candidate<'a>> =
        known.iter().filter(|known| begins(known.request.as_str()) || is_named(known.video)).collect();
    match meant[..] {
        [only] => Ok(only.request),
        [] => Err(NotOne::Unknown { asked: shown() }),
        _ => {
            let named = meant.iter().rev().take(MOST_NAMED);
            let named: Vec<String> =
                named.map(|known| format!("{} of {:?}, {}", known.request, known.video, known.state)).collect();
            let more = meant.len().saturating_sub(MOST_NAMED);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            Err(NotOne::Several { asked: shown(), count: meant.len(), named: named.join("; ") + &more })
        }
    }
}

/// A word that does not mean one request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotOne {
    /// There are no requests at all.
    #[error("there is no request {asked:?}: there are none yet; trackdrop run VIDEO or an upload makes one")]
    NoneYet {
        /// The word.
        asked: String,
    },
    /// It is no request's.
    #[error(
        "there is no request {asked:?}: give an id or its first {SHORTEST_BEGINNING} characters or more, the name of a video, or {LATEST:?} \
         (trackdrop requests lists those of this machine)"
    )]
    Unknown {
        /// The word.
        asked: String,
    },
    /// The word matches more than one request.
    #[error("{asked:?} means {count} requests, the latest first: {named}")]
    Several {
        /// The word.
        asked: String,
        /// How many requests.
        count: usize,
        /// Some of them.
        named: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> Vec<RequestId> {
        let time = "2026-11-23T18:25:01Z".parse().unwrap();
        (0..count as i64).map(|generation| RequestId::of_upload("uploads", "gate.mp4", generation, time)).collect()
    }

    fn asked(word: &str, ids: &[RequestId], videos: &[&str]) -> Result<String, String> {
        let known: Vec<Candidate<'_>> =
            ids.iter().zip(videos).map(|(request, video)| Candidate { request, video, state: "done" }).collect();
        meant(word, &known).map(ToString::to_string).map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_is_meant_by_its_id_a_beginning_of_it_and_its_video() {
        let ids = ids(2);
        let videos = ["gate.mp4", "north/door.mp4"];
        let id = ids[1].as_str();
        for word in [id, &id[..8], &id[4..8], "door.mp4", "north/door.mp4"] {
            assert_eq!(asked(word, &ids, &videos), Ok(id.to_owned()), "{word}");
        }
        assert!(asked(&id[..7], &ids, &videos).is_err_and(|error| error.contains("first 4 characters")));
        assert!(asked("oor.mp4", &ids, &videos).is_err());
    }

    #[test]
    fn of_many_requests_that_a_word_means_the_latest_five_are_named() {
        let ids = ids(7);
        let told = asked("gate.mp4", &ids, &["gate.mp4"; 7]).unwrap_err();
        assert!(told.starts_with(&format!("\"gate.mp4\" means 7 requests, the latest first: {} of", ids[6])), "{told}");
        assert!(told.contains(ids[2].as_str()) && !told.contains(ids[1].as_str()), "{told}");
        assert!(told.ends_with("; and 2 more"), "{told}");
    }

    #[test]
    fn a_word_where_there_are_no_requests_says_how_to_make_one() {
        assert!(asked("gate.mp4", &[], &[]).is_err_and(|error| error.contains("trackdrop run VIDEO")));
    }
}
