//! The set of existing requests, for any number of them.

use crate::{
    Cloud,
    round::{self, Round},
};
use trackdrop_cloud::Listing;
use trackdrop_pipeline::{
    Bucket, Failure, RequestId,
    names::{self, Marker, ObjectName},
};

/// The markers `ended`, in the order of their requests' ids.
pub(super) struct Ended<'a>(Listing<'a>);

impl<'a> Ended<'a> {
    pub(super) fn begin(cloud: &'a Cloud) -> Self {
        Self(Listing::of(&*cloud.storage, ObjectName::new(Bucket::Work, Marker::Ended.prefix())))
    }

    /// The next request, and the round whose end is published, if there is one.
    pub(super) async fn next(&mut self) -> Result<Option<(RequestId, Option<Round>)>, Failure> {
        while let Some(info) = self.0.next().await? {
            if let Some(request) = names::request_of(&info.object) {
                return Ok(Some((request, round::told(&info))));
            }
        }
        Ok(None)
    }
}

/// Requests, in 16 bytes each.
#[derive(Default)]
pub(super) struct Known(Vec<u128>);

impl Known {
    pub(super) fn note(&mut self, request: &RequestId) {
        self.0.push(packed(request));
    }

    /// Sorts the set. From then on it can be searched.
    pub(super) fn complete(mut self) -> Complete {
        self.0.sort_unstable();
        Complete(self.0)
    }
}

/// All of them.
pub(super) struct Complete(Vec<u128>);

impl Complete {
    pub(super) fn contains(&self, request: &RequestId) -> bool {
        self.0.binary_search(&packed(request)).is_ok()
    }
}

/// The parts of an id that differ between requests, as a number: seven bits for each of 8 letters or digits, and 47
/// bits for the number that the 14 digits of the time form.
fn packed(request: &RequestId) -> u128 {
    let (token, time) = request.as_str().trim_start_matches("req_").split_once('_').unwrap_or_default();
    let token = token.bytes().fold(0, |packed, byte| packed << 7 | u128::from(byte));
    let digits = time.bytes().filter(u8::is_ascii_digit);
    let time = digits.fold(0, |number, digit| number * 10 + u128::from(digit - b'0'));
    token << 47 | time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_requests_are_packed_into_two_numbers_in_the_order_of_their_ids() {
        let mut ids = Vec::new();
        for token in ["00000000", "0000000T", "req00000", "zzzzzzzz", "Zzzzzzzz"] {
            for time in ["00000000T000000", "20261123T182501", "20261123T182502", "99999999T999999"] {
                ids.push(format!("req_{token}_{time}").parse::<RequestId>().unwrap());
            }
        }
        ids.sort();
        assert!(ids.windows(2).all(|pair| packed(&pair[0]) < packed(&pair[1])));
        let mut known = Known::default();
        ids.iter().step_by(2).rev().for_each(|id| known.note(id));
        let known = known.complete();
        for (nth, id) in ids.iter().enumerate() {
            assert_eq!(known.contains(id), nth % 2 == 0, "{id}");
        }
    }
}
