//! Load jobs, within what a table and a project take of them.

use super::limits::Limits;
use std::collections::VecDeque;

const DAY_US: u64 = 86_400_000_000;
const TEN_S_US: u64 = 10_000_000;

/// The load jobs of one table.
#[derive(Clone, Debug, Default)]
struct Table {
    day: u64,
    today: u64,
    last: VecDeque<u64>,
    busiest_10_s: usize,
}

/// The tables that are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loaded {
    Tracks,
    Requests,
}

/// The jobs of a project.
#[derive(Clone, Debug)]
pub(crate) struct Jobs {
    limits: Limits,
    job_us: u64,
    tables: [Table; 2],
    pub(crate) refused: u64,
}

impl Jobs {
    pub(crate) fn new(limits: &Limits, job_s: f64) -> Self {
        Self { limits: limits.clone(), job_us: (job_s * 1e6) as u64, tables: Default::default(), refused: 0 }
    }

    /// Starts a job; gives when it is done, or nothing where a quota of the day is used up.
    pub(crate) fn load(&mut self, table: Loaded, now_us: u64) -> Option<u64> {
        let day = now_us / DAY_US;
        for table in &mut self.tables {
            if table.day != day {
                (table.day, table.today) = (day, 0);
            }
        }
        let of_project: u64 = self.tables.iter().map(|table| table.today).sum();
        let table = &mut self.tables[table as usize];
        if table.today as f64 >= self.limits.table_loads_per_day
            || of_project as f64 >= self.limits.project_loads_per_day
        {
            self.refused += 1;
            return None;
        }
        table.today += 1;
        // Above this number in ten seconds the job has to wait, and is tried again.
        let most = (self.limits.table_loads_per_10_s.max(1.0)) as usize;
        let mut at_us = now_us;
        if table.last.len() >= most {
            at_us = at_us.max(table.last[table.last.len() - most] + TEN_S_US);
        }
        while table.last.front().is_some_and(|&first| first + TEN_S_US <= at_us && table.last.len() > most) {
            table.last.pop_front();
        }
        table.last.push_back(at_us);
        let within = table.last.iter().filter(|&&earlier| earlier + TEN_S_US > at_us).count();
        table.busiest_10_s = table.busiest_10_s.max(within);
        Some(at_us + self.job_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_so_many_jobs_and_ten_seconds_so_many() {
        let limits = Limits { table_loads_per_day: 3.0, table_loads_per_10_s: 2.0, ..Limits::default() };
        let mut jobs = Jobs::new(&limits, 1.0);
        assert_eq!(jobs.load(Loaded::Tracks, 0), Some(1_000_000));
        assert_eq!(jobs.load(Loaded::Tracks, 0), Some(1_000_000));
        assert_eq!(jobs.load(Loaded::Tracks, 0), Some(11_000_000), "the third waits");
        assert_eq!(jobs.load(Loaded::Requests, 0), Some(1_000_000), "another table");
        assert_eq!((jobs.load(Loaded::Tracks, 50_000_000), jobs.refused), (None, 1));
        assert!(jobs.load(Loaded::Tracks, DAY_US).is_some(), "the next day");
    }
}
