//! One execution on a host: sends the script, reads the answer.

use std::fs::File;
use std::io::{self, Seek};
use std::time::Duration;

use openssh::{Session, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

use super::answer::{Answer, Keep};
use super::frame::{Nonce, RUN, RUN_PARCEL};
use super::{Output, Parcel, Progress};
use crate::model::clean;

/// How much standard output is kept: the longest answer that we ask for, a list of processes say, is a tenth of it.
const FIRST_OF_STDOUT: usize = 1024 * 1024;
/// How much standard error is kept: some hundreds of lines.
const LAST_OF_STDERR: usize = 64 * 1024;
/// An answer is a few lines. With hundreds of hosts at work, a buffer as large as a pipe would be most of our memory.
const PIECE: usize = 8 * 1024;
/// How long to wait for the end of a shell that has told its script's result. It follows at once, unless something that the
/// script started still holds its output, which is no reason to wait.
const LINGER: Duration = Duration::from_millis(200);
/// How long to wait for ssh to say why there was no result.
const REASON: Duration = Duration::from_secs(2);
/// How often the progress of an upload is told.
const TELL: Duration = Duration::from_millis(200);

/// What goes to the host.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input<'a> {
    /// A framed script and the word in its frame.
    Script(&'a str, &'a Nonce),
    /// A framed script that reads the lines behind it.
    Talk(&'a str, &'a Nonce),
    /// A packed file.
    Parcel(&'a Parcel),
}

/// Why there is no result.
#[derive(Debug)]
pub(super) enum Fault {
    /// sshd allows no more at once on this connection. Nothing was run.
    Refused(String),
    /// The connection or the shell at its end broke; what the script did is not known.
    Broken(String),
}

/// Runs `input` and waits for it, without a deadline: the caller sets it, and drops this future if it passes. The script
/// may then still be running.
///
/// `lines` follow the script as they come.
pub(super) async fn exec(
    session: &Session,
    input: Input<'_>,
    lines: Option<UnboundedReceiver<String>>,
    progress: &Progress,
) -> Result<Output, Fault> {
    let broken = |error: io::Error| Fault::Broken(error.to_string());
    let mut file = None;
    let mut command = session.raw_command(match input {
        Input::Script(..) | Input::Talk(..) => RUN,
        Input::Parcel(_) => RUN_PARCEL,
    });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let nonce = match input {
        Input::Script(_, nonce) | Input::Talk(_, nonce) => {
            command.stdin(Stdio::piped());
            nonce
        }
        Input::Parcel(parcel) => {
            // ssh reads this file through a copy of our descriptor, so that ours shows how far it is.
            let opened = parcel.open().map_err(broken)?;
            file = Some(opened.try_clone().map_err(broken)?);
            command.stdin(Stdio::from(opened));
            parcel.nonce()
        }
    };
    let mut child = command.spawn().await.map_err(|error| refused_or_broken(&error))?;
    drop(command);

    let unheard = Progress::unheard();
    let mut stdout = Answer::new(nonce, Keep::First(FIRST_OF_STDOUT), progress);
    let mut stderr = Answer::new(nonce, Keep::Last(LAST_OF_STDERR), &unheard);
    let (stdin, out, err) = (child.stdin().take(), child.stdout().take(), child.stderr().take());
    let begun = Notify::new();
    let talk = async {
        let send = async {
            if let (Some(mut pipe), Input::Script(text, _) | Input::Talk(text, _)) = (stdin, input) {
                // If the other end is gone, the missing answer tells it.
                _ = pipe.write_all(text.as_bytes()).await;
                // A shell reads ahead, and what it has of the lines is lost to the script. A script that has begun was read to its end,
                // and the shell reads no more.
                begun.notified().await;
                pass_on(lines, &mut pipe).await;
            }
            // It is the script that ends an execution; what has been sent by then is all that it wanted.
            std::future::pending::<()>().await;
        };
        let hear = async { tokio::join!(read(out, &mut stdout, &begun), read(err, &mut stderr, &begun)) };
        tokio::select! {
            _ = hear => {}
            () = send => {}
        }
    };
    tokio::select! {
        () = talk => {}
        () = tell(file.as_ref(), input, progress) => {}
    }

    if let Some(code) = stdout.code() {
        _ = timeout(LINGER, child.wait()).await;
        return Ok(Output { code, stdout: stdout.finish(), stderr: stderr.finish() });
    }
    let mut why = match timeout(REASON, child.wait()).await {
        Ok(Ok(status)) => format!("the host's shell ended with {status} before the script did"),
        Ok(Err(openssh::Error::Remote(_))) => "the host's shell ended with exit status: 127".to_owned(),
        Ok(Err(openssh::Error::RemoteProcessTerminated)) => "the script's shell was killed or cut off".to_owned(),
        Ok(Err(error)) => chain(&error),
        Err(_) => "the output ended before the script did".to_owned(),
    };
    if let Some(said) = stderr.finish().lines().map(str::trim).rfind(|line| !line.is_empty()) {
        why = format!("{why}: {}", clean(said));
    }
    Err(Fault::Broken(why))
}

/// Writes `lines` to `pipe` until there are no more, or nobody takes them.
async fn pass_on(lines: Option<UnboundedReceiver<String>>, pipe: &mut (impl AsyncWrite + Unpin)) {
    let Some(mut lines) = lines else { return };
    while let Some(line) = lines.recv().await {
        if pipe.write_all(format!("{line}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads the answer, and tells once it begins.
async fn read(pipe: Option<impl AsyncRead + Unpin>, answer: &mut Answer<'_>, begun: &Notify) {
    let Some(mut pipe) = pipe else { return };
    let mut piece = vec![0; PIECE];
    while answer.code().is_none() {
        match pipe.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(length) => answer.feed(&piece[..length]),
        }
        if answer.has_begun() {
            begun.notify_one();
        }
    }
}

/// Tells how much of a parcel has been sent, for ever.
async fn tell(file: Option<&File>, input: Input<'_>, progress: &Progress) {
    let (Some(mut file), Input::Parcel(parcel)) = (file, input) else { return std::future::pending().await };
    let mut told = None;
    loop {
        sleep(TELL).await;
        let sent = parcel.sent(file.stream_position().unwrap_or(0));
        if told.replace(sent) != Some(sent) {
            progress.say(&format!("{} of {} MB", megabytes(sent), megabytes(parcel.size())));
        }
    }
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn refused_or_broken(error: &openssh::Error) -> Fault {
    let text = chain(error);
    // The crate does not name the type that would tell.
    if text.contains("refused") { Fault::Refused(text) } else { Fault::Broken(text) }
}

/// The error with its causes, which `openssh` leaves out.
pub(super) fn chain(error: &openssh::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    clean(&text)
}
