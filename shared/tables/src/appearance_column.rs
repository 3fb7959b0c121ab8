//! The column `appearance`: what each detection looks like, in a fixed number of bytes.

/// Largest number of bytes per detection: 2,048 numbers of 16 bits.
pub const MOST_APPEARANCE_BYTES: usize = 4_096;

/// The appearance of each detection of a list, in the format that the file's footer names. All bytes are 0 if it is not
/// known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppearanceColumn {
    bytes_each: usize,
    bytes: Vec<u8>,
}

impl AppearanceColumn {
    /// An empty column with this many bytes per detection. 0: the column does not exist.
    pub fn new(bytes_each: usize) -> Self {
        Self { bytes_each, bytes: Vec::new() }
    }

    /// Bytes for each detection.
    pub fn bytes_each(&self) -> usize {
        self.bytes_each
    }

    /// How many detections it has.
    pub fn len(&self) -> usize {
        self.bytes.len().checked_div(self.bytes_each).unwrap_or(0)
    }

    /// Whether it has no detections.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds the appearance of the next detection. If its length is not [`bytes_each`](Self::bytes_each), all bytes are
    /// 0.
    pub fn push(&mut self, appearance: &[u8]) {
        match appearance.len() == self.bytes_each {
            true => self.bytes.extend_from_slice(appearance),
            false => self.bytes.resize(self.bytes.len() + self.bytes_each, 0),
        }
    }

    /// The appearance of a detection; none if the column does not have it.
    pub fn get(&self, at: usize) -> Option<&[u8]> {
        let start = at.checked_mul(self.bytes_each).filter(|_| self.bytes_each > 0)?;
        self.bytes.get(start..start + self.bytes_each)
    }

    /// The appearances of all detections, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.bytes_each.max(1))
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_other_bytes_is_unknown_and_what_is_beyond_the_end_is_none() {
        let mut column = AppearanceColumn::new(2);
        [&[1, 2][..], &[], &[3, 4, 5]].into_iter().for_each(|appearance| column.push(appearance));
        assert_eq!(column.iter().collect::<Vec<_>>(), [[1, 2], [0, 0], [0, 0]]);
        assert_eq!((column.len(), column.get(0), column.get(3)), (3, Some(&[1, 2][..]), None));
        let mut silent = AppearanceColumn::default();
        silent.push(&[]);
        assert_eq!((silent.len(), silent.get(0), silent.iter().count()), (0, None, 0));
    }
}
