//! What a video would cost on Cloud Run: an estimate, with its formula.

use crate::Stage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The table that is built in; see its comments for what the prices are.
const PRICES: &str = include_str!("../prices.yaml");

/// Prices and the sizes of the instances, from `prices.yaml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The month they were looked up.
    pub as_of: String,
    /// US dollars a second of an NVIDIA L4.
    pub gpu_second: f64,
    /// US dollars a second of a vCPU.
    pub vcpu_second: f64,
    /// US dollars a second of a GiB of memory.
    pub gib_second: f64,
    /// The instance that detects.
    pub track: Instance,
    /// The instance of every other stage.
    pub other: Instance,
}

/// What an instance has.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// L4 GPUs.
    pub gpus: f64,
    /// vCPUs.
    pub vcpus: f64,
    /// GiB of memory.
    pub gib: f64,
}

/// An estimate of what the work would cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostEstimate {
    /// US dollars.
    pub usd: f64,
    /// The formula, with its numbers.
    pub formula: String,
    /// The month of the prices.
    pub prices_as_of: String,
}

impl Prices {
    /// The built-in table.
    pub fn built_in() -> Self {
        #[expect(clippy::expect_used, reason = "a test parses the same constant")]
        serde_saphyr::from_str(PRICES).expect("prices.yaml is built in and tested")
    }

    /// US dollars a second of an instance.
    pub fn per_second(&self, instance: Instance) -> f64 {
        instance.gpus * self.gpu_second + instance.vcpus * self.vcpu_second + instance.gib * self.gib_second
    }

    /// What these seconds of detection, and of all other stages, would cost. They are the seconds in which an instance is busy. A
    /// second counts once if the instance works on several segments. The time in which instances start or are idle is not
    /// included.
    pub fn estimate(&self, track_s: f64, other_s: f64) -> CostEstimate {
        let usd = track_s * self.per_second(self.track) + other_s * self.per_second(self.other);
        let part = |seconds: f64, instance: Instance| {
            let mut terms = Vec::new();
            for (count, price, what) in [
                (instance.gpus, self.gpu_second, "L4"),
                (instance.vcpus, self.vcpu_second, "vCPU"),
                (instance.gib, self.gib_second, "GiB"),
            ] {
                if count > 0.0 {
                    terms.push(format!("{count} {what} x ${price}"));
                }
            }
            format!("{seconds:.1} s x ({})", terms.join(" + "))
        };
        let mut formula = format!("track {}", part(track_s, self.track));
        if other_s > 0.0 {
            formula.push_str(&format!(" + other stages {}", part(other_s, self.other)));
        }
        CostEstimate { usd, formula, prices_as_of: self.as_of.clone() }
    }

    /// The same from the busy seconds by stage.
    pub fn estimate_by_stage(&self, busy_by_stage: &BTreeMap<Stage, f64>) -> CostEstimate {
        let track_s = busy_by_stage.get(&Stage::Track).copied().unwrap_or_default();
        let all: f64 = busy_by_stage.values().sum();
        self.estimate(track_s, all - track_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_an_l4_instance_costs_its_parts() {
        let prices = Prices::built_in();
        let hour = prices.estimate(3600.0, 0.0);
        let by_hand = 3600.0 * (0.0001867 + 4.0 * 0.000018 + 16.0 * 0.000002);
        assert!((hour.usd - by_hand).abs() < 1e-9, "{hour:?}");
        assert_eq!(hour.formula, "track 3600.0 s x (1 L4 x $0.0001867 + 4 vCPU x $0.000018 + 16 GiB x $0.000002)");
        assert_eq!(hour.prices_as_of, prices.as_of);
    }

    #[test]
    fn stages_other_than_track_need_no_gpu() {
        let prices = Prices::built_in();
        let stages = BTreeMap::from([(Stage::Split, 1.0), (Stage::Track, 10.0), (Stage::Annotate, 4.0)]);
        let estimate = prices.estimate_by_stage(&stages);
        let by_hand = 10.0 * (0.0001867 + 0.000072 + 0.000032) + 5.0 * (0.000036 + 0.000008);
        assert!((estimate.usd - by_hand).abs() < 1e-9, "{estimate:?}");
        assert!(estimate.formula.contains("other stages 5.0 s x (2 vCPU"), "{estimate:?}");
    }
}
