//! Corrections of finished tracks by a person.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// One correction. A list of them is a log: each means the tracks as those before it left them. Written as words: `merge 3 7`, `split 3 120`,
/// `class 3 car`, `delete 9`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Edit {
    /// Two tracks are one object: the rows of `from` become rows of `into`, with its class. No frame may have both.
    Merge {
        /// The track that stays.
        into: u64,
        /// The track that it takes up.
        from: u64,
    },
    /// A track is two objects: its rows from `frame` on are a new track, whose id is one more than the largest.
    Split {
        /// The track that keeps what is before.
        track: u64,
        /// The first frame of the new track.
        frame: u64,
    },
    /// A track is of another class of the model.
    Class {
        /// The track.
        track: u64,
        /// The class's name.
        class: String,
    },
    /// A track is no object: its rows are left out.
    Delete {
        /// The track.
        track: u64,
    },
}

/// A text that is no edit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an edit: write `merge A B`, `split A FRAME`, `class A NAME` or `delete A`, with the numbers of tracks"
)]
pub struct EditError(String);

impl FromStr for Edit {
    type Err = EditError;

    fn from_str(text: &str) -> Result<Self, EditError> {
        let wrong = || EditError(text.chars().take(LONGEST_SHOWN).collect());
        let number = |word: Option<&str>| word.and_then(|word| word.parse::<u64>().ok()).ok_or_else(wrong);
        let (kind, rest) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let (first, second) = match rest.trim().split_once(' ') {
            Some((first, second)) => (first, Some(second.trim())),
            None => (rest.trim(), None),
        };
        let track = number(Some(first))?;
        match (kind, second) {
            ("merge", second) if number(second)? != track => Ok(Self::Merge { into: track, from: number(second)? }),
            ("split", second) => Ok(Self::Split { track, frame: number(second)? }),
            ("class", Some(class)) if !class.is_empty() => Ok(Self::Class { track, class: class.to_owned() }),
            ("delete", None) => Ok(Self::Delete { track }),
            _ => Err(wrong()),
        }
    }
}

/// Characters of a text that an error repeats.
const LONGEST_SHOWN: usize = 100;

impl TryFrom<String> for Edit {
    type Error = EditError;

    fn try_from(text: String) -> Result<Self, EditError> {
        text.parse()
    }
}

impl From<Edit> for String {
    fn from(edit: Edit) -> Self {
        edit.to_string()
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Merge { into, from } => write!(f, "merge {into} {from}"),
            Self::Split { track, frame } => write!(f, "split {track} {frame}"),
            Self::Class { track, class } => write!(f, "class {track} {class}"),
            Self::Delete { track } => write!(f, "delete {track}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_what_was_written() {
        for text in ["merge 3 7", "split 3 120", "class 3 traffic light", "delete 9"] {
            assert_eq!(text.parse::<Edit>().unwrap().to_string(), text);
        }
        assert_eq!(" class 3  car ".parse::<Edit>().unwrap().to_string(), "class 3 car");
    }

    #[test]
    fn what_is_no_edit_is_refused_with_its_words() {
        for text in [
            "",
            "merge",
            "merge 3",
            "merge 3 3",
            "merge 3 x",
            "split 3",
            "class 3",
            "delete",
            "delete 3 4",
            "delete -1",
            "join 3 4",
            "merge 3 7 9",
        ] {
            assert!(
                text.parse::<Edit>().unwrap_err().to_string().starts_with(&format!("{text:?} is not an edit")),
                "{text}"
            );
        }
    }
}
