//! Which of the frames are tracked: those that the detector looked at, or fewer of them.

use trackdrop_pipeline::{Failure, Looks, Manifest, SegmentNumber, ledger::FrameAccount};

/// The looks of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strides {
    /// The frames that the detector looked at.
    detected: Looks,
    /// Those of them that are tracked.
    pub(crate) tracked: Looks,
}

impl Strides {
    /// By what the first segment says; another version of the tracks may ask for fewer looks than there are.
    pub(crate) fn of(manifest: &Manifest, account: &FrameAccount) -> Result<Self, Failure> {
        let detected = account.detect_every.max(1);
        let tracked = manifest.detect_every().get();
        if !tracked.is_multiple_of(detected) {
            return Err(Failure::permanent(format!(
                "detections exist for every {detected} frames, so --detect-every (the request setting detect_every) can be {detected}, {} and so on, and not \
                 {tracked}: give such a number, or process the video again",
                2 * detected
            )));
        }
        if tracked != detected && manifest.retrack_of.is_none() {
            return Err(Failure::permanent(format!(
                "the video was sampled every {detected} frames instead of every {tracked}: process the video again"
            )));
        }
        Ok(Self { detected: manifest.looks(detected), tracked: manifest.looks(tracked) })
    }

    /// The frames that a segment's detector looked at, which are those of all others.
    pub(crate) fn detected(&self, segment: SegmentNumber, account: &FrameAccount) -> Result<&Looks, Failure> {
        match account.detect_every == self.detected.every() {
            true => Ok(&self.detected),
            false => Err(Failure::permanent(format!(
                "segment {segment} was sampled every {} frames, earlier segments every {}: process the video again",
                account.detect_every,
                self.detected.every()
            ))),
        }
    }
}
