//! A list of timestamps as short text.

use crate::MediaError;

/// Encodes ascending timestamps as the first one, then runs of equal steps: `0;512*29;1024;512*30`.
///
/// A constant frame rate takes a dozen characters whatever the length, so the list of a chunk fits beside it.
#[derive(Debug, Clone, Copy)]
pub struct PtsList;

impl PtsList {
    /// The compact form. Decoding it gives `pts` back exactly.
    pub fn encode(pts: &[i64]) -> String {
        let Some(first) = pts.first() else { return String::new() };
        let mut text = first.to_string();
        let mut steps = pts.windows(2).map(|w| w[1].wrapping_sub(w[0])).peekable();
        while let Some(step) = steps.next() {
            let mut count = 1;
            while steps.next_if_eq(&step).is_some() {
                count += 1;
            }
            text.push_str(&if count == 1 { format!(";{step}") } else { format!(";{step}*{count}") });
        }
        text
    }

    /// Reads the compact form; at most `max_len` timestamps.
    ///
    /// # Errors
    /// [`MediaError::Mismatch`] if the text is not of that form or lists too many.
    pub fn decode(text: &str, max_len: u64) -> Result<Vec<i64>, MediaError> {
        let bad = |what: &str| MediaError::Mismatch { reason: format!("the list of timestamps {what}") };
        let number = |part: &str| part.parse::<i64>().map_err(|_| bad(&format!("holds {part:?}, which is no number")));
        let mut parts = text.split(';').filter(|_| !text.is_empty());
        let mut pts: Vec<i64> = parts.next().map(number).transpose()?.into_iter().collect();
        for part in parts {
            let (step, count) = part.split_once('*').unwrap_or((part, "1"));
            let (step, count) = (number(step)?, number(count)?);
            if count < 1 || count as u64 > max_len.saturating_sub(pts.len() as u64) {
                return Err(bad(&format!("is longer than {max_len}")));
            }
            for _ in 0..count {
                let last = pts.last().copied().unwrap_or_default();
                pts.push(last.checked_add(step).ok_or_else(|| bad("leaves the range of 64 bits"))?);
            }
        }
        Ok(pts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_comes_back() {
        for pts in [vec![], vec![-7], (0..300).map(|i| i * 1001).collect(), vec![0, 33, 67, 100, 133, 5000]] {
            assert_eq!(PtsList::decode(&PtsList::encode(&pts), 1000).unwrap(), pts);
        }
        assert_eq!(PtsList::encode(&(0..300).map(|i| i * 1001).collect::<Vec<_>>()), "0;1001*299");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["x", "1;y", "1;2*0", "1;2*-4", "0;1*2000", "9223372036854775807;1", ";;"] {
            assert!(PtsList::decode(text, 1000).is_err(), "{text}");
        }
    }
}
