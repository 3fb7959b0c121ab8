//! The functions of the flow, as the day knows them.

use serde::Serialize;
use trackdrop_pipeline::trigger::{Trigger, TriggerError};

/// A function that events start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Function {
    Split,
    Track,
    Merge,
    Load,
    Annotate,
    Join,
}

pub(crate) const FUNCTIONS: [Function; 6] =
    [Function::Split, Function::Track, Function::Merge, Function::Load, Function::Annotate, Function::Join];

/// The trigger files of the product, in the same order.
const TRIGGERS: [&str; 6] = [
    include_str!("../../../../triggers/split.yaml"),
    include_str!("../../../../triggers/track.yaml"),
    include_str!("../../../../triggers/merge.yaml"),
    include_str!("../../../../triggers/load.yaml"),
    include_str!("../../../../triggers/annotate.yaml"),
    include_str!("../../../../triggers/join.yaml"),
];

impl Function {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Track => "track",
            Self::Merge => "merge",
            Self::Load => "load",
            Self::Annotate => "annotate",
            Self::Join => "join",
        }
    }

    /// CPUs and GiB of an instance without a GPU, as Terraform declares them.
    pub(crate) fn shape(self) -> (f64, f64) {
        match self {
            Self::Split => (2.0, 4.0),
            Self::Merge => (2.0, 8.0),
            Self::Load => (1.0, 0.5),
            Self::Annotate => (4.0, 6.0),
            // Of a GPU's instance the profile says it.
            Self::Track | Self::Join => (4.0, 16.0),
        }
    }
}

/// The triggers, by function.
pub(crate) fn triggers() -> Result<Vec<Trigger>, TriggerError> {
    TRIGGERS.into_iter().map(Trigger::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_triggers_and_shapes_are_the_deployments() {
        let shapes = include_str!("../../../../terraform/modules/functions/main.tf");
        for (function, trigger) in FUNCTIONS.into_iter().zip(triggers().unwrap()) {
            assert_eq!(trigger.function, function.name());
            if function == Function::Track {
                continue;
            }
            let start = format!("{} ", function.name());
            let line = shapes.lines().find(|line| line.trim_start().starts_with(&start)).unwrap();
            let (cpus, gib) = function.shape();
            let memory = if gib < 1.0 { format!("{}Mi", gib * 1_024.0) } else { format!("{gib}Gi") };
            assert!(line.contains(&format!("cpu = \"{cpus}\"")) && line.contains(&format!("memory = \"{memory}\"")));
        }
    }
}
