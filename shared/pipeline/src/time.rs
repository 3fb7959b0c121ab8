//! Exact time: rationals for time bases and frame rates, microsecond timestamps for the wall clock.

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{borrow::Cow, fmt, str::FromStr};

/// An exact fraction with a positive denominator; written `"1/30000"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rational {
    num: i32,
    den: i32,
}

/// A fraction that is not `integer/positive integer`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a fraction: {0:?} (expected \"num/den\" with a positive denominator)")]
pub struct RationalError(String);

impl Rational {
    /// One second a tick.
    pub const ONE: Self = Self { num: 1, den: 1 };

    /// `num / den`. The denominator must be positive; any other one is replaced by 1.
    pub const fn of(num: i32, den: i32) -> Self {
        Self { num, den: if den > 0 { den } else { 1 } }
    }

    /// `num / den`; the denominator must be positive.
    ///
    /// # Errors
    /// The fraction, if it is not.
    pub fn new(num: i32, den: i32) -> Result<Self, RationalError> {
        if den > 0 { Ok(Self { num, den }) } else { Err(RationalError(format!("{num}/{den}"))) }
    }

    /// The numerator, with the fraction's sign.
    pub fn num(self) -> i32 {
        self.num
    }

    /// The denominator, always positive.
    pub fn den(self) -> i32 {
        self.den
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// `ticks` of this time base in seconds.
    pub fn seconds(self, ticks: i64) -> f64 {
        ticks as f64 * f64::from(self.num) / f64::from(self.den)
    }

    /// `ticks` of this time base as whole units of `to`, rounded to nearest, ties away from zero.
    pub fn rescale(self, ticks: i64, to: Self) -> i64 {
        let num = i128::from(ticks) * i128::from(self.num) * i128::from(to.den);
        let den = (i128::from(self.den) * i128::from(to.num)).max(1);
        let half = if num < 0 { -(den / 2) } else { den / 2 };
        ((num + half) / den).clamp(i128::from(i64::MIN + 1), i128::from(i64::MAX)) as i64
    }

    /// A time base with this many ticks in one of this; `None` where a denominator can't hold it.
    pub fn finer(self, fineness: i64) -> Option<Self> {
        let den = i64::from(self.den).checked_mul(fineness)?;
        i32::try_from(den).ok().filter(|den| *den > 0).map(|den| Self { den, ..self })
    }

    /// `ticks` of this time base as decimal seconds, rounded half away from zero to the microsecond and written
    /// without trailing zeros: `"0"`, `"3.003"`, `"6.006"`. Integer arithmetic only, so that it never drifts.
    pub fn decimal_seconds(self, ticks: i64) -> String {
        let scaled = i128::from(ticks) * i128::from(self.num) * 1_000_000;
        let den = i128::from(self.den);
        let micros = if scaled >= 0 { (scaled + den / 2) / den } else { (scaled - den / 2) / den };
        let (sign, micros) = if micros < 0 { ("-", -micros) } else { ("", micros) };
        let fraction = format!("{:06}", micros % 1_000_000);
        match fraction.trim_end_matches('0') {
            "" => format!("{sign}{}", micros / 1_000_000),
            digits => format!("{sign}{}.{digits}", micros / 1_000_000),
        }
    }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

impl FromStr for Rational {
    type Err = RationalError;

    fn from_str(text: &str) -> Result<Self, RationalError> {
        let bad = || RationalError(text.to_owned());
        let (num, den) = text.split_once('/').ok_or_else(bad)?;
        Self::new(num.parse().map_err(|_| bad())?, den.parse().map_err(|_| bad())?).map_err(|_| bad())
    }
}

impl Serialize for Rational {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rational {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Rational {
    fn schema_name() -> Cow<'static, str> {
        "Rational".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^-?[0-9]+/[1-9][0-9]*$", "description": "An exact fraction, num/den." })
    }
}

/// A moment of the wall clock, in microseconds since the Unix epoch (UTC); written in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the Unix epoch. Moments outside the years that RFC 3339 can write are clamped.
    pub fn from_micros(micros: i64) -> Self {
        const YEAR_0000: i64 = -62_167_219_200_000_000;
        const YEAR_9999_END: i64 = 253_402_300_799_999_999;
        Self(micros.clamp(YEAR_0000, YEAR_9999_END))
    }

    /// Microseconds since the Unix epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Seconds from `earlier` to this moment; negative when the clock was set back.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / 1e6
    }

    fn date_time(self) -> DateTime<Utc> {
        // The clamp in `from_micros` keeps the value inside chrono's range, so the fallback is never taken.
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }

    /// `YYYYMMDDTHHMMSS`, the part of a request id that people read.
    pub fn compact(self) -> String {
        self.date_time().format("%Y%m%dT%H%M%S").to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.date_time().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl FromStr for Timestamp {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text).map(|moment| Self::from_micros(moment.timestamp_micros()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_seconds_are_measured_and_never_drift() {
        let ntsc = Rational::new(1001, 30000).unwrap();
        let starts: Vec<_> = [0, 90, 180].iter().map(|&frame| ntsc.decimal_seconds(frame)).collect();
        assert_eq!(starts, ["0", "3.003", "6.006"]);
        assert_eq!(Rational::new(1, 3).unwrap().decimal_seconds(2), "0.666667");
        assert_eq!(Rational::new(1, 90_000).unwrap().decimal_seconds(-45_000), "-0.5");
        assert_eq!(Rational::new(1, 90_000).unwrap().decimal_seconds(i64::MAX / 2), "51240955760304.310033");
    }

    #[test]
    fn rescaling_rounds_to_nearest_on_both_sides_of_zero() {
        let (base, milliseconds) = (Rational::of(1, 90_000), Rational::of(1, 1000));
        assert_eq!(base.rescale(45, milliseconds), 1); // half a millisecond
        assert_eq!(base.rescale(44, milliseconds), 0);
        assert_eq!(base.rescale(-45, milliseconds), -1);
        assert_eq!(base.rescale(i64::MAX, Rational::of(1, i32::MAX)), i64::MAX);
    }

    #[test]
    fn a_fraction_without_a_positive_denominator_is_refused() {
        for text in ["1/0", "1/-2", "1", "a/b", "", "1/2/3"] {
            assert!(text.parse::<Rational>().is_err(), "{text}");
        }
        assert_eq!("30000/1001".parse::<Rational>().unwrap().to_string(), "30000/1001");
    }

    #[test]
    fn a_timestamp_reads_back_as_it_was_written() {
        let moment: Timestamp = "2026-11-23T18:25:01.123456Z".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-23T18:25:01.123456Z");
        assert_eq!(moment.compact(), "20261123T182501");
        assert!(Timestamp::from_micros(i64::MIN).to_string().starts_with("0000-01-01"));
    }
}
