//! What is printed of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{End, Error, Result};
use crate::load::Report;

/// All campaigns, each printed when it is through.
pub(super) struct Table {
    rows: Vec<Row>,
}

/// One campaign.
pub(super) struct Row {
    strategy: String,
    end: End,
    codes: BTreeMap<i32, usize>,
    slowest_end: Duration,
    slowest_whole: Duration,
    sent: usize,
    failed: usize,
    wrong: Vec<String>,
}

impl Table {
    pub(super) fn new() -> Self {
        println!(
            "\n  {:<9} {:<21} {:>5} {:>12} {:>12} {:>8} {:>6} {:>5}  exit codes",
            "strategy", "what befell it", "times", "ended within", "whole within", "requests", "failed", "wrong"
        );
        Self { rows: Vec::new() }
    }

    pub(super) fn add(&mut self, row: Row) {
        row.show();
        self.rows.push(row);
    }

    pub(super) fn verdict(self) -> Result<()> {
        let bad = self.rows.iter().filter(|row| !row.wrong.is_empty() || row.failed > 0).count();
        println!("\n{} passed, {bad} failed", self.rows.len() - bad);
        if bad == 0 { Ok(()) } else { Err(Error::Failed(format!("{bad} campaigns failed"))) }
    }
}

impl Row {
    pub(super) fn new(strategy: &str, end: End) -> Self {
        Self {
            strategy: strategy.to_owned(),
            end,
            codes: BTreeMap::new(),
            slowest_end: Duration::ZERO,
            slowest_whole: Duration::ZERO,
            sent: 0,
            failed: 0,
            wrong: Vec::new(),
        }
    }

    /// A campaign that could not go on.
    pub(super) fn broken(strategy: &str, end: End, error: &Error) -> Self {
        let mut row = Self::new(strategy, end);
        row.wrong(error.to_string());
        row
    }

    /// shipit is at its end, so long after it was struck.
    pub(super) fn ended(&mut self, after: Duration, code: i32) {
        *self.codes.entry(code).or_default() += 1;
        self.slowest_end = self.slowest_end.max(after);
    }

    /// The fleet is whole again, so long after that.
    pub(super) fn whole(&mut self, after: Duration) {
        self.slowest_whole = self.slowest_whole.max(after);
    }

    /// What must not be.
    pub(super) fn wrong(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// What became of the requests.
    pub(super) fn load(&mut self, report: &Report) {
        (self.sent, self.failed) = (report.sent(), report.failed());
        if report.failed() > 0 {
            self.wrong.push(report.losses_explained());
        }
    }

    fn show(&self) {
        let codes: Vec<String> = self.codes.iter().map(|(code, times)| format!("{times} × {code}")).collect();
        println!(
            "  {:<9} {:<21} {:>5} {:>10.1} s {:>10.1} s {:>8} {:>6} {:>5}  {}",
            self.strategy,
            self.end.name(),
            self.codes.values().sum::<usize>(),
            self.slowest_end.as_secs_f64(),
            self.slowest_whole.as_secs_f64(),
            self.sent,
            self.failed,
            self.wrong.len(),
            codes.join(", "),
        );
        for wrong in &self.wrong {
            println!("    {wrong}");
        }
    }
}
