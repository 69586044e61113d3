//! What becomes of a step whose answer got lost, or whose guard was killed under it.

use std::future::Future;
use std::time::Duration;

use tokio::time::sleep;

use crate::remote::was_refused;
use crate::transport::{ExecError, Output};

/// How often such a step is tried again, and the waits before.
///
/// Repeating looks again: each action does only what does not hold yet. The session connects anew by itself, and another guard is
/// called by itself; a host that reboots is back by the third try or takes a person.
const AGAIN: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];

/// Does `run` until there is an answer or it is clear that there will be none: `may_act` says whether the guard of this run stands,
/// and has not put the host back, which takes it as long as it takes a guard to come back. With `once`, what got lost is not asked for
/// again. What its guard's absence kept from acting has done nothing, and may always be tried again.
pub(super) async fn settled<R, M>(once: bool, run: impl Fn() -> R, may_act: impl Fn() -> M) -> Result<Output, ExecError>
where
    R: Future<Output = Result<Output, ExecError>>,
    M: Future<Output = bool>,
{
    let mut answer = run().await;
    for wait in AGAIN {
        let is_open = match &answer {
            Err(ExecError::Lost(_)) => !once,
            Err(ExecError::TimedOut(_)) => false,
            Ok(output) => was_refused(output),
        };
        if !is_open {
            break;
        }
        sleep(wait).await;
        // The line to its guard was the same one, and a step that comes back before it is refused.
        if !may_act().await {
            break;
        }
        answer = run().await;
    }
    answer
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;

    fn lost() -> Result<Output, ExecError> {
        Err(ExecError::Lost("Broken pipe".to_owned()))
    }

    fn said(code: i32, stdout: &str) -> Output {
        Output { code, stdout: stdout.to_owned(), ..Output::default() }
    }

    /// How many of `answers` were asked for, and the last of them.
    async fn tried(
        once: bool,
        may_act: bool,
        answers: impl IntoIterator<Item = Result<Output, ExecError>>,
    ) -> (usize, Result<Output, ExecError>) {
        let answers: VecDeque<_> = answers.into_iter().collect();
        let (all, left) = (answers.len(), Mutex::new(answers));
        let run = async || left.lock().unwrap().pop_front().unwrap();
        let last = settled(once, run, async || may_act).await;
        (all - left.lock().unwrap().len(), last)
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_is_repeated_until_there_is_an_answer() {
        assert_eq!(tried(false, true, [lost(), lost(), Ok(said(0, ""))]).await, (3, Ok(said(0, ""))));
        let failed = || Ok(said(1, "fail it broke\n"));
        assert_eq!(tried(false, true, [failed(), lost()]).await, (1, failed()));
        assert_eq!(tried(false, true, [lost(), lost(), lost(), lost(), lost()]).await, (4, lost()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_happen_once_is_not_repeated_when_its_answer_got_lost() {
        assert_eq!(tried(true, true, [lost(), Ok(said(0, ""))]).await, (1, lost()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_whose_guard_was_killed_waits_for_the_next_one() {
        let refused = said(1, "unguarded\nfail the guard of this deploy does not stand on this host any more\n");
        assert_eq!(tried(true, true, [Ok(refused), Ok(said(0, ""))]).await, (2, Ok(said(0, ""))));
    }

    #[tokio::test(start_paused = true)]
    async fn no_step_follows_a_guard_that_has_put_the_host_back() {
        assert_eq!(tried(false, false, [lost(), Ok(said(0, ""))]).await, (1, lost()));
    }
}
