//! What a release is made of, seen from the runner: resolved, packed and hashed once, before any host is touched.

mod git;
mod pack;
mod size;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tempfile::TempPath;

use crate::model::{Fingerprint, Release, ReleaseId, Size, Source, discreet};

/// A release that is ready to go to the hosts.
#[derive(Debug)]
pub struct Artifact {
    /// Its name and content.
    pub release: Release,
    /// The archive on the runner, for sources that are sent.
    pub archive: Option<Archive>,
    /// What it takes on a host's disk, as far as that is known here.
    pub size: Size,
}

/// An archive on the runner.
#[derive(Debug)]
pub enum Archive {
    /// The user's.
    File(PathBuf),
    /// One that was packed for this deploy; the file goes with the value.
    Packed(TempPath),
}

/// Why there is nothing to deploy.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// git did not say what a reference means.
    #[error("git could not resolve `{reference}` of {url}: {why}")]
    Git {
        /// The repository.
        url: String,
        /// The branch, tag or commit.
        reference: String,
        /// In git's words.
        why: String,
    },
    /// A file or directory that can't be read.
    #[error("{} could not be read: {why}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// In the system's words.
        why: String,
    },
    /// Nothing to ship.
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    /// The clock of this machine is absurd.
    #[error("no release id can be made: {0}")]
    Id(String),
}

impl Archive {
    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Packed(path) => path,
        }
    }
}

impl ArtifactError {
    /// The way out.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Git { .. } => {
                "`ref` names a branch, a tag or a whole commit; this machine must be able to `git ls-remote` the url"
            }
            Self::Read { .. } => "see whether the build has run, and whether this user may read what it made",
            Self::Empty(_) => "see whether the build has run",
            Self::Id(_) => "set the clock",
        }
    }
}

/// Makes `source` ready. git runs in `project`, and paths are shown relative to it; what is packed is packed in `place`.
pub async fn prepare(source: &Source, project: &Path, place: &Path, now: Timestamp) -> Result<Artifact, ArtifactError> {
    let (fingerprint, origin, archive, size) = match source {
        Source::Git { url, reference } => {
            let commit = git::resolve(url, reference, project).await?;
            (commit, format!("{reference} of {}", discreet(url)), None, Size::default())
        }
        Source::Directory(path) => {
            let (fingerprint, archive, size) = pack::directory(path.clone(), place.to_owned()).await?;
            (fingerprint, shown(path, project), Some(Archive::Packed(archive)), size)
        }
        Source::Archive(path) => {
            let (fingerprint, size) = pack::archive(path.clone()).await?;
            (fingerprint, shown(path, project), Some(Archive::File(path.clone())), size)
        }
        Source::Url { url, sha256 } => (sha256.clone(), discreet(url), None, size::of_url(url).await),
    };
    let id = id(&fingerprint, now)?;
    Ok(Artifact { release: Release { id, fingerprint, origin }, archive, size })
}

/// `path` as the recipe writes it.
fn shown(path: &Path, project: &Path) -> String {
    path.strip_prefix(project).unwrap_or(path).display().to_string()
}

fn id(fingerprint: &Fingerprint, now: Timestamp) -> Result<ReleaseId, ArtifactError> {
    let stamp = now.strftime("%Y%m%d-%H%M%S").to_string();
    ReleaseId::new(&stamp, fingerprint).map_err(|error| ArtifactError::Id(error.to_string()))
}
