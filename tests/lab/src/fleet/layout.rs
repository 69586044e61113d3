//! Where a fleet keeps its files.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::host::Host;
use crate::command;
use crate::error::{Error, Result};
use crate::workspace;

/// The kernel allows 107 bytes for a unix socket's path; haproxy binds `<path>.<pid>.tmp` first, and names are short.
const LONGEST_SOCKET_DIRECTORY: usize = 75;

/// Where a fleet keeps its files.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Its directory, `target/lab/<name>`.
    pub root: PathBuf,
    /// The directory of haproxy's sockets: inside, or in /tmp if its path would be too long.
    pub sockets: PathBuf,
}

impl Layout {
    /// The layout of the fleet of this name.
    pub fn of(name: &str) -> Result<Self> {
        let root = workspace::fleets().join(name);
        // It goes into the configuration of four programs and into shell commands, each with quoting rules of its own.
        if root.to_string_lossy().contains(|letter: char| letter.is_whitespace() || "\"'\\$;{}#%*?[]".contains(letter))
        {
            let root = root.display();
            return Err(Error::Refused(format!(
                "fleets live in `{root}`, and that path must be plain: set CARGO_TARGET_DIR"
            )));
        }
        let inside = root.join("run");
        let sockets = if inside.as_os_str().len() <= LONGEST_SOCKET_DIRECTORY {
            inside
        } else {
            let user = rustix::process::getuid().as_raw();
            PathBuf::from(format!(
                "/tmp/shipit-lab-{user}/{:016x}",
                crate::app::checksum(root.as_os_str().as_encoded_bytes())
            ))
        };
        Ok(Self { root, sockets })
    }

    /// Makes the directories.
    pub fn create(&self, hosts: &[Host]) -> Result<()> {
        for directory in ["bin", "keys", "project/app", "project/inventories", "project/recipes"] {
            create_directory(&self.root.join(directory))?;
        }
        for host in hosts {
            for directory in ["home", "srv", "run", "log", "tmp"] {
                create_directory(&host.directory.join(directory))?;
            }
        }
        create_private_directory(&self.sockets)
    }

    /// Removes everything.
    pub fn remove(&self) -> Result<()> {
        self.unmount()?;
        for directory in [&self.sockets, &self.root] {
            match fs::remove_dir_all(directory) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::file("remove", directory)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A scenario may have given a host a small disk of its own.
    fn unmount(&self) -> Result<()> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for point in points.filter(|point| Path::new(point).starts_with(&self.root)) {
            command::run("umount", &[point])?;
        }
        Ok(())
    }

    /// The directory that holds a directory for each host.
    #[must_use]
    pub fn hosts(&self) -> PathBuf {
        self.root.join("hosts")
    }

    /// A program of the fleet.
    #[must_use]
    pub fn bin(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    /// A key file of the fleet.
    #[must_use]
    pub fn key(&self, name: &str) -> PathBuf {
        self.root.join("keys").join(name)
    }

    /// The directory to deploy from: `shipit -C <project>`.
    #[must_use]
    pub fn project(&self) -> PathBuf {
        self.root.join("project")
    }

    /// The `ssh_config` that knows the way to the hosts.
    #[must_use]
    pub fn ssh_config(&self) -> PathBuf {
        self.project().join("ssh_config")
    }

    /// haproxy's runtime socket on a balancer host.
    #[must_use]
    pub fn admin_socket(&self, balancer: &str) -> PathBuf {
        self.sockets.join(format!("{balancer}.sock"))
    }

    /// haproxy's master socket on a balancer host.
    #[must_use]
    pub fn master_socket(&self, balancer: &str) -> PathBuf {
        self.sockets.join(format!("{balancer}-master.sock"))
    }
}

fn create_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(Error::file("create", path))
}

/// In /tmp anybody may have made the directory before us, and whoever owns it owns the balancers.
fn create_private_directory(path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::file("create", path))?;
    let owner = fs::symlink_metadata(path).map_err(Error::file("read", path))?.uid();
    let parent_owner = path.parent().and_then(|parent| fs::symlink_metadata(parent).ok()).map(|parent| parent.uid());
    let user = rustix::process::getuid().as_raw();
    if owner == user && parent_owner == Some(user) {
        return Ok(());
    }
    Err(Error::Refused(format!("`{}` belongs to another user", path.display())))
}
