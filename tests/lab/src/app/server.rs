//! The app's process: boot, listen, stop.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::answer::App;
use super::{Behaviour, Stop};
use crate::error::{Error, Result};

/// Where an instance of the app is.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// Where to listen.
    #[arg(long)]
    pub listen: SocketAddr,
    /// A unix socket to listen on as well.
    #[arg(long)]
    pub socket: Option<PathBuf>,
    /// The host's name.
    #[arg(long, default_value = "")]
    pub host: String,
}

/// Runs the app of the release in the working directory until SIGTERM.
pub fn run(place: &Place) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Error::program("tokio"))?.block_on(serve(place))
}

async fn serve(place: &Place) -> Result<()> {
    let listen = place.listen;
    // The kernel gives the working directory without symlinks, so its last part is the release, not `current`.
    let directory = env::current_dir().map_err(Error::program("getcwd"))?;
    let behaviour = Behaviour::of_release(&directory)?.on(&place.host);
    let release = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let version = std::fs::read_to_string(directory.join("version")).unwrap_or_default();

    let mut terminate = signal(SignalKind::terminate()).map_err(Error::program("signal"))?;
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    println!("release {release} boots for {:?}", behaviour.boot);
    tokio::select! {
        () = sleep(behaviour.boot) => {}
        _ = terminate.recv() => return Ok(()),
    }
    if behaviour.fails_to_boot(&place.host, listen.port()) {
        return Err(Error::Failed(format!("release {release} does not boot: app.toml says `boot-fails = true`")));
    }

    let listener = TcpListener::bind(listen).await.map_err(Error::program(format!("listen on {listen}")))?;
    println!("release {release} listens on {listen}");
    let unix = place.socket.as_deref().map(bind_socket).transpose()?;
    let app = Arc::new(App::new(behaviour, release, version));
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let _ = stream.set_nodelay(true);
                connections.spawn(converse(stream, app.clone(), stopping.clone()));
            }
            Some(stream) = accept(unix.as_ref()) => {
                connections.spawn(converse(stream, app.clone(), stopping.clone()));
            }
            Some(_) = connections.join_next() => {}
            _ = terminate.recv() => break,
        }
    }
    if app.behaviour.stop == Stop::Abrupt {
        std::process::exit(0);
    }
    drop((listener, unix));
    drop(stop);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// The socket of the process before is still there; whoever connected to it was let go before it ended.
fn bind_socket(path: &Path) -> Result<UnixListener> {
    let _ = std::fs::remove_file(path);
    UnixListener::bind(path).map_err(Error::program(format!("listen on {}", path.display())))
}

/// The next connection; without a listener there never is one.
async fn accept(listener: Option<&UnixListener>) -> Option<UnixStream> {
    match listener {
        Some(listener) => listener.accept().await.ok().map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

/// Serves one connection; once the process is stopping, only to the end of the request in flight.
async fn converse<S>(stream: S, app: Arc<App>, mut stopping: watch::Receiver<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| app.answer(request));
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let connection = connection.with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        // A client that went away in the middle is its own affair.
        _ = connection.as_mut() => return,
        _ = stopping.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
