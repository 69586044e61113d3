//! Where things are: the workspace, its target directory, the binaries built into it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// The workspace's top directory.
#[must_use]
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_owned()
}

/// Cargo's target directory.
#[must_use]
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The directory below which every fleet lives.
#[must_use]
pub fn fleets() -> PathBuf {
    target().join("lab")
}

/// The `lab` binary: this process's own, or the one that lies beside a test's.
pub fn lab_binary() -> Result<PathBuf> {
    let own = env::current_exe().map_err(Error::program("lab"))?;
    let mut candidates = own.ancestors().take(4).map(|dir| if dir == own { own.clone() } else { dir.join("lab") });
    candidates
        .find(|path| path.file_name().is_some_and(|name| name == "lab") && path.is_file())
        .ok_or_else(|| Error::Refused("the lab is not built yet: run `cargo build -p lab`".into()))
}

/// How shipit is compiled for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// What users get; for measurements.
    Release,
    /// Quick to build; for everything else.
    Debug,
}

/// Builds shipit and returns the path of its binary.
///
/// `SHIPIT_BINARY` names one that is built already: CI builds once, and an older one can be compared.
pub fn build_shipit(profile: Profile) -> Result<PathBuf> {
    if let Some(given) = env::var_os("SHIPIT_BINARY") {
        return Ok(root().join(given));
    }
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(["build", "--quiet", "--package", "shipit"]);
    let directory = match profile {
        Profile::Release => {
            cargo.arg("--release");
            "release"
        }
        Profile::Debug => "debug",
    };
    let status = cargo.status().map_err(Error::program("cargo"))?;
    if !status.success() {
        return Err(Error::Failed("shipit does not build".into()));
    }
    Ok(target().join(directory).join("shipit"))
}
