//! `fail` as a service.

use std::process::ExitCode;
use trackdrop_fail::Fail;
use trackdrop_flow::sweep::Patience;
use trackdrop_framework::{serve, variable};
use trackdrop_pipeline::Failure;

fn main() -> ExitCode {
    serve(include_str!("../../../triggers/fail.yaml"), async |service| {
        let usual = Patience::default();
        let patience = Patience {
            still_s: seconds("TRACKDROP_STILL_S", usual.still_s)?,
            give_up_s: seconds("TRACKDROP_GIVE_UP_S", usual.give_up_s)?,
        };
        let ignored = service.uploads()?.ignored();
        Ok(Fail::new(service.cloud.clone()).with_patience(patience).with_ignored(ignored))
    })
}

fn seconds(name: &'static str, usual: f64) -> Result<f64, Failure> {
    let Some(text) = variable(name)? else { return Ok(usual) };
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0 && seconds.is_finite());
    seconds.ok_or_else(|| Failure::permanent(format!("{name} is {text:?}: it must be a number of seconds")))
}
