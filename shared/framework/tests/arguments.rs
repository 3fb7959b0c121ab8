//! The command line of a whole service, as a process: a flag for each setting, and what is no flag refused.
#![allow(clippy::unwrap_used)]

#[path = "support/running.rs"]
#[allow(dead_code, unreachable_pub)]
mod running;

use running::{Running, program};
use serde_json::json;
use std::process::{Command, Output};

fn said(arguments: &[&str]) -> (Output, String) {
    let output = Command::new(program()).args(arguments).env_clear().output().unwrap();
    let text = [output.stdout.clone(), output.stderr.clone()].concat();
    (output, String::from_utf8(text).unwrap())
}

#[test]
fn help_names_every_setting_with_its_variable() {
    let (output, text) = said(&["--help"]);
    assert!(output.status.success());
    for (flag, variable) in [
        ("--port", "PORT"),
        ("--bucket-uploads", "TRACKDROP_BUCKET_UPLOADS"),
        ("--concurrency", "TRACKDROP_CONCURRENCY"),
        ("--push-keys-url", "TRACKDROP_PUSH_KEYS_URL"),
    ] {
        assert!(text.lines().any(|line| line.contains(flag) && line.contains(&format!("[{variable}]"))), "{text}");
    }
}

#[test]
fn an_argument_that_is_not_known_or_has_no_value_ends_the_service_before_it_begins() {
    for (arguments, reason) in [
        (&["--prot", "9000"][..], "\"--prot\" is not known"),
        (&["9000"], "\"9000\" is not known"),
        // This one does not pull.
        (&["--pull"], "\"--pull\" is not known"),
        (&["--port"], "--port has no value"),
    ] {
        let (output, text) = said(arguments);
        assert!(!output.status.success() && text.contains(reason), "{arguments:?}: {text}");
    }
    // Known, and taken: it is the next setting that is missing.
    let (_, text) = said(&["--bucket-work=w", "--dataset", "p.d", "--bucket-uploads", "u", "--bucket-results=r"]);
    assert!(text.contains("TRACKDROP_TOPIC_REQUESTS"), "{text}");
}

#[tokio::test]
async fn a_flag_is_heeded_and_wins_over_the_variable() {
    let flags = ["--push-audience", "https://x", "--push-service-account=a@b", "--concurrency", "3"];
    // No service starts with this variable.
    let service = Running::start_with(&flags, &[("TRACKDROP_CONCURRENCY", "0")]).await;
    let (status, told) = service.push(&json!({}), None).await;
    assert!(status == 401 && told.contains("no bearer token"), "{status} {told}");
    service.stop().await;
}
