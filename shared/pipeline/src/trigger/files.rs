//! The trigger files of the product, built in so that an installed command or service needs no checkout.

/// The trigger of `split`.
pub const SPLIT: &str = include_str!("../../../../triggers/split.yaml");
/// The trigger of `track`.
pub const TRACK: &str = include_str!("../../../../triggers/track.yaml");
/// The trigger of `merge`.
pub const MERGE: &str = include_str!("../../../../triggers/merge.yaml");
/// The trigger of `load`.
pub const LOAD: &str = include_str!("../../../../triggers/load.yaml");
/// The trigger of `annotate`.
pub const ANNOTATE: &str = include_str!("../../../../triggers/annotate.yaml");
/// The trigger of `join`.
pub const JOIN: &str = include_str!("../../../../triggers/join.yaml");
/// The trigger of `fail`.
pub const FAIL: &str = include_str!("../../../../triggers/fail.yaml");

/// Those that start the stages, in the order of the flow.
pub const STAGES: [&str; 6] = [SPLIT, TRACK, MERGE, LOAD, ANNOTATE, JOIN];

/// The name of each file in `triggers`, and its text.
pub const ALL: [(&str, &str); 7] = [
    ("split.yaml", SPLIT),
    ("track.yaml", TRACK),
    ("merge.yaml", MERGE),
    ("load.yaml", LOAD),
    ("annotate.yaml", ANNOTATE),
    ("join.yaml", JOIN),
    ("fail.yaml", FAIL),
];
