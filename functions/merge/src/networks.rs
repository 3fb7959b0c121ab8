//! By which networks a video's detections were made: all segments must agree.

use trackdrop_pipeline::{Failure, Manifest, SegmentNumber, manifest::ModelIdentity};
use trackdrop_tables::detections::SegmentFooter;

/// The networks of the segments so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Networks {
    /// That which detects.
    pub(crate) model: Option<ModelIdentity>,
    /// That which says what detections look like, where that was asked for.
    pub(crate) appearance: Option<ModelIdentity>,
}

impl Networks {
    /// Takes the next segment's.
    ///
    /// # Errors
    /// Permanent: they are not those of the segments before, or do not say what objects look like as it was asked for.
    pub(crate) fn take(
        &mut self,
        manifest: &Manifest,
        segment: SegmentNumber,
        footer: &SegmentFooter,
    ) -> Result<(), Failure> {
        agree(&mut self.model, &footer.model, segment)?;
        let Some(asked) = &manifest.settings.appearance else { return Ok(()) };
        if !footer.appearance.as_ref().is_some_and(|stored| stored.is_same(asked)) {
            return Err(Failure::permanent(format!(
                "segment {segment} was detected without --appearance {asked} (the request setting appearance): process the video again with it, or \
                 track without it"
            )));
        }
        footer.appearance_network.as_ref().map_or(Ok(()), |network| agree(&mut self.appearance, network, segment))
    }
}

fn agree(known: &mut Option<ModelIdentity>, other: &ModelIdentity, segment: SegmentNumber) -> Result<(), Failure> {
    match known {
        Some(known) if known.sha256 != other.sha256 => Err(Failure::permanent(format!(
            "segment {segment} was detected by another model ({} instead of {}): process the video again",
            other.name, known.name
        ))),
        Some(_) => Ok(()),
        None => {
            *known = Some(other.clone());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_of_another_network_is_refused_and_one_of_none_too() {
        let network = |sha256: &str| ModelIdentity { name: "osnet".into(), sha256: sha256.into() };
        let number = SegmentNumber::new(1).unwrap();
        let mut known = None;
        for same in [network("00"), network("00")] {
            agree(&mut known, &same, number).unwrap();
        }
        let error = agree(&mut known, &network("01"), number).unwrap_err();
        assert!(error.to_string().contains("another model"), "{error}");
        assert_eq!(known, Some(network("00")));
    }
}
