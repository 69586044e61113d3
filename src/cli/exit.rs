//! Exit codes: public, documented in the README, never changed.

use std::process::ExitCode;

use crate::engine::End;

/// How a command of shipit ends. The tens say whether the fleet was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, or nothing to do.
    Done,
    /// 2: the command line makes no sense.
    Usage,
    /// 10: the inventory or the recipe is wrong; nothing was connected.
    Config,
    /// 11: something stands in the way; nothing was changed.
    Preflight,
    /// 12: somebody else deploys; nothing was changed.
    Locked,
    /// 13: not confirmed; nothing was changed.
    NotConfirmed,
    /// 20 to 23, and 0: a run's end.
    Run(End),
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 2,
            Self::Config => 10,
            Self::Preflight => 11,
            Self::Locked => 12,
            Self::NotConfirmed => 13,
            Self::Run(end) => end.code(),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
