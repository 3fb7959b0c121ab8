//! How much of a video may be damaged: tracks of what hardly anybody could see are none.

use trackdrop_pipeline::{Failure, Manifest, ledger::FrameAccount, manifest::ManifestSegment};

/// The largest share of damaged frames where the request does not say another.
const USUAL_SHARE: f64 = 0.5;

/// The damage of the segments so far.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    frames: u64,
    damaged: u64,
    first: Option<First>,
}

#[derive(Debug)]
struct First {
    frame_index: u64,
    pts: i64,
    is_missing: bool,
}

impl Damage {
    /// Takes a segment's account in; segments come in order.
    pub(crate) fn take(&mut self, segment: &ManifestSegment, account: &FrameAccount) {
        // What was skipped by plan is neither.
        self.frames += account.frames_decoded + account.missing_pts.len() as u64;
        self.damaged += (account.missing_pts.len() + account.damaged_pts.len()) as u64;
        if self.first.is_none()
            && let Some(&pts) = account.missing_pts.iter().chain(&account.damaged_pts).min()
        {
            let place = segment.frame_pts.as_slice().partition_point(|&planned| planned < pts) as u64;
            let is_missing = account.missing_pts.contains(&pts);
            self.first = Some(First { frame_index: segment.span.first_frame + place, pts, is_missing });
        }
    }

    /// Refuses a video that is damaged by more than its request allows.
    pub(crate) fn check(&self, manifest: &Manifest) -> Result<(), Failure> {
        let share = manifest.settings.max_damaged_share.unwrap_or(USUAL_SHARE);
        let Some(first) = self.first.as_ref().filter(|_| self.damaged as f64 > share * self.frames as f64) else {
            return Ok(());
        };
        let seconds = manifest
            .source
            .video
            .as_ref()
            .map(|video| video.time_base.decimal_seconds(first.pts - video.origin_pts))
            .unwrap_or_default();
        let how = if first.is_missing { "could not be decoded" } else { "came out with errors" };
        Err(Failure::permanent(format!(
            "{} of {} frames are damaged, more than the share of {share} that is allowed; the first is frame {} at {seconds} s, which {how}. The \
             file may be encrypted, or broken by a transfer: provide it again, or allow more by --max-damaged-share (the request setting max_damaged_share)",
            self.damaged, self.frames, first.frame_index
        )))
    }
}
