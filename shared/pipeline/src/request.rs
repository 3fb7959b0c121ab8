//! The name of a request: the same upload always gets the same one.

use crate::time::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};
use std::{borrow::Cow, fmt, str::FromStr};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `req_<8 base62>_<YYYYMMDDTHHMMSS>`: a hash of bucket, object and generation, then the object's creation time.
///
/// A redelivered event names the same request, and nothing else does. The text holds only letters, digits and `_`, so it is
/// safe as a path component, an object name and an SQL string.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(String);

/// A text that is not a request id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a request id: {0:?} (expected req_<8 letters or digits>_<YYYYMMDDTHHMMSS>)")]
pub struct RequestIdError(String);

impl RequestId {
    /// The id of the request that uploading this generation of this object makes.
    pub fn of_upload(bucket: &str, object: &str, generation: i64, created: Timestamp) -> Self {
        let parts = [bucket.as_bytes(), object.as_bytes(), &generation.to_be_bytes()];
        Self::hashed(&parts, &created.compact())
    }

    /// The id of the version of this request's tracks that these settings make; they are given as JSON. Its time is that of this
    /// request, which is the time of the upload.
    pub fn version(&self, settings_json: &[u8]) -> Self {
        let time = self.0.rsplit('_').next().unwrap_or_default();
        Self::hashed(&[b"version", self.0.as_bytes(), settings_json], time)
    }

    /// When the upload was created, to the second; none if the time in the id is not a valid time.
    pub fn uploaded_at(&self) -> Option<Timestamp> {
        let (date, time) = self.0.rsplit('_').next()?.split_once('T')?;
        let part = |text: &str, at: std::ops::Range<usize>| text.get(at).map(str::to_owned);
        let (year, month, day) = (part(date, 0..4)?, part(date, 4..6)?, part(date, 6..8)?);
        let (hours, minutes, seconds) = (part(time, 0..2)?, part(time, 2..4)?, part(time, 4..6)?);
        format!("{year}-{month}-{day}T{hours}:{minutes}:{seconds}Z").parse().ok()
    }

    /// Whether both ids may be of the same upload, or of versions of its tracks: their times are the same.
    pub fn may_share_upload(&self, other: &Self) -> bool {
        self.0.rsplit('_').next() == other.0.rsplit('_').next()
    }

    fn hashed(parts: &[&[u8]], time: &str) -> Self {
        // Lengths before the texts keep ("a", "bc") and ("ab", "c") apart.
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut value = digest.iter().take(16).fold(0u128, |value, &byte| value << 8 | u128::from(byte));
        let mut token = String::with_capacity(8);
        for _ in 0..8 {
            token.push(char::from(BASE62[(value % 62) as usize]));
            value /= 62;
        }
        Self(format!("req_{token}_{time}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RequestId {
    type Err = RequestIdError;

    fn from_str(text: &str) -> Result<Self, RequestIdError> {
        let parts: Vec<&str> = text.split('_').collect();
        let well_formed = match parts[..] {
            ["req", token, time] => {
                token.len() == 8
                    && token.bytes().all(|byte| byte.is_ascii_alphanumeric())
                    && time.len() == 15
                    && time
                        .bytes()
                        .enumerate()
                        .all(|(i, byte)| if i == 8 { byte == b'T' } else { byte.is_ascii_digit() })
            }
            _ => false,
        };
        if well_formed { Ok(Self(text.to_owned())) } else { Err(RequestIdError(text.to_owned())) }
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for RequestId {
    fn schema_name() -> Cow<'static, str> {
        "RequestId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^req_[0-9A-Za-z]{8}_[0-9]{8}T[0-9]{6}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_same_upload_has_the_same_id_and_any_other_has_another() {
        let time = at("2026-11-23T18:25:01Z");
        let id = RequestId::of_upload("uploads", "a b.mp4", 7, time);
        assert_eq!(id, RequestId::of_upload("uploads", "a b.mp4", 7, time));
        assert!(id.as_str().ends_with("_20261123T182501"));
        for other in [("uploads", "a b.mp4", 8), ("uploads", "a b.mp5", 7), ("uploadsa", " b.mp4", 7)] {
            assert_ne!(id, RequestId::of_upload(other.0, other.1, other.2, time));
        }
    }

    #[test]
    fn the_id_of_a_version_has_the_requests_time_and_depends_on_its_settings() {
        let id = RequestId::of_upload("uploads", "a.mp4", 7, at("2026-11-23T18:25:01Z"));
        let version = id.version(b"{\"track_thresh\":0.5}");
        assert_eq!(version, id.version(b"{\"track_thresh\":0.5}"));
        assert_eq!(version.as_str().parse::<RequestId>().unwrap(), version);
        assert!(version.as_str().ends_with("_20261123T182501"));
        for other in [id.clone(), id.version(b"{}"), version.version(b"{\"track_thresh\":0.5}")] {
            assert_ne!(version, other);
        }
    }

    #[test]
    fn an_id_is_parsed_once_at_the_edge_and_nothing_else_passes() {
        let id = RequestId::of_upload("b", "../\n'", 1, at("2026-01-02T03:04:05Z"));
        assert_eq!(id.as_str().parse::<RequestId>().unwrap(), id);
        for text in
            ["", "req_", "req_short_20260102T030405", "req_abcdefgh_20260102-030405", "req_abcd/fgh_20260102T030405"]
        {
            assert!(text.parse::<RequestId>().is_err(), "{text}");
        }
    }
}
