//! Imports go down only. The table here is the one of `src/lib.rs` and `ARCHITECTURE.md`, which is held to, too.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each folder, and the folders that it may import besides itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("config", &["model"]),
    ("plan", &["model"]),
    ("strategy", &["model", "plan"]),
    ("engine", &["model", "plan"]),
    ("transport", &["model"]),
    ("balancer", &["model", "transport"]),
    ("remote", &["model", "plan", "transport"]),
    ("artifact", &["model"]),
    ("report", &["model", "plan", "engine"]),
    ("driver", &["model", "plan", "engine", "transport", "balancer", "remote", "artifact"]),
];

/// What the layers of pure functions may not know: the clock, the network, the disk.
const PURE: &[&str] = &["model", "plan", "strategy", "engine"];
const IMPURE: &[&str] =
    &["tokio::", "openssh::", "reqwest::", "Instant::now", "SystemTime", "std::fs", "std::net::Tcp"];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.path() {
            path if path.is_dir() => sources(&path, into),
            path if path.extension().is_some_and(|ending| ending == "rs") => into.push(path),
            _ => {}
        }
    }
}

#[test]
fn imports_go_down_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let table: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut faults = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&src).unwrap().to_path_buf();
        let Some(folder) = inside.components().next().and_then(|part| part.as_os_str().to_str()) else { continue };
        if !src.join(folder).is_dir() || folder == "cli" {
            continue;
        }
        let Some(allowed) = table.get(folder) else {
            faults.push(format!("{}: `{folder}` is not in the table of layers", inside.display()));
            continue;
        };
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for imported in line.split("crate::").skip(1) {
                let name: String = imported.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if src.join(&name).is_dir() && name != folder && !allowed.contains(&name.as_str()) {
                    faults.push(format!("{}:{}: `{folder}` imports `{name}`", inside.display(), number + 1));
                }
            }
            if PURE.contains(&folder) {
                for word in IMPURE.iter().filter(|word| line.contains(*word)) {
                    faults.push(format!("{}:{}: `{folder}` is pure, yet knows `{word}`", inside.display(), number + 1));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_documents_have_the_same_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file| fs::read_to_string(root.join(file)).unwrap();
    let architecture = read("ARCHITECTURE.md");
    let rows: Vec<&str> = architecture.lines().filter(|line| line.starts_with("| `")).collect();
    let wanted = MAY_IMPORT.iter().map(|(folder, allowed)| {
        let allowed: Vec<_> = allowed.iter().map(|one| format!("`{one}`")).collect();
        let allowed = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
        format!("| `{folder}` | {allowed} |")
    });
    let wanted: Vec<String> = wanted.chain(["| `cli` | everything |".to_owned()]).collect();
    let same = rows.len() == wanted.len() && rows.iter().zip(&wanted).all(|(row, wanted)| row.starts_with(wanted));
    assert!(same, "the rows of ARCHITECTURE.md begin with\n{}", wanted.join("\n"));
    // A row of the crate's documentation is a layer with all its folders.
    let crate_doc = read("src/lib.rs");
    let table = crate_doc.lines().filter(|line| line.starts_with("//! | "));
    let named: Vec<&str> = table.flat_map(|line| line.split('`').skip(1).step_by(2)).collect();
    let folders: Vec<_> = MAY_IMPORT.iter().map(|(folder, _)| *folder).chain(["cli"]).collect();
    assert_eq!(named, folders, "src/lib.rs names the folders in the order of their layers");
}
