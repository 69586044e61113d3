//! The frame around a script: how it reaches the host's `sh`, and how its answer is told from noise.
//!
//! ssh's own answer does not do. It loses 127 and signals, a login shell's greeting mixes with the output, and
//! a daemon that keeps the output open keeps ssh waiting. So the script's begin, words of progress and exit code are lines with a random word in
//! them; [`super::answer`] reads them.

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};

use super::Script;

/// Runs a script that comes on standard input.
///
/// The login shell, which may be csh or fish, reads this line and nothing else.
pub(super) const RUN: &str = "exec sh";

/// Runs a script that comes on standard input with data behind it, which the script then reads.
///
/// `sh` would read ahead and swallow data, its `read` does not: it goes byte by byte. The first line is the one that ends
/// the script. There is no quote, `!` or line break in it that csh or fish would take for theirs.
pub(super) const RUN_PARCEL: &str = "exec sh -c 'n=$(printf \"\\n:\"); n=${n%:}; s=; IFS= read -r e || exit 9; \
    while IFS= read -r l; do case $l in \"$e\") eval \"$s\"; exit;; esac; s=$s$l$n; done; exit 9'";

/// A word that nobody else can know: it marks the lines of one execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nonce(String);

impl Nonce {
    pub(super) fn new() -> Self {
        // The hasher's keys are the random numbers that std has; two of 64 bits are more than enough against accidents.
        let random = RandomState::new();
        Self(format!("{:016x}{:016x}", random.hash_one(0), random.hash_one(1)))
    }

    /// What our lines begin with.
    pub(super) fn marker(&self) -> String {
        format!("::shipit {} ", self.0)
    }
}

/// What a script's standard input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stdin {
    /// Nothing: its commands must not eat the script.
    Empty,
    /// What follows the script.
    Data,
}

/// `script` as the host's shell gets it.
///
/// It is one compound command, which a shell reads to its end before it does anything: of a script that was cut off on
/// the way, nothing is run. It runs in a subshell, so an `exit` in it ends only that.
pub(super) fn framed(script: &Script, nonce: &Nonce, stdin: Stdin) -> String {
    let mark = nonce.marker();
    let from = match stdin {
        Stdin::Empty => " </dev/null",
        Stdin::Data => "",
    };
    let mut text = String::new();
    // `:` because a function must not be empty. The shell of a command over ssh has no `sbin` in its path. Messages that
    // we take apart have to be in one language; commands of the user's get the host's own back.
    let _ = write!(
        text,
        "{{\n\
         shipit_script() {{\n:\n{}\n}}\n\
         shipit_say() {{ printf '\\n{mark}%s\\n' \"$*\"; }}\n\
         progress() {{ shipit_say progress \"$*\"; }}\n\
         PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin\n\
         own_locale() {{ if [ -n \"$shipit_locale\" ]; then LC_ALL=$shipit_locale; else unset LC_ALL; fi; }}\n\
         shipit_locale=${{LC_ALL-}}\n\
         LC_ALL=C\n\
         export PATH LC_ALL\n\
         shipit_say begin\nshipit_say begin >&2\n\
         ( shipit_script ){from}\n\
         set -- $?\n\
         shipit_say rc=$1\nshipit_say rc=$1 >&2\n\
         exit 0\n\
         }}\n",
        script.lean()
    );
    text
}

/// `scripts` as a file that is run later by whoever stands on the host, without us: one after the other, up to the first that
/// fails. With `unless`, it says `left` and does nothing if that script does not fail.
#[must_use]
pub fn standing(unless: Option<&Script>, scripts: &[Script]) -> String {
    // Nobody listens to progress there; and what our own commands run in is the guard's already.
    let mut text = String::from("progress() { :; }\nown_locale() { unset LC_ALL; }\n");
    if let Some(script) = unless {
        let _ = writeln!(text, "if ( :\n{}\n) </dev/null >/dev/null 2>&1; then echo left; exit 0; fi", script.lean());
    }
    for script in scripts {
        let _ = writeln!(text, "( :\n{}\n) </dev/null || exit 1", script.lean());
    }
    text
}

/// `script` with data to follow it, for [`RUN_PARCEL`].
pub(super) fn framed_before_data(script: &Script, nonce: &Nonce) -> String {
    let end = format!("{}data", nonce.marker());
    format!("{end}\n{}{end}\n", framed(script, nonce, Stdin::Data))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::{Command, Stdio};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::transport::answer::{Answer, Keep};
    use crate::transport::{Output, Progress};

    /// The shells that hosts have. One that is not installed is skipped on a laptop, never in CI.
    fn shells() -> Vec<Vec<&'static str>> {
        let all = [vec!["dash"], vec!["busybox", "sh"], vec!["bash"], vec!["bash", "--posix"]];
        let there = |shell: &Vec<&str>| Command::new(shell[0]).args(&shell[1..]).args(["-c", ":"]).output().is_ok();
        let (there, missing): (Vec<_>, Vec<_>) = all.into_iter().partition(there);
        assert!(missing.is_empty() || std::env::var_os("CI").is_none(), "apt-get install dash busybox bash");
        there
    }

    /// Feeds `input` to `command` and reads the answer, a few bytes at a time.
    fn answer_of(mut command: Command, input: &[u8], nonce: &Nonce, progress: &Progress) -> Option<Output> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || _ = pipe.write_all(&input));
        let done = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let unheard = Progress::unheard();
        let mut stdout = Answer::new(nonce, Keep::First(1 << 20), progress);
        let mut stderr = Answer::new(nonce, Keep::Last(1 << 16), &unheard);
        done.stdout.chunks(7).for_each(|piece| stdout.feed(piece));
        done.stderr.chunks(7).for_each(|piece| stderr.feed(piece));
        stdout.code().map(|code| Output { code, stdout: stdout.finish(), stderr: stderr.finish() })
    }

    /// Where to cut a text: here and there, and everywhere near its end.
    fn cuts(length: usize) -> impl Iterator<Item = usize> {
        (0..length - 60).step_by(23).chain(length - 60..length)
    }

    fn run(shell: &[&str], body: &'static str) -> Option<Output> {
        let nonce = Nonce::new();
        let text = framed(&Script::new(body), &nonce, Stdin::Empty);
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).env("LC_ALL", "C.UTF-8");
        answer_of(command, text.as_bytes(), &nonce, &Progress::unheard())
    }

    #[test]
    fn the_result_is_the_scripts_own() {
        for shell in shells() {
            for (body, code, stdout, stderr) in [
                ("echo hi; exit 7", 7, "hi\n", ""),
                ("printf 'no break'; exit 127", 127, "no break", ""),
                ("exit 255", 255, "", ""),
                ("", 0, "", ""),
                ("# only a remark", 0, "", ""),
                ("echo one; echo; echo", 0, "one\n\n\n", ""),
                ("echo bad >&2; false", 1, "", "bad\n"),
                ("set -e; false; echo not reached", 1, "", ""),
                ("set -eu; echo \"$undefined_one\"", if shell[0] == "bash" { 1 } else { 2 }, "", "*"),
                ("sh -c 'kill -9 $$'", 137, "", "*"),
                ("sh -c 'kill -9 $PPID'; echo survived", 137, "", "*"),
                ("cat; read -r line || echo empty", 0, "empty\n", ""),
                ("cat <<'X'\na 'b' $c\nX", 0, "a 'b' $c\n", ""),
                ("echo \"$LC_ALL\"; case $PATH in */sbin) echo sbin;; esac", 0, "C\nsbin\n", ""),
                ("own_locale; printenv LC_ALL || echo none", 0, "C.UTF-8\n", ""),
                ("return 3", 3, "", ""),
                ("trap 'echo bye' EXIT; exit 4", 4, "bye\n", ""),
            ] {
                let got = run(&shell, body).unwrap_or_else(|| panic!("{shell:?}: no answer: {body}"));
                assert_eq!((got.code, &*got.stdout), (code, stdout), "{shell:?}: {body}");
                assert!(stderr == "*" || got.stderr == stderr, "{shell:?}: {body}: {:?}", got.stderr);
            }
        }
    }

    #[test]
    fn of_a_script_that_was_cut_off_nothing_runs() {
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("ran");
            let nonce = Nonce::new();
            let script = Script::new("echo a >\"$FILE\"\necho b\n").with("FILE", file.to_string_lossy());
            let text = framed(&script, &nonce, Stdin::Empty);
            for length in cuts(text.len() - 2) {
                let mut command = Command::new(shell[0]);
                command.args(&shell[1..]);
                let got = answer_of(command, &text.as_bytes()[..length], &nonce, &Progress::unheard());
                assert!(got.is_none() && !file.exists(), "{shell:?}: {}", &text[..length]);
            }
        }
    }

    #[test]
    fn noise_before_the_script_is_ignored_and_progress_is_heard() {
        for shell in shells() {
            let nonce = Nonce::new();
            let script =
                Script::new("printf half; progress 40 of 50; echo ' line'; progress \"bad $(printf '\\033')[2J\"");
            let text = framed(&script, &nonce, Stdin::Empty);
            let heard = Arc::new(Mutex::new(Vec::new()));
            let sink = Arc::clone(&heard);
            let progress = Progress::to(move |word| sink.lock().unwrap().push(word.to_owned()));
            let mut command = Command::new("sh");
            let noisy = format!(
                "echo Welcome; printf '::shipit x rc=0\\nLast login'; printf warn >&2; exec {}",
                shell.join(" ")
            );
            command.arg("-c").arg(noisy);
            let got = answer_of(command, text.as_bytes(), &nonce, &progress).unwrap();
            assert_eq!((&*got.stdout, &*got.stderr, got.code), ("half line\n", "", 0), "{shell:?}");
            assert_eq!(*heard.lock().unwrap(), ["40 of 50", "bad \\u{1b}[2J"], "{shell:?}");
        }
    }

    #[test]
    fn data_behind_a_script_arrives_whole() {
        // Every byte, and much more than a shell could read ahead.
        let data: Vec<u8> = (0..300_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("Á'\\ ü");
            let nonce = Nonce::new();
            let script = Script::new("cat >\"$FILE\"; printf %s \"$ODD\"")
                .with("FILE", file.to_string_lossy())
                .with("ODD", "Á\u{81}\\n'\n\n \\\t$x");
            let mut input = framed_before_data(&script, &nonce).into_bytes();
            input.extend_from_slice(&data);
            let mut command = Command::new("sh");
            // The outer shell is the login shell; the `sh` that it starts has to be the one that is tried.
            command.arg("-c").arg(RUN_PARCEL.replacen("exec sh", &format!("exec {}", shell.join(" ")), 1));
            let got = answer_of(command, &input, &nonce, &Progress::unheard()).unwrap();
            assert_eq!((&*got.stdout, got.code), ("Á\u{81}\\n'\n\n \\\t$x", 0), "{shell:?}");
            assert!(std::fs::read(&file).unwrap() == data, "{shell:?}");
        }
    }

    #[test]
    fn a_parcel_that_was_cut_off_in_its_script_runs_nothing() {
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("ran");
            let nonce = Nonce::new();
            let script = Script::new("echo a >\"$FILE\"\n").with("FILE", file.to_string_lossy());
            let text = framed_before_data(&script, &nonce);
            for length in cuts(text.len()) {
                let mut command = Command::new(shell[0]);
                command.args(&shell[1..]).arg("-c").arg(RUN_PARCEL.split('\'').nth(1).unwrap());
                let got = answer_of(command, &text.as_bytes()[..length], &nonce, &Progress::unheard());
                assert!(got.is_none() && !file.exists(), "{shell:?}: {}", &text[..length]);
            }
        }
    }

    #[test]
    fn a_script_that_has_begun_hears_all_that_follows() {
        for shell in shells() {
            let nonce = Nonce::new();
            // More than any shell reads at once.
            let script = Script::new("IFS= read -r line\necho \"heard $line\"\n").with("LONG", "x".repeat(20_001));
            let mut command = Command::new(shell[0]);
            let pipes = command.args(&shell[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = pipes.spawn().unwrap();
            let mut input = child.stdin.take().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
            input.write_all(framed(&script, &nonce, Stdin::Data).as_bytes()).unwrap();
            assert!(lines.any(|line| line == format!("{}begin", nonce.marker())), "{shell:?}");
            input.write_all(b"a word\n").unwrap();
            assert!(lines.any(|line| line == "heard a word"), "{shell:?}");
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_long_output_is_kept_in_part() {
        let nonce = Nonce::new();
        let unheard = Progress::unheard();
        for (keep, kept) in [(Keep::First(10), "0\n1\n2\n3\n4\n"), (Keep::Last(9), "9998\n9999")] {
            let mut answer = Answer::new(&nonce, keep, &unheard);
            answer.feed(format!("{}begin\n", nonce.marker()).as_bytes());
            for number in 0..10_000 {
                answer.feed(format!("{number}\n").as_bytes());
            }
            answer.feed(format!("{}rc=0\n", nonce.marker()).as_bytes());
            assert_eq!(answer.code(), Some(0));
            assert_eq!(answer.finish(), kept);
        }
        let mut answer = Answer::new(&nonce, Keep::First(100_000), &unheard);
        let line = format!("{}{}", nonce.marker(), "x".repeat(9000));
        answer.feed(format!("{}begin\n", nonce.marker()).as_bytes());
        line.as_bytes().chunks(1000).for_each(|piece| answer.feed(piece));
        assert_eq!(answer.finish(), line, "a line too long to be ours is output");
    }
}
