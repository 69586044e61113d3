//! A file on its way to the hosts, with the script that receives it in front.
//!
//! ssh reads the file itself, so its bytes do not pass through shipit, and fifty hosts can read the same file at once.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Script;
use super::frame::{Nonce, framed_before_data};

/// A packed file and the script that the host reads it with. It may be sent to any number of hosts, at the same time too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    path: PathBuf,
    script: Script,
    nonce: Nonce,
    head: u64,
    size: u64,
}

impl Parcel {
    /// Packs `content` behind `script` into a new file at `path`, which must not exist. The script finds the content on its
    /// standard input, all of it and nothing else. It blocks for as long as a copy takes.
    pub fn pack(path: &Path, script: Script, content: &mut File) -> io::Result<Self> {
        let nonce = Nonce::new();
        let text = framed_before_data(&script, &nonce);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        // The kernel copies between files by itself.
        let size = io::copy(content, &mut file)?;
        Ok(Self { path: path.to_owned(), script, nonce, head: text.len() as u64, size })
    }

    /// The script that the host reads the content with.
    #[must_use]
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// The content's size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The content, for a transport that has no shell to send the script to.
    pub fn content(&self) -> io::Result<impl Read + use<>> {
        let mut file = File::open(&self.path)?;
        io::Seek::seek(&mut file, io::SeekFrom::Start(self.head))?;
        Ok(file)
    }

    /// The packed file, from its beginning.
    pub(super) fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    pub(super) fn nonce(&self) -> &Nonce {
        &self.nonce
    }

    /// How much of the content has been read when the packed file has been up to `position`.
    pub(super) fn sent(&self, position: u64) -> u64 {
        position.saturating_sub(self.head).min(self.size)
    }
}
