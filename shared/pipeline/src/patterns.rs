//! Patterns of object names: which names are not a video's.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A list of patterns, in the order in which they were given.
///
/// - `*` matches any text, with or without a `/`, also none; every other character matches itself. Upper and lower case of the letters A to Z are the
///   same.
/// - A pattern without a `/` is compared with the last part of a name, one with a `/` with the whole of it. `*.srt` matches a subtitle in any folder,
///   `drafts/*` everything in `drafts`, and `*/` every name that ends in a `/`.
///
/// ```
/// let patterns = trackdrop_pipeline::NamePatterns::of_text("*.srt, drafts/*").unwrap();
/// assert_eq!(patterns.matching("a/Clip.SRT"), Some("*.srt"));
/// assert_eq!(patterns.matching("drafts/b/clip.mp4"), Some("drafts/*"));
/// assert_eq!(patterns.matching("a/drafts/clip.mp4"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct NamePatterns {
    /// As they were given.
    patterns: Vec<String>,
    /// Those of the form `*.ENDING`, by their ending: most are, and one look-up finds which.
    endings: BTreeMap<String, usize>,
    /// The others, in lower case, with whether they are held against the whole name.
    others: Vec<(usize, String, bool)>,
}

/// A pattern that can't be honoured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern {pattern:?} {what}")]
pub struct PatternError {
    pattern: String,
    what: &'static str,
}

/// The word for a list without a pattern, where an empty text would be none.
const NONE: &str = "none";
/// As long as a name can be.
const LONGEST_BYTES: usize = 1_024;

impl NamePatterns {
    /// These patterns.
    ///
    /// # Errors
    /// For an empty pattern, one that every name matches, one that is longer than any name, and one with a comma or a line break, which separate
    /// patterns elsewhere.
    pub fn new(patterns: Vec<String>) -> Result<Self, PatternError> {
        let (mut endings, mut others) = (BTreeMap::new(), Vec::new());
        for (index, pattern) in patterns.iter().enumerate() {
            let bad = |what| Err(PatternError { pattern: pattern.chars().take(80).collect(), what });
            match pattern.as_str() {
                text if text.trim().is_empty() => return bad("is empty"),
                text if text.bytes().all(|byte| byte == b'*') => return bad("matches every name"),
                text if text.len() > LONGEST_BYTES => return bad("is longer than a name can be"),
                text if text.contains([',', '\n', '\r']) => return bad("has a comma or a line break in it"),
                _ => {}
            }
            let lower = pattern.to_ascii_lowercase();
            match lower.strip_prefix("*.").filter(|ending| !ending.contains(['*', '/', '.']) && !ending.is_empty()) {
                Some(ending) => drop(endings.entry(ending.to_owned()).or_insert(index)),
                None => {
                    let is_whole = lower.contains('/');
                    others.push((index, lower, is_whole));
                }
            }
        }
        Ok(Self { patterns, endings, others })
    }

    /// Patterns that are separated by commas or line breaks; `none` for no pattern at all.
    ///
    /// # Errors
    /// As [`NamePatterns::new`].
    pub fn of_text(text: &str) -> Result<Self, PatternError> {
        let parts = text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty());
        let patterns: Vec<_> = parts.map(str::to_owned).collect();
        if patterns == [NONE] { Ok(Self::default()) } else { Self::new(patterns) }
    }

    /// The pattern that a name matches: the first of those that are found by its ending, else the first of the others.
    pub fn matching(&self, name: &str) -> Option<&str> {
        if self.patterns.is_empty() {
            return None;
        }
        let name = name.to_ascii_lowercase();
        let last = name.rsplit('/').next().unwrap_or_default();
        let by_ending = || self.endings.get(last.rsplit_once('.')?.1).copied();
        let by_others = || {
            let mut others = self.others.iter();
            let found =
                others.find(|(_, pattern, is_whole)| matches(pattern.as_bytes(), if *is_whole { &name } else { last }));
            found.map(|&(index, ..)| index)
        };
        self.patterns.get(by_ending().or_else(by_others)?).map(String::as_str)
    }

    /// The patterns, as they were given.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }
}

impl TryFrom<Vec<String>> for NamePatterns {
    type Error = PatternError;

    fn try_from(patterns: Vec<String>) -> Result<Self, PatternError> {
        Self::new(patterns)
    }
}

/// Whether the whole text matches. If the rest fails, it continues from the last `*`, so it takes at most the product of both lengths.
fn matches(pattern: &[u8], text: &str) -> bool {
    let text = text.as_bytes();
    let (mut at, mut in_text, mut star) = (0, 0, None);
    while in_text < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, in_text));
                at += 1;
            }
            Some(byte) if *byte == text[in_text] => {
                at += 1;
                in_text += 1;
            }
            _ => match star {
                Some((of_star, taken)) => {
                    star = Some((of_star, taken + 1));
                    (at, in_text) = (of_star + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(patterns: &[&str]) -> NamePatterns {
        NamePatterns::new(patterns.iter().map(|&pattern| pattern.to_owned()).collect()).unwrap()
    }

    #[test]
    fn a_pattern_matches_the_last_part_or_with_a_slash_in_it_the_whole_name() {
        let patterns = of(&["*.srt", "._*", "Thumbs.db", "*/", "tmp/parts/*", "*/tmp/parts/*", "*.part-*", "*~"]);
        for (name, pattern) in [
            ("a.srt", "*.srt"),
            ("b/c/A.SRT", "*.srt"),
            ("folder/._clip.mp4", "._*"),
            ("thumbs.DB", "Thumbs.db"),
            ("folder/", "*/"),
            ("tmp/parts/1", "tmp/parts/*"),
            ("/tmp/parts/1", "*/tmp/parts/*"),
            ("a/b/tmp/parts/c/1", "*/tmp/parts/*"),
            ("x/clip.mp4.part-Frag12", "*.part-*"),
            ("clip.mp4~", "*~"),
        ] {
            assert_eq!(patterns.matching(name), Some(pattern), "{name}");
        }
        for name in
            ["clip.mp4", "a._b.mp4", "srt", "a.srt.mp4", "tmp/parts", "tmp/part/1", "my Thumbs.db.mp4", "", "ü.srt2"]
        {
            assert_eq!(patterns.matching(name), None, "{name}");
        }
    }

    #[test]
    fn what_would_ignore_everything_or_nothing_is_refused_with_the_pattern() {
        for bad in ["", " ", "*", "**", "a,b", "a\nb", &"x".repeat(1_025)] {
            assert!(NamePatterns::new(vec![bad.to_owned()]).is_err(), "{bad:?}");
        }
        let error = NamePatterns::of_text("*.srt,*").unwrap_err().to_string();
        assert!(error.contains("\"*\"") && error.contains("matches every name"), "{error}");
    }

    #[test]
    fn a_list_is_written_in_one_line_too() {
        assert_eq!(NamePatterns::of_text("*.srt, a/*\n._*,").unwrap(), of(&["*.srt", "a/*", "._*"]));
        assert!(NamePatterns::of_text("none").unwrap().patterns().is_empty());
    }

    #[test]
    fn a_name_made_to_be_slow_takes_no_longer_than_the_product_of_both_lengths() {
        let patterns = of(&["*a*a*a*a*a*a*b"]);
        assert_eq!(patterns.matching(&"a".repeat(1_024)), None);
    }
}
