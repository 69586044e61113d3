//! `release.source`: what a release is made of, one of four things.

use std::path::PathBuf;

use crate::model::{Fingerprint, Source};

use super::recipe::Surroundings;
use super::report::Wrong;
use super::table::Table;
use super::value::Value;
use super::{git, project, take, url};

/// The archives that can be unpacked on a host.
const ENDINGS: [&str; 6] = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2"];

/// The keys that say what kind a source is.
const KINDS: [&str; 4] = ["git", "directory", "archive", "url"];

/// Reads `release.source`.
pub(super) fn read(value: &Value<'_>, around: Surroundings<'_>) -> Result<Source, Wrong> {
    let table = value.table("a table: `{ git = \"…\", ref = \"main\" }`")?;
    let forms = "write one of `{ git = \"…\", ref = \"main\" }`, `{ directory = \"dist\" }`, \
                 `{ archive = \"web.tar.zst\" }` and `{ url = \"https://…\", sha256 = \"…\" }`";
    let there: Vec<_> = KINDS.into_iter().filter(|kind| table.has(kind)).collect();
    let source = match there.as_slice() {
        [] => return Err(value.fail_with(value.wrong("does not say what is shipped", "").help(forms))),
        [first, second, ..] => {
            let error = value.wrong("says twice what is shipped", "").at(table.place_of(second).label("and this"));
            return Err(value.fail_with(error.see(Some(table.place_of(first).label("this"))).help(forms)));
        }
        [kind] => match *kind {
            "git" => repository(&table),
            "directory" => table.required("directory", "", |value| directory(value, around)).map(Source::Directory),
            "archive" => table.required("archive", "", |value| archive(value, around)).map(Source::Archive),
            _ => download(&table),
        },
    };
    table.finish();
    source
}

fn repository(table: &Table<'_>) -> Result<Source, Wrong> {
    let url = table.required("git", "", git::url);
    let reference = table.required("ref", "\"main\"", git::reference);
    Ok(Source::Git { url: url?, reference: reference? })
}

fn directory(value: &Value<'_>, around: Surroundings<'_>) -> Result<PathBuf, Wrong> {
    let path = project::path(around.project, take::line(value)?);
    if !around.artifact || path.is_dir() {
        return Ok(path);
    }
    Err(absent(value, &path, "this is not a directory", "there is no such directory"))
}

fn archive(value: &Value<'_>, around: Surroundings<'_>) -> Result<PathBuf, Wrong> {
    let text = take::line(value)?;
    check_ending(value, text)?;
    let path = project::path(around.project, text);
    if !around.artifact || path.is_file() {
        return Ok(path);
    }
    Err(absent(value, &path, "this is not a file", "there is no such file"))
}

fn absent(value: &Value<'_>, path: &std::path::Path, other: &str, none: &str) -> Wrong {
    let error = value.wrong("can't be shipped", if path.exists() { other } else { none });
    value.fail_with(error.help(format!(
        "it was looked for at `{}`; build it first, or start shipit where it is with `-C DIR`",
        path.display()
    )))
}

fn download(table: &Table<'_>) -> Result<Source, Wrong> {
    let url = table.required("url", "\"https://…\"", |value| {
        let text = url::of_a_download(value)?;
        let path = text.split(['?', '#']).next().unwrap_or_default();
        check_ending(value, path).map(|()| text.to_owned())
    });
    let sha256 = table.required("sha256", "\"…\"", |value| {
        let text = value.string()?.to_ascii_lowercase();
        let fingerprint = text.parse::<Fingerprint>().ok().filter(|_| text.len() == 64);
        fingerprint.ok_or_else(|| {
            let error = value.wrong("is not a sha256", format!("these are {} characters", text.chars().count()));
            value.fail_with(error.help("it has 64 hexadecimal digits; `sha256sum FILE` prints it"))
        })
    });
    Ok(Source::Url { url: url?, sha256: sha256? })
}

fn check_ending(value: &Value<'_>, path: &str) -> Result<(), Wrong> {
    if ENDINGS.iter().any(|ending| path.len() > ending.len() && path.ends_with(ending)) {
        return Ok(());
    }
    let error = value.wrong("is not an archive that can be unpacked", "the end of the name says what it is");
    Err(value.fail_with(error.help(format!("archives end in {}", super::suggest::list(ENDINGS)))))
}
