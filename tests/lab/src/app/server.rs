//! The app's process: boot, listen, stop.

use std::env;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::answer::App;
use super::{Behaviour, Stop};
use crate::error::{Error, Result};

/// Runs the app of the release in the working directory until SIGTERM.
pub fn run(listen: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Error::program("tokio"))?.block_on(serve(listen))
}

async fn serve(listen: SocketAddr) -> Result<()> {
    // The kernel gives the working directory without symlinks, so its last part is the release, not `current`.
    let directory = env::current_dir().map_err(Error::program("getcwd"))?;
    let behaviour = Behaviour::of_release(&directory)?;
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
    if behaviour.boot_fails {
        return Err(Error::Failed(format!("release {release} does not boot: app.toml says `boot-fails = true`")));
    }

    let listener = TcpListener::bind(listen).await.map_err(Error::program(format!("listen on {listen}")))?;
    println!("release {release} listens on {listen}");
    let app = Arc::new(App::new(behaviour, release, version));
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(converse(stream, app.clone(), stopping.clone()));
            }
            Some(_) = connections.join_next() => {}
            _ = terminate.recv() => break,
        }
    }
    if app.behaviour.stop == Stop::Abrupt {
        std::process::exit(0);
    }
    drop(listener);
    drop(stop);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Serves one connection; once the process is stopping, only to the end of the request in flight.
async fn converse(stream: TcpStream, app: Arc<App>, mut stopping: watch::Receiver<()>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| app.answer(request));
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // A client that went away in the middle is its own affair.
        _ = connection.as_mut() => return,
        _ = stopping.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
