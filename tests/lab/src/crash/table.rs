//! What is printed of it.

use std::io::{self, Write as _};
use std::time::Duration;

use super::{End, Error, Result};
use crate::load::Report;
use crate::shipit::Outcome;
use crate::wait::last_lines;

/// All campaigns.
pub(super) struct Table {
    rows: Vec<Row>,
}

/// One campaign.
pub(super) struct Row {
    strategy: String,
    end: End,
    ends: usize,
    slowest_end: Duration,
    slowest_whole: Duration,
    sent: usize,
    failed: usize,
    wrong: Vec<String>,
}

impl Table {
    pub(super) fn new() -> Self {
        println!(
            "\n  {:<10} {:<8} {:>5} {:>12} {:>12} {:>10} {:>7} {:>6}",
            "strategy", "ended by", "times", "ended within", "whole within", "requests", "failed", "wrong"
        );
        Self { rows: Vec::new() }
    }

    pub(super) fn add(&mut self, row: Row) {
        row.show();
        println!();
        for wrong in &row.wrong {
            println!("    {wrong}");
        }
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
            ends: 0,
            slowest_end: Duration::ZERO,
            slowest_whole: Duration::ZERO,
            sent: 0,
            failed: 0,
            wrong: Vec::new(),
        }
    }

    /// shipit is at its end; `GitHub` lets it end by itself, or kills it.
    pub(super) fn ended(&mut self, after: usize, outcome: &Outcome) {
        self.ends += 1;
        self.slowest_end = self.slowest_end.max(outcome.after_strike.unwrap_or_default());
        if self.end == End::Github && outcome.code < 0 {
            self.wrong(after, "it had to be killed");
        }
    }

    /// The fleet is whole again.
    pub(super) fn whole(&mut self, after: Duration) {
        self.slowest_whole = self.slowest_whole.max(after);
    }

    /// What was run then is at its end.
    pub(super) fn then(&mut self, after: usize, outcome: &Outcome) {
        if outcome.code != 0 {
            let said = last_lines(&format!("{}{}", outcome.stdout, outcome.stderr));
            self.wrong(after, &format!("`{}` ended with {}:\n{said}", outcome.command, outcome.code));
        }
    }

    /// What must not be.
    pub(super) fn wrong(&mut self, after: usize, what: &str) {
        self.wrong.push(format!("after event {after}: {what}"));
    }

    /// What became of the requests.
    pub(super) fn load(&mut self, report: &Report) {
        (self.sent, self.failed) = (report.sent(), report.failed());
        if report.failed() > 0 {
            self.wrong.push(report.losses_explained());
        }
    }

    /// Prints the row over the one before.
    pub(super) fn show(&self) {
        let end = if self.end == End::Kill { "kill -9" } else { "GitHub" };
        print!(
            "\r  {:<10} {end:<8} {:>5} {:>10.1} s {:>10.1} s {:>10} {:>7} {:>6}",
            self.strategy,
            self.ends,
            self.slowest_end.as_secs_f64(),
            self.slowest_whole.as_secs_f64(),
            self.sent,
            self.failed,
            self.wrong.len()
        );
        let _ = io::stdout().flush();
    }
}
