//! The limits of Google's services, each with the page that documents it.

use serde::{Deserialize, Serialize};

/// The limits of the services. A profile can set each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Writes per second that a bucket accepts at first.
    pub bucket_writes_per_s: f64,
    /// Reads and listings per second that a bucket accepts at first.
    pub bucket_reads_per_s: f64,
    /// Seconds in which the rates of a used bucket can double.
    pub bucket_doubles_every_s: f64,
    /// Writes a second of one object.
    pub object_writes_per_s: f64,
    /// Load jobs a day of one table: modifications of partitions of a column-partitioned table.
    pub table_loads_per_day: f64,
    /// Load jobs in ten seconds of one partitioned table.
    pub table_loads_per_10_s: f64,
    /// Load jobs a day of a project.
    pub project_loads_per_day: f64,
    /// Files in one load job.
    pub load_files: u32,
    /// Bytes a second that may be published in a region.
    pub publish_bytes_per_s: f64,
    /// Bytes a second that are pushed in a region.
    pub push_bytes_per_s: f64,
    /// Largest number of unanswered deliveries of push, at first.
    pub push_window_start: f64,
    /// The same, if most deliveries are answered.
    pub push_window: f64,
    /// Shortest time in seconds that an HTTP request waits for an instance before it is refused.
    pub queue_s: f64,
    /// The same, in start-up times of an instance.
    pub queue_starts: f64,
    /// Seconds that an idle instance stays.
    pub idle_s: f64,
    /// Seconds that an idle instance with a GPU stays.
    pub gpu_idle_s: f64,
    /// Age of the autoscaler's metrics in seconds.
    pub metrics_age_s: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bucket_writes_per_s: 1_000.0,
            bucket_reads_per_s: 5_000.0,
            bucket_doubles_every_s: 1_200.0,
            object_writes_per_s: 1.0,
            table_loads_per_day: 30_000.0,
            table_loads_per_10_s: 50.0,
            project_loads_per_day: 100_000.0,
            load_files: 10_000,
            publish_bytes_per_s: 200e6,
            push_bytes_per_s: 20e6,
            push_window_start: 5.0,
            push_window: 3_000.0,
            queue_s: 10.0,
            queue_starts: 3.5,
            idle_s: 900.0,
            gpu_idle_s: 600.0,
            metrics_age_s: 120.0,
        }
    }
}

/// The source of each limit: its name, its meaning, the page.
pub const SOURCES: [(&str, &str); 17] = [
    (
        "bucket_writes_per_s",
        "Cloud Storage, Request rate and access distribution guidelines (storage/docs/request-rate)",
    ),
    (
        "bucket_reads_per_s",
        "Cloud Storage, Request rate and access distribution guidelines (storage/docs/request-rate)",
    ),
    ("bucket_doubles_every_s", "the same page: no faster than doubling over 20 minutes"),
    (
        "object_writes_per_s",
        "Cloud Storage, Quotas and limits (storage/quotas): repeated writes to the same object name",
    ),
    (
        "table_loads_per_day",
        "BigQuery, Quotas and limits (bigquery/quotas): partition modifications per column-partitioned table per day",
    ),
    ("table_loads_per_10_s", "BigQuery, Quotas and limits: modifications per partitioned table every 10 seconds"),
    ("project_loads_per_day", "BigQuery, Quotas and limits: load jobs per project per day"),
    ("load_files", "BigQuery, Quotas and limits: source URIs in a job configuration"),
    (
        "publish_bytes_per_s",
        "Pub/Sub, Quotas and limits (pubsub/quotas): publisher throughput of a large region, 12,000,000 kB a minute",
    ),
    (
        "push_bytes_per_s",
        "Pub/Sub, Quotas and limits: push subscriber throughput of a large region, 1,200,000 kB a minute",
    ),
    (
        "push_window_start",
        "Pub/Sub, Push subscriptions (pubsub/docs/push) says a small single-digit window; 5 is an assumption",
    ),
    ("push_window", "Pub/Sub, Push subscriptions: outstanding messages where answers take more than a second"),
    ("queue_s", "Cloud Run, About maximum instances (run/docs/about-instance-autoscaling): pending requests"),
    ("queue_starts", "the same page: 3.5 times the average start-up"),
    ("idle_s", "Cloud Run, About instance autoscaling: idle instances stay up to 15 minutes"),
    ("gpu_idle_s", "the same page: 10 minutes for GPUs"),
    (
        "metrics_age_s",
        "Pub/Sub, Monitoring (pubsub/docs/monitoring): metrics of a backlog are some minutes old; 120 s as docs/capacity.md has it",
    ),
];

/// The page that documents a limit.
pub fn source_of(limit: &str) -> &'static str {
    SOURCES.iter().find(|(name, _)| *name == limit).map_or("", |(_, source)| source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_has_its_source() {
        let value = serde_json::to_value(Limits::default()).unwrap();
        let names: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        let mut sourced: Vec<_> = SOURCES.iter().map(|(name, _)| (*name).to_owned()).collect();
        sourced.sort_unstable();
        let mut wanted = names.clone();
        wanted.sort_unstable();
        assert_eq!(sourced, wanted);
    }
}
