//! `cargo lab test`: all tests, ending at the first part that fails; with `--all` the campaigns too, as in CI.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::{crash, demo, packages, scenario, workspace};

/// What to run.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Options {
    /// The long scenarios and the campaigns, too: simulated fleets, sabotage, deploys that are cut off, and the whole demo.
    #[arg(long)]
    pub all: bool,
}

/// Runs all parts.
pub fn run(options: Options) -> Result<()> {
    packages::install(&[packages::FLEETS, packages::TESTS].concat())?;
    part("format", || cargo(&["fmt", "--all", "--check"]))?;
    part("lints", || cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    part("tests", || cargo(&["test", "--workspace", "--quiet"]))?;
    part("shell scripts", shellcheck)?;
    part("scenarios on real servers", || {
        scenario::run(&scenario::Options { quick: !options.all, ..scenario::Options::default() })
    })?;
    part("demo", || demo::run(&demo::Options { quick: !options.all, ..demo::Options::default() }))?;
    if options.all {
        campaigns()?;
    }
    println!("\nall parts passed");
    Ok(())
}

fn campaigns() -> Result<()> {
    // Optimised, as ten thousand deploys take ten times as long otherwise.
    let simulate = ["run", "--release", "--quiet", "--package", "lab", "--", "simulate"];
    part("simulated fleets", || cargo(&simulate))?;
    part("sabotage", || cargo(&[&simulate[..], &["--sabotage"]].concat()))?;
    part("deploys that are cut off", || crash::run(&crash::Options::sample()))
}

fn part(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n== {name}");
    work()
}

fn cargo(arguments: &[&str]) -> Result<()> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    finish(Command::new(program).args(arguments), &format!("cargo {}", arguments.join(" ")))
}

fn shellcheck() -> Result<()> {
    let scripts = shell_scripts(&workspace::root())?;
    println!("{} files", scripts.len());
    finish(Command::new("shellcheck").args(&scripts), "shellcheck")
}

fn finish(command: &mut Command, name: &str) -> Result<()> {
    let status = command.current_dir(workspace::root()).status().map_err(Error::program(name))?;
    if status.success() { Ok(()) } else { Err(Error::Failed(format!("`{name}` failed"))) }
}

/// Every shell script of the workspace: by its ending, or by its first line.
fn shell_scripts(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut scripts = Vec::new();
    for entry in fs::read_dir(directory).map_err(Error::file("read", directory))?.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && !path.is_symlink() {
            if name != "target" && name != ".git" {
                scripts.extend(shell_scripts(&path)?);
            }
        } else if path.extension().is_some_and(|ending| ending == "sh") || names_a_shell(&path) {
            scripts.push(path);
        }
    }
    scripts.sort();
    Ok(scripts)
}

fn names_a_shell(path: &Path) -> bool {
    let bytes = fs::read(path).unwrap_or_default();
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    first.starts_with(b"#!") && first.ends_with(b"sh")
}
