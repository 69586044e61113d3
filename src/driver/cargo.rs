//! The archive on its way to the hosts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio::sync::Mutex;

use crate::artifact::Archive;
use crate::transport::{Parcel, Script};

/// An archive, packed behind the script that receives it: once for all hosts whose script is the same, which is all of
/// them unless the root differs from host to host.
#[derive(Debug, Default)]
pub(super) struct Cargo {
    /// The archive to send, if there is one.
    pub(super) archive: Option<Archive>,
    /// Where parcels are packed.
    place: PathBuf,
    parcels: Mutex<BTreeMap<String, Arc<Parcel>>>,
    /// When the first host was sent it.
    pub(super) sent: OnceLock<String>,
}

impl Cargo {
    /// None yet; parcels will be packed in `place`.
    pub(super) fn packed_in(place: &Path) -> Self {
        Self { place: place.to_owned(), ..Self::default() }
    }

    /// The parcel for a host that receives it by `script`.
    pub(super) async fn parcel(&self, script: Script) -> io::Result<Arc<Parcel>> {
        let key = script.lean();
        let mut parcels = self.parcels.lock().await;
        if let Some(parcel) = parcels.get(&key) {
            return Ok(parcel.clone());
        }
        let parcel = Arc::new(self.pack(parcels.len(), script)?);
        parcels.insert(key, parcel.clone());
        Ok(parcel)
    }

    /// Packs. The kernel copies, so this holds nobody up for long.
    fn pack(&self, number: usize, script: Script) -> io::Result<Parcel> {
        let archive = self.archive.as_ref().ok_or_else(|| io::Error::other("there is none"))?;
        let path = self.place.join(number.to_string());
        Parcel::pack(&path, script, &mut File::open(archive.path())?)
    }
}
