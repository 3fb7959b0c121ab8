//! The parameter sets that a decoder needs before it can decode a picture, at one place of a stream.

use std::collections::BTreeMap;

/// A larger set is not retained. Real ones have a few dozen bytes. A hostile stream can make us hold less than 3 MiB.
const MOST_BYTES: usize = 8 << 10;

/// Identifies a parameter set by kind and number. Kinds are ordered as a decoder needs them. A later set replaces an
/// earlier one with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub class: u8,
    pub number: u16,
}

impl Key {
    /// The key in codecs that have only one set.
    pub(crate) const ONLY: Self = Self { class: 0, number: 0 };
}

/// Parameter sets in effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ParameterSets(BTreeMap<Key, Vec<u8>>);

impl ParameterSets {
    pub(crate) fn put(&mut self, key: Key, set: &[u8]) {
        if set.len() <= MOST_BYTES && self.0.get(&key).is_none_or(|kept| kept != set) {
            self.0.insert(key, set.to_vec());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sets of `newer` take the place of these.
    pub(crate) fn replace_by(&mut self, newer: &Self) {
        newer.0.iter().for_each(|(&key, set)| self.put(key, set));
    }

    /// Those that `known` has not, or has otherwise.
    pub(crate) fn unlike(&self, known: &Self) -> Self {
        let differs = |(key, set): &(&Key, &Vec<u8>)| known.0.get(*key) != Some(*set);
        Self(self.0.iter().filter(differs).map(|(&key, set)| (key, set.clone())).collect())
    }

    /// Whether each set of `other` has one of these in its place.
    pub(crate) fn holds_all_of(&self, other: &Self) -> bool {
        other.0.keys().all(|key| self.0.contains_key(key))
    }

    #[cfg(test)]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.0.keys()
    }

    /// In the order in which a decoder needs them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.values().map(Vec::as_slice)
    }
}
