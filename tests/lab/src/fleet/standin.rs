//! One process that answers for the apps of all hosts of a bare fleet.
//!
//! Two hundred hosts on one machine could not run an app each without being what is measured. An app of which nothing is to be
//! seen but that it runs what `current` names is as good, and restarts at once.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream as Connection};

use super::host::Host;
use super::layout::Layout;
use super::spec::APP_PORT;
use crate::error::{Error, Result};
use crate::process::Process;
use crate::wait;

/// Binding two hundred addresses takes milliseconds.
const START_WITHIN: Duration = Duration::from_secs(10);

/// Starts it, and waits until it answers for all.
pub(super) fn start(layout: &Layout, hosts: &[Host]) -> Result<()> {
    let (Some(first), Some(last)) = (hosts.first(), hosts.last()) else { return Ok(()) };
    let directory = layout.hosts().to_string_lossy().into_owned();
    let program = layout.bin("lab").to_string_lossy().into_owned();
    let log = first.log("stand-in");
    Process::start_detached(&program, &["stand-in", &directory], &log, &first.pid_file("stand-in"))?;
    // It binds them in the order of their numbers.
    wait::until("the stand-in for the apps listens", START_WITHIN, Some(&log), || {
        TcpStream::connect_timeout(&(last.address, APP_PORT).into(), Duration::from_secs(1)).ok()
    })?;
    Ok(())
}

/// Answers for every host below `directory` until it is killed.
pub fn run(directory: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Error::program("tokio"))?.block_on(serve(directory))
}

async fn serve(directory: &Path) -> Result<()> {
    let entries = fs::read_dir(directory).map_err(Error::file("read", directory))?.flatten();
    let mut hosts: Vec<(Ipv4Addr, PathBuf)> = entries.filter_map(|entry| host(&entry.path())).collect();
    hosts.sort();
    let mut tasks = tokio::task::JoinSet::new();
    for (address, current) in hosts {
        let listener = TcpListener::bind((address, APP_PORT)).await.map_err(Error::program("listen"))?;
        tasks.spawn(answer_all(listener, current.into()));
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// The address of the host whose files are in `directory`, and its `current`.
fn host(directory: &Path) -> Option<(Ipv4Addr, PathBuf)> {
    let address = fs::read_to_string(directory.join("address")).ok()?.trim().parse().ok()?;
    Some((address, directory.join("srv/current")))
}

async fn answer_all(listener: TcpListener, current: Arc<Path>) {
    while let Ok((connection, _)) = listener.accept().await {
        tokio::spawn(answer(connection, current.clone()));
    }
}

/// One request and one answer, whatever was asked.
async fn answer(mut connection: Connection, current: Arc<Path>) {
    let mut request = [0; 4096];
    if connection.read(&mut request).await.is_err() {
        return;
    }
    let release = fs::read_link(&current).unwrap_or_default();
    let release = release.file_name().unwrap_or_default().to_string_lossy();
    let status = if release.is_empty() { "503 No App" } else { "200 OK" };
    let text = format!("HTTP/1.1 {status}\r\nx-release: {release}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    // Whoever asked may be gone.
    let _ = connection.write_all(text.as_bytes()).await;
}
