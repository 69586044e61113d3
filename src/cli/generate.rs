//! `shipit gen`: completions and man pages, made from the same words as the help.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;

use super::args::{Cli, Gen};
use super::exit::Exit;
use super::say;

/// Prints or writes what is asked for.
pub fn run(what: &Gen) -> Exit {
    let done = match what {
        Gen::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "shipit", &mut text);
            io::stdout().write_all(&text)
        }
        Gen::Man { directory } => man(directory),
    };
    match done {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            say::line(&format!("error: {error}"));
            Exit::Usage
        }
        _ => Exit::Done,
    }
}

fn man(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Cli::command(), directory)
}
