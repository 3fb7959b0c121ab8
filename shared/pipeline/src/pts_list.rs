//! The exact PTS of every frame of an interval, in a compact form.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};
use std::{
    fmt::{self, Write as _},
    ops::{Deref, Range},
    str::FromStr,
};

/// PTS in presentation order, strictly increasing, in some time base.
///
/// Written as the first PTS and the steps between neighbours, equal steps counted: `0 +512*359 +1024`. A constant frame
/// rate takes a few bytes whatever the length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PtsList(Vec<i64>);

/// A text or list that is not strictly increasing PTS.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PtsListError {
    /// Two neighbours do not increase.
    #[error("frame {index} has PTS {next}, which is not after {previous}")]
    NotIncreasing {
        /// Index of the later frame.
        index: usize,
        /// PTS of the earlier one.
        previous: i64,
        /// PTS of the later one.
        next: i64,
    },
    /// The text does not parse.
    #[error("not a list of PTS: {0:?}")]
    Malformed(String),
}

/// More frames than any request may have; bounds what a hostile text can make us allocate.
pub(crate) const FRAME_LIMIT: usize = 100_000_000;

impl PtsList {
    /// Checks that the PTS strictly increase.
    ///
    /// # Errors
    /// [`PtsListError::NotIncreasing`] with the first two that do not.
    pub fn new(pts: Vec<i64>) -> Result<Self, PtsListError> {
        match pts.windows(2).position(|pair| pair[0] >= pair[1]) {
            Some(i) => Err(PtsListError::NotIncreasing { index: i + 1, previous: pts[i], next: pts[i + 1] }),
            None => Ok(Self(pts)),
        }
    }

    /// The PTS, in presentation order.
    pub fn as_slice(&self) -> &[i64] {
        &self.0
    }

    /// The PTS of these frames, which are counted from 0.
    ///
    /// # Panics
    /// Panics like a slice if there are fewer frames.
    #[must_use]
    pub fn part(&self, frames: Range<usize>) -> Self {
        Self(self.0[frames].to_vec())
    }

    /// SHA-256 over the PTS as little-endian i64, hex: equal digests prove equal lists.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for pts in &self.0 {
            hash.update(pts.to_le_bytes());
        }
        hash.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            write!(hex, "{byte:02x}").ok();
            hex
        })
    }
}

/// Reading is as in a slice.
impl Deref for PtsList {
    type Target = [i64];

    fn deref(&self) -> &[i64] {
        &self.0
    }
}

impl<'a> IntoIterator for &'a PtsList {
    type Item = &'a i64;
    type IntoIter = std::slice::Iter<'a, i64>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for PtsList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else { return Ok(()) };
        write!(f, "{first}")?;
        let mut pairs = self.0.windows(2).map(|pair| pair[1] - pair[0]).peekable();
        while let Some(step) = pairs.next() {
            let mut count = 1;
            while pairs.next_if_eq(&step).is_some() {
                count += 1;
            }
            write!(f, " +{step}")?;
            if count > 1 {
                write!(f, "*{count}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for PtsList {
    type Err = PtsListError;

    fn from_str(text: &str) -> Result<Self, PtsListError> {
        let bad = || PtsListError::Malformed(text.chars().take(80).collect());
        let mut words = text.split_ascii_whitespace();
        let Some(first) = words.next() else { return Ok(Self::default()) };
        let mut pts = vec![first.parse::<i64>().map_err(|_| bad())?];
        let mut last = pts[0];
        for word in words {
            let run = word.strip_prefix('+').ok_or_else(bad)?;
            let (step, count) = run.split_once('*').unwrap_or((run, "1"));
            let step: i64 = step.parse().map_err(|_| bad())?;
            let count: usize = count.parse().map_err(|_| bad())?;
            if step <= 0 || count > FRAME_LIMIT - pts.len() {
                return Err(bad());
            }
            for _ in 0..count {
                last = last.checked_add(step).ok_or_else(bad)?;
                pts.push(last);
            }
        }
        Ok(Self(pts))
    }
}

impl Serialize for PtsList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PtsList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_increasing_list_reads_back_as_it_was_written(first in -1_000_000i64..1_000_000, steps in prop::collection::vec(1i64..4, 0..200)) {
            let mut pts = vec![first];
            for step in steps { pts.push(pts[pts.len() - 1] + step); }
            let list = PtsList::new(pts).unwrap();
            prop_assert_eq!(list.to_string().parse::<PtsList>().unwrap(), list);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9+* x-]{0,40}") {
            text.parse::<PtsList>().ok();
        }
    }

    #[test]
    fn a_constant_rate_takes_a_few_bytes() {
        let list = PtsList::new((0..3600).map(|i| i * 512).collect()).unwrap();
        assert_eq!(list.to_string(), "0 +512*3599");
    }

    #[test]
    fn hostile_counts_and_steps_are_refused() {
        for text in ["0 +1*99999999999", "0 +0*3", "0 +-1", "0 1", "9223372036854775807 +1", "x"] {
            assert!(text.parse::<PtsList>().is_err(), "{text}");
        }
        assert_eq!(PtsList::new(vec![1, 1]), Err(PtsListError::NotIncreasing { index: 1, previous: 1, next: 1 }));
    }
}
