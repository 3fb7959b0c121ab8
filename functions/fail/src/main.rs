//! `fail` as a service.

use std::process::ExitCode;
use trackdrop_fail::Fail;
use trackdrop_flow::sweep::Patience;
use trackdrop_framework::{serve, setting};
use trackdrop_pipeline::trigger::files;

fn main() -> ExitCode {
    serve(files::FAIL, async |service| {
        let usual = Patience::default();
        let patience = Patience {
            stalled_s: service.values.get(&setting::STALLED_S)?.unwrap_or(usual.stalled_s),
            give_up_s: service.values.get(&setting::GIVE_UP_S)?.unwrap_or(usual.give_up_s),
        };
        let ignored = service.uploads()?.ignored();
        Ok(Fail::new(service.cloud.clone()).with_patience(patience).with_ignored(ignored))
    })
}
