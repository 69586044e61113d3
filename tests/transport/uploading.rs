//! Files to a host, and sockets from it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use shipit::transport::{Parcel, Progress, Script, Session, Transport};

use super::sshd::{Sshd, host};

/// What a receiving script has to be like.
const RECEIVE: &str = "
set -eu
part=$TO.$$
cat >\"$part\"
[ \"$(sha256sum <\"$part\")\" = \"$DIGEST  -\" ]
mv \"$part\" \"$TO\"
echo received
";

#[tokio::test]
async fn a_file_arrives_whole_and_its_progress_is_told() {
    const SIZE: usize = 20_000_000;
    let sshd = Sshd::start();
    let ssh = sshd.transport();
    let session = ssh.connect(&host("web1")).await.unwrap();
    let bytes: Vec<u8> = (0..SIZE as u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()[0]).collect();
    let digest = Sha256::digest(&bytes).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let (from, to) = (sshd.path("from"), sshd.path("to it's"));
    fs::write(&from, &bytes).unwrap();
    // A slow reader, so that there is progress to hear.
    let script = Script::new(RECEIVE).with("TO", to.to_string_lossy()).with("DIGEST", digest).using("sleep 0.5\n");
    let parcel = Parcel::pack(&sshd.path("parcel"), script, &mut File::open(&from).unwrap()).unwrap();
    assert_eq!(parcel.size(), SIZE as u64);

    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&heard);
    let progress = Progress::to(move |word| sink.lock().unwrap().push(word.to_owned()));
    let got = session.upload(&parcel, Duration::from_secs(30), &progress).await.unwrap();
    assert_eq!((got.code, &*got.stdout), (0, "received\n"), "{}", got.stderr);
    assert!(fs::read(&to).unwrap() == bytes);
    let heard = heard.lock().unwrap().clone();
    assert!(heard.iter().all(|word| word.ends_with(" of 20.0 MB")) && !heard.is_empty(), "{heard:?}");

    // The same parcel three times at once, and one whose script does not take it all.
    let unheard = Progress::unheard();
    let again = (0..3).map(|_| session.upload(&parcel, Duration::from_secs(30), &unheard));
    assert!(futures::future::join_all(again).await.into_iter().all(|got| got.is_ok_and(|got| got.code == 0)));
    let refusing = Script::new("echo full >&2; exit 28");
    let parcel = Parcel::pack(&sshd.path("parcel2"), refusing, &mut File::open(&from).unwrap()).unwrap();
    let got = session.upload(&parcel, Duration::from_secs(30), &Progress::unheard()).await.unwrap();
    assert_eq!((got.code, &*got.stderr), (28, "full\n"));
    session.close().await;
    ssh.close().await;
}

#[tokio::test]
async fn a_socket_of_the_host_answers_here() {
    let sshd = Sshd::start();
    let ssh = sshd.transport();
    let session = ssh.connect(&host("web1")).await.unwrap();
    let remote = sshd.path("remote.sock");
    let listener = UnixListener::bind(&remote).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 10];
        stream.read_exact(&mut asked).unwrap();
        stream.write_all(&asked).unwrap();
    });
    let local = session.forward(&remote.to_string_lossy()).await.unwrap();
    let mut stream = UnixStream::connect(&local).unwrap();
    stream.write_all(b"show stat\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "show stat\n");
    server.join().unwrap();

    let nobody = session.forward("/nowhere/at/all").await.unwrap();
    let mut nothing = String::new();
    UnixStream::connect(nobody).unwrap().read_to_string(&mut nothing).ok();
    assert_eq!(nothing, "");
    session.close().await;
    ssh.close().await;
}
