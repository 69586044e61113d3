//! What processes cost: CPU time and memory, as /proc tells it.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::process::Process;
use crate::shipit;

/// The kernel's unit in `/proc/PID/stat`; it has been 100 a second everywhere for twenty years.
const TICKS: f64 = 100.0;

/// Looking into two hundred processes costs milliseconds, which is why memory is measured in a run of its own.
const EVERY: Duration = Duration::from_millis(100);

/// Seconds of CPU that the ended children of this process used, with all that *they* waited for.
pub fn of_children() -> f64 {
    cpu("/proc/self/stat", 13..15)
}

/// Seconds of CPU that `processes` and all that they waited for have used.
pub fn of(processes: &[Process]) -> f64 {
    processes.iter().map(|process| cpu(&format!("/proc/{}/stat", process.pid()), 11..15)).sum()
}

/// The sum of fields of a `stat`, counted from the one behind the program's name.
fn cpu(path: &str, fields: std::ops::Range<usize>) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let Some((_, rest)) = text.rsplit_once(") ") else { return 0.0 };
    let figures = rest.split_whitespace().skip(fields.start).take(fields.len());
    figures.filter_map(|figure| figure.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// The most memory that was seen, in kB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Resident memory of shipit itself.
    pub own: u64,
    /// What its ssh processes had for themselves alone.
    pub masters: u64,
    /// How many there were then.
    pub count: usize,
}

/// Watches the memory of the shipit that `run` starts.
pub fn memory<T>(run: impl FnOnce() -> T) -> (T, Memory) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&over));
        let done = run();
        over.store(true, Ordering::Relaxed);
        (done, watching.join().unwrap_or_default())
    })
}

fn watch(over: &AtomicBool) -> Memory {
    let mut most = Memory::default();
    while !over.load(Ordering::Relaxed) {
        if let Some(shipit) = shipit::running() {
            most.own = most.own.max(kilobytes(&format!("/proc/{}/status", shipit.pid()), &["VmHWM:"]));
            let masters: Vec<Process> = Process::families(vec![shipit])
                .into_iter()
                .filter(|process| process.command_line().starts_with("ssh "))
                .collect();
            let private = |process: &Process| {
                kilobytes(&format!("/proc/{}/smaps_rollup", process.pid()), &["Private_Clean:", "Private_Dirty:"])
            };
            let sum = masters.iter().map(private).sum();
            if sum > most.masters {
                (most.masters, most.count) = (sum, masters.len());
            }
        }
        thread::sleep(EVERY);
    }
    most
}

/// The sum of the named lines of a file of /proc.
fn kilobytes(path: &str, names: &[&str]) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines().map(str::split_whitespace);
    let value = |mut words: std::str::SplitWhitespace<'_>| {
        let name = words.next()?;
        names.contains(&name).then(|| words.next()?.parse::<u64>().ok()).flatten()
    };
    lines.by_ref().filter_map(value).sum()
}
