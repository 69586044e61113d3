//! Directories become archives, and archives get their sha256.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempPath};

use super::ArtifactError;
use crate::model::{Fingerprint, Size};

/// What a file takes on a disk is a whole number of blocks, most often of this size.
const BLOCK: u64 = 4096;

/// A packed archive unpacks to a multiple of its size; for text and code five times is a cautious guess.
const UNPACKED: u64 = 5;

/// Packs a directory. The same content gives the same archive, whoever packs it: names are sorted and owners are left out.
/// File dates stay, because servers of static files make their cache validators of them. `.git` is not shipped.
pub(super) async fn directory(path: PathBuf, place: PathBuf) -> Result<(Fingerprint, TempPath, Size), ArtifactError> {
    let packed = {
        let path = path.clone();
        blocking(move || pack(&path, &place)).await
    };
    let (digest, file, size) =
        packed.map_err(|why| ArtifactError::Read { path: path.clone(), why: why.to_string() })?;
    if size.entries == 0 { Err(ArtifactError::Empty(path)) } else { Ok((digest, file, size)) }
}

/// Hashes an archive.
pub(super) async fn archive(path: PathBuf) -> Result<(Fingerprint, Size), ArtifactError> {
    let hashed = {
        let path = path.clone();
        blocking(move || hash(&path)).await
    };
    let (digest, bytes) = hashed.map_err(|why| ArtifactError::Read { path: path.clone(), why: why.to_string() })?;
    if bytes == 0 {
        return Err(ArtifactError::Empty(path));
    }
    Ok((digest, Size { bytes: bytes * (1 + UNPACKED), entries: 0 }))
}

/// Runs work that reads disks where it does not hold up the rest.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn pack(root: &Path, place: &Path) -> io::Result<(Fingerprint, TempPath, Size)> {
    let file = NamedTempFile::new_in(place)?;
    let hasher = Hasher { inner: BufWriter::new(file), digest: Sha256::new(), bytes: 0 };
    // The level at which time is no worse than a fast line: packing must not cost more than it saves.
    let mut builder = tar::Builder::new(GzEncoder::new(hasher, Compression::fast()));
    builder.follow_symlinks(false);
    let mut size = Size::default();
    append(&mut builder, root, Path::new(""), &mut size)?;
    let (digest, bytes, mut inner) = builder.into_inner()?.finish()?.end();
    inner.flush()?;
    size.bytes += bytes;
    let file = inner.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok((digest, file.into_temp_path(), size))
}

fn append(builder: &mut tar::Builder<impl Write>, root: &Path, below: &Path, size: &mut Size) -> io::Result<()> {
    let mut entries = fs::read_dir(root.join(below))?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        let meta = fs::symlink_metadata(entry.path())?;
        if path == Path::new(".git") {
            continue;
        }
        let mut header = tar::Header::new_gnu();
        header.set_metadata_in_mode(&meta, tar::HeaderMode::Complete);
        header.set_uid(0);
        header.set_gid(0);
        size.entries += 1;
        if meta.is_dir() {
            builder.append_data(&mut header, &path, io::empty())?;
            append(builder, root, &path, size)?;
        } else if meta.is_symlink() {
            builder.append_link(&mut header, &path, fs::read_link(entry.path())?)?;
        } else if meta.is_file() {
            size.bytes += meta.len().next_multiple_of(BLOCK);
            // A file that grows while it is read must not run over its header's length.
            builder.append_data(&mut header, &path, File::open(entry.path())?.take(meta.len()))?;
        } else {
            return Err(io::Error::other(format!("{} is neither file, directory nor link", path.display())));
        }
    }
    Ok(())
}

fn hash(path: &Path) -> io::Result<(Fingerprint, u64)> {
    let mut hasher = Hasher { inner: io::sink(), digest: Sha256::new(), bytes: 0 };
    io::copy(&mut BufReader::with_capacity(1 << 20, File::open(path)?), &mut hasher)?;
    let (digest, bytes, _) = hasher.end();
    Ok((digest, bytes))
}

/// Hashes and counts what is written through it.
struct Hasher<W> {
    inner: W,
    digest: Sha256,
    bytes: u64,
}

impl<W> Hasher<W> {
    fn end(self) -> (Fingerprint, u64, W) {
        let hex = self.digest.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        (hex.parse().expect("a sha256 in hexadecimal is a fingerprint"), self.bytes, self.inner)
    }
}

impl<W: Write> Write for Hasher<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_gives_the_same_archive_and_git_stays_here() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(".git/objects")).unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::write(folder.path().join("bin/app"), "app").unwrap();
        std::os::unix::fs::symlink("bin/app", folder.path().join("link")).unwrap();
        let place = tempfile::tempdir().unwrap();
        let (first, archive, size) = pack(folder.path(), place.path()).unwrap();
        let (second, _, _) = pack(folder.path(), place.path()).unwrap();
        assert_eq!(first, second);
        assert_eq!(size.entries, 3);
        assert_eq!(hash(&archive).unwrap().0, first);
        fs::write(folder.path().join("bin/app"), "App").unwrap();
        assert_ne!(pack(folder.path(), place.path()).unwrap().0, first);
    }
}
