//! The directory of one run: ssh's control sockets, its logs and its configuration.
//!
//! A lock in it tells who is alive. A lock is better than the pid in the name: the kernel frees it however the run ended,
//! pids come back, and two containers that share `/tmp` do not see each other's.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest path of a control directory, in bytes.
///
/// A socket's path has 107 at most, and while ssh sets one up it appends a dot and 16 random characters to its name.
/// 61 is what `openssh`'s own naming leaves; ours is shorter, and the rest is for the numbers of sessions and forwards.
const LONGEST: usize = 61;

/// How many runs may have the same pid, which containers that share `/tmp` do.
const NAMESAKES: u32 = 100;

/// How old a directory without a lock must be to be a dead one's: making the lock takes no time, a suspended laptop does.
const UNLOCKED_FOR: Duration = Duration::from_hours(1);

/// A directory that nobody else can enter, for as long as this value lives; [`super::leash`] removes it.
#[derive(Debug)]
pub(super) struct ControlDir {
    path: PathBuf,
    _lock: File,
}

impl ControlDir {
    /// Makes one below `$XDG_RUNTIME_DIR`, else below `/tmp`, and removes those that dead runs of this user left there.
    pub(super) fn create() -> io::Result<Self> {
        let uid = tempfile::tempfile()?.metadata()?.uid();
        let pid = std::process::id();
        if let Some(parent) = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()) {
            sweep(&parent, "shipit-", uid);
            if let Ok(made) = Self::create_in(&parent, &format!("shipit-{pid}"), uid) {
                return Ok(made);
            }
        }
        sweep(Path::new("/tmp"), &format!("shipit-{uid}-"), uid);
        Self::create_in(Path::new("/tmp"), &format!("shipit-{uid}-{pid}"), uid)
    }

    fn create_in(parent: &Path, name: &str, uid: u32) -> io::Result<Self> {
        for number in 0..NAMESAKES {
            let path = parent.join(if number == 0 { name.to_owned() } else { format!("{name}-{number}") });
            if path.as_os_str().as_bytes().len() > LONGEST {
                return Err(io::Error::new(io::ErrorKind::InvalidFilename, "too long for a control socket"));
            }
            // Fails if anything is there, and follows no link.
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            let found = fs::symlink_metadata(&path)?;
            if !found.is_dir() || found.uid() != uid || found.mode() & 0o077 != 0 {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the new directory is not ours alone"));
            }
            let lock = File::create_new(path.join("lock"))?;
            // Another run may have taken the directory for a dead one's in the moment before the lock was there.
            if lock.try_lock().is_ok() && path.join("lock").exists() {
                return Ok(Self { path, _lock: lock });
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("`{name}` and its namesakes exist")))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Removes what dead runs left in `parent`. It is a courtesy: what can't be removed stays.
fn sweep(parent: &Path, prefix: &str, uid: u32) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)) {
        let path = entry.path();
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if !found.is_dir() || found.uid() != uid {
            continue;
        }
        match File::open(path.join("lock")) {
            // The lock is held until the directory is gone, so that its maker, if there is one yet, sees it.
            Ok(lock) if lock.try_lock().is_ok() => _ = fs::remove_dir_all(&path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let age = found.modified().ok().and_then(|made| made.elapsed().ok());
                if age.is_some_and(|age| age > UNLOCKED_FOR) {
                    _ = fs::remove_dir_all(&path);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_dead_are_swept() {
        let parent = tempfile::Builder::new().prefix("s").tempdir_in("/tmp").unwrap();
        let uid = fs::metadata(parent.path()).unwrap().uid();
        let alive = ControlDir::create_in(parent.path(), "shipit-1", uid).unwrap();
        let dead = ControlDir::create_in(parent.path(), "shipit-1", uid).unwrap().path().to_owned();
        fs::create_dir(parent.path().join("shipit-new")).unwrap();
        fs::create_dir(parent.path().join("other")).unwrap();
        assert!(dead.ends_with("shipit-1-1"), "a name that is taken is not taken again");
        sweep(parent.path(), "shipit-", uid);
        assert!(alive.path().exists());
        assert!(!dead.exists());
        assert!(parent.path().join("shipit-new").exists(), "its maker may be about to lock it");
        assert!(parent.path().join("other").exists());
    }

    #[test]
    fn a_path_too_long_for_sockets_is_refused() {
        let parent = tempfile::Builder::new().prefix(&"l".repeat(60)).tempdir_in("/tmp").unwrap();
        let uid = fs::metadata(parent.path()).unwrap().uid();
        assert!(ControlDir::create_in(parent.path(), "shipit-1", uid).is_err());
    }
}
