//! Which forms a run is shown in.

use std::fmt;
use std::io::{IsTerminal, stderr, stdout};
use std::str::FromStr;

use jiff::Timestamp;

use super::{Console, Github, GithubFiles, Gitlab, Jsonl, Log, Plain, Render, Reporters, Summary, Tty};
use crate::model::{Colour, Letters, Paint};

/// `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Output {
    /// Live lanes on a terminal, else a log.
    #[default]
    Auto,
    /// Live lanes; without a terminal to draw on, a log.
    Tty,
    /// A log.
    Plain,
    /// Events as JSON on standard output, and the log on standard error.
    Jsonl,
}

/// `-q` and `-v`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verbosity {
    /// What failed, and the summary of a failure.
    Quiet,
    /// What users of the app could feel.
    #[default]
    Normal,
    /// Every step.
    Verbose,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColourChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Even into a file.
    Always,
    /// Not at all.
    Never,
}

/// What the command line chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// The form.
    pub output: Output,
    /// How much.
    pub verbosity: Verbosity,
    /// Whether in colour.
    pub colour: ColourChoice,
}

/// What shipit runs in.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// GitHub Actions, and the files that it reads.
    pub github: Option<GithubFiles>,
    /// GitLab CI.
    pub gitlab: bool,
    /// Whether a CI system reads the log.
    pub log: Log,
    /// Standard error is a terminal.
    pub terminal: bool,
    /// Those of the locale.
    pub letters: Letters,
}

impl Surroundings {
    /// What the environment's variables and standard error say.
    #[must_use]
    pub fn from_environment() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "false");
        let locale =
            ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|it| !it.is_empty()));
        let locale = locale.unwrap_or_default().to_ascii_lowercase();
        let ci = ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD", "TEAMCITY_VERSION"];
        Self {
            github: is_set("GITHUB_ACTIONS").then(GithubFiles::from_environment),
            gitlab: is_set("GITLAB_CI"),
            log: if ci.iter().any(|name| is_set(name)) { Log::Parsed } else { Log::Unread },
            terminal: stderr().is_terminal(),
            letters: if ["utf-8", "utf8"].iter().any(|name| locale.contains(name)) {
                Letters::Unicode
            } else {
                Letters::Ascii
            },
        }
    }
}

impl Settings {
    /// How to paint standard error.
    #[must_use]
    pub fn paint(self, around: &Surroundings) -> Paint {
        self.paint_for(anstream::AutoStream::choice(&stderr()), around)
    }

    /// How to paint standard output, for tables and plans.
    #[must_use]
    pub fn paint_stdout(self, around: &Surroundings) -> Paint {
        self.paint_for(anstream::AutoStream::choice(&stdout()), around)
    }

    fn paint_for(self, auto: anstream::ColorChoice, around: &Surroundings) -> Paint {
        let on = match self.colour {
            ColourChoice::Auto => auto != anstream::ColorChoice::Never,
            ColourChoice::Always => true,
            ColourChoice::Never => false,
        };
        Paint { colour: if on { Colour::On } else { Colour::Off }, letters: around.letters }
    }

    /// The reporters of a run that began at `began`. The summary comes last, so that it is what a person sees.
    #[must_use]
    pub fn reporters(self, around: &Surroundings, began: Timestamp) -> Reporters {
        let console = || Console::new(Box::new(stderr()), around.log);
        let paint = self.paint(around);
        let live = around.terminal
            && match self.output {
                Output::Tty => true,
                // Every step in words and lines that move get in each other's way.
                Output::Auto => around.log == Log::Unread && self.verbosity != Verbosity::Verbose,
                Output::Plain | Output::Jsonl => false,
            };
        let mut renderers: Vec<Box<dyn Render>> = Vec::new();
        if self.output == Output::Jsonl {
            renderers.push(Box::new(Jsonl::new(Box::new(stdout()), began)));
        }
        if live && self.verbosity != Verbosity::Quiet {
            renderers.push(Box::new(Tty::new(paint)));
        } else {
            let log = Plain::new(console(), paint, self.verbosity);
            renderers.push(if around.gitlab && self.verbosity != Verbosity::Quiet {
                Box::new(Gitlab::new(console(), log, began))
            } else {
                Box::new(log)
            });
        }
        if let Some(files) = &around.github {
            renderers.push(Box::new(Github::new(console(), files.clone())));
        }
        renderers.push(Box::new(Summary::new(console(), paint, self.verbosity)));
        Reporters::new(renderers)
    }
}

impl Output {
    /// All forms, for messages and completions.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Tty, Self::Plain, Self::Jsonl];

    /// The word that users write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Tty => "tty",
            Self::Plain => "plain",
            Self::Jsonl => "jsonl",
        }
    }
}

impl ColourChoice {
    /// All choices, for messages and completions.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Always, Self::Never];

    /// The word that users write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

macro_rules! words {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| {
                    format!("`{}` is none of {}", text.escape_default(), Self::ALL.map(Self::as_str).join(", "))
                })
            }
        }
    )+};
}

words!(Output, ColourChoice);
