//! Signals become requests to end.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::engine::Cancel;

/// Listens for SIGINT, SIGTERM and SIGHUP from now on. The first one lets open lanes end, the second undoes them;
/// the third ends the process at once, after `last_words`, with the code that shells give for that.
///
/// Must be called before the first host is touched, so that no signal finds the default handler.
pub fn cancels(last_words: impl FnOnce() + Send + 'static) -> std::io::Result<mpsc::Receiver<Cancel>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (asked, cancels) = mpsc::channel(2);
    tokio::spawn(async move {
        for how in [Some(Cancel::Finish), Some(Cancel::Unwind), None] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            match how {
                Some(how) => {
                    let _ = asked.send(how).await;
                }
                None => break,
            }
        }
        last_words();
        std::process::exit(130);
    });
    Ok(cancels)
}
