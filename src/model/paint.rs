//! How words look: few colours, few signs, and a form without either.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// By ANSI escapes.
    On,
    /// Not at all.
    Off,
}

/// Which signs the reader's terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    /// All.
    Unicode,
    /// Those of ASCII.
    Ascii,
}

/// Paints text for one reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    /// With colours or without.
    pub colour: Colour,
    /// In which signs.
    pub letters: Letters,
}

/// What a text is to the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Failed.
    Bad,
    /// Waiting, or wants attention.
    Wait,
    /// A heading, or a name to find again.
    Bold,
    /// A detail.
    Dim,
}

/// The signs that stand for words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Done.
    Tick,
    /// Failed.
    Cross,
    /// Running.
    Play,
    /// On the way back to what was before.
    Back,
    /// Not begun, or between two things.
    Dot,
    /// From one to the next.
    Arrow,
    /// The left edge of quoted output.
    Edge,
    /// The done part of a bar.
    Full,
    /// The part of a bar that is to come.
    Empty,
}

impl Paint {
    /// No colours, all signs: what tests and files get.
    pub const PLAIN: Self = Self { colour: Colour::Off, letters: Letters::Unicode };

    /// `text` in `tone`.
    #[must_use]
    pub fn tone(self, tone: Tone, text: impl Display) -> String {
        let style = match tone {
            Tone::Plain => Style::new(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Wait => AnsiColor::Yellow.on_default(),
            Tone::Bold => Style::new().bold(),
            Tone::Dim => Style::new().dimmed(),
        };
        match self.colour {
            Colour::On => format!("{style}{text}{style:#}"),
            Colour::Off => text.to_string(),
        }
    }

    /// `sign` in letters that the reader's terminal has.
    #[must_use]
    pub fn sign(self, sign: Sign) -> &'static str {
        let (unicode, ascii) = match sign {
            Sign::Tick => ("✓", "+"),
            Sign::Cross => ("✗", "x"),
            Sign::Play => ("▸", ">"),
            Sign::Back => ("◂", "<"),
            Sign::Dot => ("·", "-"),
            Sign::Arrow => ("→", "->"),
            Sign::Edge => ("│", "|"),
            Sign::Full => ("━", "="),
            Sign::Empty => ("─", "."),
        };
        if self.letters == Letters::Unicode { unicode } else { ascii }
    }

    /// `text` as good news.
    #[must_use]
    pub fn good(self, text: impl Display) -> String {
        self.tone(Tone::Good, text)
    }

    /// `text` as bad news.
    #[must_use]
    pub fn bad(self, text: impl Display) -> String {
        self.tone(Tone::Bad, text)
    }

    /// `text` as something that wants attention.
    #[must_use]
    pub fn wait(self, text: impl Display) -> String {
        self.tone(Tone::Wait, text)
    }

    /// `text` as a heading.
    #[must_use]
    pub fn bold(self, text: impl Display) -> String {
        self.tone(Tone::Bold, text)
    }

    /// `text` as a detail.
    #[must_use]
    pub fn dim(self, text: impl Display) -> String {
        self.tone(Tone::Dim, text)
    }
}
