//! The same work for many things at once, on a few threads.

use std::sync::Mutex;
use std::thread;

use crate::error::Result;

/// The work is waiting for processes to come up; more threads than this only make two hundred of them start at once.
const THREADS: usize = 16;

/// Does `work` for every item, several at a time, and returns the results in the items' order.
///
/// The first error wins, but every item is worked on: what is half up has to be found by the clean-up.
pub fn each<I: Sync, T: Send>(items: &[I], work: impl Fn(&I) -> Result<T> + Sync) -> Result<Vec<T>> {
    let next = Mutex::new(items.iter().enumerate());
    let mut done = thread::scope(|scope| {
        let worker = || {
            let mut mine = Vec::new();
            while let Some((index, item)) = next.lock().ok().and_then(|mut items| items.next()) {
                mine.push((index, work(item)));
            }
            mine
        };
        let workers: Vec<_> = (0..THREADS.min(items.len())).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
