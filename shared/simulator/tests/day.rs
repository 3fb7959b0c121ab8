//! Laws of a day at scale: whatever the profile, these hold.
#![allow(clippy::unwrap_used)]

use trackdrop_simulator::day::{
    Profile, Report,
    operations::{EndedBy, of_request},
    simulate,
};

fn day(text: &str) -> Report {
    simulate(&Profile::parse(text, &[]).unwrap(), 7).unwrap()
}

fn built_in(name: &str, set: &[(&str, &str)]) -> Report {
    let (_, text) = trackdrop_simulator::day::BUILT_IN.iter().find(|(known, _)| *known == name).unwrap();
    let set: Vec<_> = set.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect();
    simulate(&Profile::parse(text, &set).unwrap(), 7).unwrap()
}

/// Days that differ in everything that decides how things go.
const DAYS: [&str; 7] = [
    "videos: 100",
    "{ videos: 300, annotated: true }",
    "{ videos: 200, annotated: true, deployment: { load_window_minutes: 2 } }",
    "{ videos: 300, deployment: { track_delivery: pull, gpus: 4, load_window_minutes: 5 } }",
    // Everything at once: queues, deliveries that are turned away, backoff.
    "{ videos: 400, shape: [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], deployment: { gpus: 1 } }",
    "{ videos: 3, lengths: [{ seconds: 12000, share: 1 }], deployment: { gpus: 10 } }",
    "{ videos: 50, lengths: [{ seconds: 0.5, share: 1 }], deployment: { all_started: true } }",
];

#[test]
fn no_video_is_lost_and_none_is_counted_twice() {
    for text in DAYS {
        let report = day(text);
        assert_eq!(
            (report.with_rows, report.done, report.failed, report.untold),
            (report.videos, report.videos, 0, 0),
            "{text}"
        );
        assert_eq!(report.latency["4 rows"].count, report.videos, "{text}");
    }
}

#[test]
fn every_event_is_delivered_until_it_is_taken_and_each_function_gets_its_own() {
    for text in DAYS {
        let profile = Profile::parse(text, &[]).unwrap();
        let report = day(text);
        let functions = &report.functions;
        for (function, events) in [
            ("split", report.videos),
            ("track", report.segments),
            ("merge", report.videos),
            ("load", report.videos),
            ("annotate", if profile.annotated { report.segments } else { 0 }),
            ("join", if profile.annotated { report.videos } else { 0 }),
        ] {
            let of = functions[function];
            assert_eq!(of.events, events, "{function} of {text}");
            assert_eq!(of.deliveries, events + of.turned_away, "{function} of {text}: who is turned away comes again");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_report_and_another_one_another() {
    for text in &DAYS[1..4] {
        assert_eq!(day(text), day(text), "{text}");
    }
    let profile = Profile::parse(DAYS[0], &[]).unwrap();
    assert_ne!(simulate(&profile, 1).unwrap().latency, simulate(&profile, 2).unwrap().latency);
}

#[test]
fn more_gpus_are_never_slower() {
    for delivery in ["push", "pull"] {
        let p50s: Vec<_> = [1, 2, 4, 8, 16]
            .into_iter()
            .map(|gpus| {
                let report = day(&format!(
                    "{{ videos: 1500, deployment: {{ track_delivery: {delivery}, gpus: {gpus}, gpus_at_least: {gpus} }} }}"
                ));
                assert_eq!(report.done, 1_500, "{delivery}, {gpus}");
                report.latency["4 rows"].p50_s
            })
            .collect();
        // A bucket of the histogram is 2.2 % wide.
        assert!(p50s.windows(2).all(|pair| pair[1] <= pair[0] * 1.025), "{delivery}: {p50s:?}");
        assert!(p50s[4] < p50s[0], "{delivery}: {p50s:?}");
    }
}

#[test]
fn whatever_there_is_too_little_of_is_named_first() {
    let first = |set: &[(&str, &str)]| built_in("thousand", set).uses[0].clone();
    for (path, value, what) in [
        ("deployment.gpus", "1", "GPUs"),
        ("deployment.split_max_instances", "1", "instances of split"),
        ("limits.table_loads_per_day", "1001", "load jobs of table requests"),
        ("limits.project_loads_per_day", "2001", "load jobs of the project"),
        ("limits.bucket_writes_per_s", "0.05", "writes of bucket work"),
        ("limits.bucket_reads_per_s", "0.2", "reads of bucket results"),
        ("limits.push_bytes_per_s", "500", "messages pushed"),
        ("limits.publish_bytes_per_s", "500", "messages published"),
    ] {
        let enough = [("deployment.gpus", "50"), ("deployment.gpus_at_least", "50"), ("times.start_s", "0")];
        let used = first(&[&enough[..], &[("deployment.gpus_at_least", "0"), (path, value)]].concat());
        let is_it =
            used.what == what || what.starts_with("load jobs of table") && used.what.starts_with("load jobs of table");
        let same_share = used.what.split(' ').next() == what.split(' ').next();
        assert!(is_it || same_share, "{path}={value}: {used:?}");
    }
}

#[test]
fn a_quota_that_is_used_up_keeps_rows_waiting_and_loses_none() {
    let by_window = ("deployment.load_window_minutes", "2");
    let report = built_in("thousand", &[("limits.table_loads_per_day", "100"), by_window]);
    assert_eq!((report.with_rows, report.done, report.failed), (1_000, 1_000, 0));
    assert!(report.latency["4 rows"].longest_s > 3_600.0, "rows wait for another day: {report}");
}

#[test]
fn windows_are_few_whatever_the_volume() {
    let quota = ("limits.table_loads_per_day", "720");
    let alone = built_in("thousand", &[quota]);
    assert!(alone.done < 1_000, "each video is a job of each table: {alone}");
    let report = built_in("thousand", &[quota, ("deployment.load_window_minutes", "2")]);
    assert_eq!((report.with_rows, report.done, report.failed), (1_000, 1_000, 0));
    assert!(report.latency["5 over"].longest_s < 3_600.0, "{report}");
}

#[test]
fn ends_keep_up_while_requests_never_stop_coming() {
    let report = built_in("hundred-thousand", &[]);
    assert_eq!((report.with_rows, report.done, report.failed), (100_000, 100_000, 0));
    // Windows of tracks follow each other through the day; ends are published between them.
    let [rows, over] = ["4 rows", "5 over"].map(|until| report.latency[until].longest_s);
    assert!(over < rows + 300.0, "{report}");
}

#[test]
fn a_bucket_that_takes_little_makes_everything_late() {
    let quick = built_in("thousand", &[]).latency["4 rows"].p50_s;
    let report = built_in("thousand", &[("limits.bucket_writes_per_s", "1"), ("limits.bucket_doubles_every_s", "1e9")]);
    assert!(report.latency["4 rows"].p50_s > 1.2 * quick && report.waits["room in a bucket"] > 1.0, "{report}");
    assert_eq!(report.done, 1_000);
}

#[test]
fn a_gpu_is_paid_for_while_it_idles_and_detection_alone_is_what_the_formula_says() {
    let report = built_in("hundred", &[]);
    assert!(report.gpu.hours > 2.0 * report.gpu.busy_hours, "{report}");
    let busy =
        built_in("hour-on-20", &[("video.decode_ms", "0"), ("video.scale_ms", "0"), ("times.fps_per_gpu", "300")]);
    let by_hand = 3_600.0 * 30.0 / 300.0 * (0.0001867 + 4.0 * 0.000018 + 16.0 * 0.000002);
    let beside = busy.cost.other_instances + busy.cost.operations + busy.cost.messages;
    assert!((busy.cost.per_video_hour_gpu_always_busy - by_hand - beside).abs() < 1e-9, "{busy}");
}

#[test]
fn an_hour_of_video_is_queryable_within_two_minutes_on_20_gpus() {
    let report = built_in("hour-on-20", &[]);
    assert!(report.goals.len() == 1 && report.goals[0].is_met, "{report}");
}

#[test]
fn the_small_profile_has_the_operations_and_deliveries_of_the_real_handlers() {
    let report = built_in("small", &[]);
    assert_eq!(report.progress_writes, 0, "it is over before progress is due");
    for (function, expected) in of_request(4, true, EndedBy::Join) {
        assert_eq!(report.operations[function], expected, "{function}");
    }
    let deliveries: u64 = report.functions.values().map(|of| of.deliveries).sum();
    assert_eq!(deliveries, 12);
}

/// `scripts/e2e services` prints the table.
#[test]
fn the_small_profile_has_the_events_and_deliveries_of_the_end_to_end_test() {
    let table = include_str!("../../../docs/services.md");
    let line = table.lines().find(|line| line.starts_with("| nothing goes wrong |")).unwrap();
    let counted: Vec<u64> = line.split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
    let report = built_in("small", &[]);
    let events: u64 = report.functions.values().map(|of| of.events).sum();
    let deliveries: u64 = report.functions.values().map(|of| of.deliveries).sum();
    assert_eq!(counted, [events, deliveries]);
}
