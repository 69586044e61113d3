//! The archive on its way to the hosts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Arc, OnceLock};

use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::artifact::Archive;
use crate::transport::{Parcel, Script};

/// An archive, packed behind the script that receives it: once for all hosts whose script is the same, which is all of
/// them unless the root differs from host to host.
#[derive(Debug, Default)]
pub(super) struct Cargo {
    archive: Option<Archive>,
    parcels: Mutex<Parcels>,
    /// When the first host was sent it.
    pub(super) sent: OnceLock<String>,
}

#[derive(Debug, Default)]
struct Parcels {
    place: Option<TempDir>,
    packed: BTreeMap<String, Arc<Parcel>>,
}

impl Cargo {
    /// The archive to send, if there is one.
    pub(super) fn of(archive: Option<Archive>) -> Self {
        Self { archive, ..Self::default() }
    }

    /// The parcel for a host that receives it by `script`.
    pub(super) async fn parcel(&self, script: Script) -> io::Result<Arc<Parcel>> {
        let key = script.lean();
        let mut parcels = self.parcels.lock().await;
        if let Some(parcel) = parcels.packed.get(&key) {
            return Ok(parcel.clone());
        }
        let parcel = Arc::new(self.pack(&mut parcels, script)?);
        parcels.packed.insert(key, parcel.clone());
        Ok(parcel)
    }

    /// Packs. The kernel copies, so this holds nobody up for long.
    fn pack(&self, parcels: &mut Parcels, script: Script) -> io::Result<Parcel> {
        let archive = self.archive.as_ref().ok_or_else(|| io::Error::other("there is none"))?;
        let place = match &parcels.place {
            Some(place) => place,
            None => parcels.place.insert(TempDir::with_prefix("shipit-")?),
        };
        let path = place.path().join(parcels.packed.len().to_string());
        Parcel::pack(&path, script, &mut File::open(archive.path())?)
    }
}
