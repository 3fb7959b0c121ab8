//! The functions of the flow, as the day knows them.

use trackdrop_pipeline::{
    Stage,
    trigger::{Trigger, TriggerError, files},
};

/// CPUs and GiB of an instance without a GPU, as Terraform declares them.
pub(crate) fn shape(stage: Stage) -> (f64, f64) {
    match stage {
        Stage::Split => (2.0, 4.0),
        Stage::Merge => (2.0, 8.0),
        Stage::Load => (1.0, 0.5),
        Stage::Annotate => (4.0, 6.0),
        // Of a GPU's instance the profile says it.
        Stage::Track | Stage::Join => (4.0, 16.0),
    }
}

/// The triggers, by function.
pub(crate) fn triggers() -> Result<Vec<Trigger>, TriggerError> {
    files::STAGES.into_iter().map(Trigger::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_triggers_and_shapes_are_the_deployments() {
        let shapes = include_str!("../../../../terraform/modules/functions/main.tf");
        for (function, trigger) in Stage::ALL.into_iter().zip(triggers().unwrap()) {
            assert_eq!(trigger.function, function.name());
            if function == Stage::Track {
                continue;
            }
            let start = format!("{} ", function.name());
            let line = shapes.lines().find(|line| line.trim_start().starts_with(&start)).unwrap();
            let (cpus, gib) = shape(function);
            let memory = if gib < 1.0 { format!("{}Mi", gib * 1_024.0) } else { format!("{gib}Gi") };
            assert!(line.contains(&format!("cpu = \"{cpus}\"")) && line.contains(&format!("memory = \"{memory}\"")));
        }
    }
}
