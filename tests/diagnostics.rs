//! What users are told about wrong files: each directory of `tests/diagnostics` is a case.
//!
//! `inventory.toml` and `recipe.toml` become `inventories/production.toml` and `recipes/web.toml` of a project; one that
//! is missing is taken from `_good`. Whatever else a case holds (but `expected.txt`) is copied beside them. A case with
//! a directory `project` is that project and nothing else; a file `environment` holds the name to load instead of
//! `production`. `expected.txt` is all that is printed, and where
//! nothing is wrong it is what was read; `UPDATE=1 cargo test --test diagnostics` writes it anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::{env, io};

use libtest_mimic::{Arguments, Failed, Trial};
use shipit::config::{self, Demands};
use shipit::model::{Inventory, Recipe, Role};

fn main() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut trials: Vec<_> = entries(&cases)
        .filter(|case| !name(case).starts_with('_'))
        .map(|case| Trial::test(name(&case), move || check(&case)))
        .collect();
    for file in ["inventories/production.toml", "recipes/web.toml"] {
        trials.push(Trial::test(format!("_never_panics_on_a_damaged/{file}"), move || damage(file)));
    }
    trials.push(Trial::test("_an_annotation_is_one_line_with_its_place", annotations_are_one_line));
    trials.push(Trial::test("_looking_asks_for_no_limits_that_can_be_kept", looking_asks_for_no_limits));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// `status` must work on a fleet that a rolling deploy would refuse, and so must a deploy whose flags say otherwise.
fn looking_asks_for_no_limits() -> Result<(), Failed> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    for case in ["limits-one-host", "limits-min-serving-is-the-whole-fleet", "limits-max-failures-of-all"] {
        let project = tempfile::tempdir()?;
        set_up(&cases.join(case), project.path())?;
        config::load(project.path(), "production", Demands::NONE).map_err(|errors| format!("{case}: {errors}"))?;
    }
    Ok(())
}

fn check(case: &Path) -> Result<(), Failed> {
    let project = tempfile::tempdir()?;
    set_up(case, project.path())?;
    let environment = fs::read_to_string(case.join("environment")).unwrap_or_else(|_| "production".to_owned());
    let printed = match config::load(project.path(), environment.trim_end(), Demands::ALL) {
        Ok((inventory, recipe)) => summary(inventory, &recipe),
        Err(errors) => format!("{errors}\n"),
    };
    // Paths are shown as they were given, which here is below a directory with a random name.
    let root = fs::canonicalize(project.path())?;
    let printed = printed.replace(&format!("{}/", root.display()), "").replace(&root.display().to_string(), "/project");
    let expected = case.join("expected.txt");
    if env::var_os("UPDATE").is_some() {
        return Ok(fs::write(expected, printed)?);
    }
    let wanted = fs::read_to_string(&expected).unwrap_or_default();
    if printed == wanted {
        return Ok(());
    }
    Err(format!("{} differs.\n\n--- expected\n{wanted}\n+++ printed\n{printed}", expected.display()).into())
}

/// What was read, with one line a host.
fn summary(mut inventory: Inventory, recipe: &Recipe) -> String {
    let hosts = std::mem::take(&mut inventory.hosts).into_iter().map(|host| {
        let roles: Vec<_> = host.roles.iter().map(Role::as_str).collect();
        let labels: Vec<_> = host.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{} at {}: {} {}", host.name, host.address, roles.join(","), labels.join(","))
    });
    let (inventory, recipe) = (short(&format!("{inventory:#?}")), short(&format!("{recipe:#?}")));
    let hosts: Vec<_> = hosts.map(|host| host.trim_end().to_owned()).collect();
    format!("no errors\n\n{}\n\n{inventory}\n\n{recipe}\n", hosts.join("\n"))
}

/// `debug` output with each bracket on one line that fits on one.
fn short(debug: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines: Vec<String> = Vec::new();
    for line in debug.lines() {
        lines.push(line.to_owned());
        if !line.trim_start().starts_with([')', ']', '}']) {
            continue;
        }
        let opener = lines[..lines.len() - 1].iter().rposition(|opener| indent(opener) == indent(line)).unwrap_or(0);
        let inner: Vec<_> = lines[opener + 1..lines.len() - 1].iter().map(|line| line.trim()).collect();
        let joined = format!("{}{}{}", lines[opener], inner.join(" ").trim_end_matches(','), line.trim());
        if joined.len() <= 120 {
            lines.truncate(opener);
            lines.push(joined);
        }
    }
    lines.join("\n")
}

/// Makes the project of `case` in `project`.
fn set_up(case: &Path, project: &Path) -> io::Result<()> {
    if case.join("project").is_dir() {
        return copy(&case.join("project"), project);
    }
    let good = case.with_file_name("_good");
    for (file, place) in [("inventory.toml", "inventories/production.toml"), ("recipe.toml", "recipes/web.toml")] {
        let own = case.join(file);
        let place = project.join(place);
        fs::create_dir_all(place.parent().expect("it has a folder"))?;
        fs::copy(if own.exists() { own } else { good.join(file) }, place)?;
    }
    for entry in entries(case) {
        match name(&entry).as_str() {
            "inventory.toml" | "recipe.toml" | "expected.txt" | "environment" => {}
            other => copy(&entry, &project.join(other))?,
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    entries(from).try_for_each(|entry| copy(&entry, &to.join(name(&entry))))
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Cuts and damages the fullest good `file` at every byte.
fn damage(file: &str) -> Result<(), Failed> {
    const ODD: &[u8] = b"\"'[]{}\n=.-0#\0\\\xff\xc3";
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics/accepts-everything-there-is");
    let project = tempfile::tempdir()?;
    set_up(&case, project.path())?;
    let file = project.path().join(file);
    let good = fs::read(&file)?;
    let load = |bytes: Vec<u8>| -> io::Result<()> {
        fs::write(&file, bytes)?;
        if let Err(errors) = config::load(project.path(), "production", Demands::ALL) {
            assert!(errors.count() > 0 && !errors.to_string().is_empty());
            errors.iter().for_each(|error| drop(error.annotation()));
        }
        Ok(())
    };
    for at in 0..good.len() {
        let changed = |with: &[u8], instead_of: usize| {
            let mut bytes = good.clone();
            bytes.splice(at..at + instead_of, with.iter().copied());
            bytes
        };
        load(good[..at].to_vec())?;
        // Not every fault at every byte, which would take a minute: neighbours get the others.
        load(changed(&[ODD[at % ODD.len()]], 1))?;
        load(if at % 2 == 0 { changed(b"", 1) } else { changed("ä\u{202e}".as_bytes(), 0) })?;
    }
    Ok(())
}

fn annotations_are_one_line() -> Result<(), Failed> {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics/limits-min-serving-larger-than-the-fleet");
    let project = tempfile::tempdir()?;
    set_up(&case, project.path())?;
    let errors = config::load(project.path(), "production", Demands::ALL).expect_err("the case is about an error");
    let annotation = errors.iter().next().and_then(config::Diagnostic::annotation).ok_or("there is no annotation")?;
    assert!(errors.coloured().contains('\u{1b}'), "there is no colour");
    assert!(annotation.file.ends_with("inventories/production.toml"));
    assert_eq!((annotation.line, annotation.column), (4, 15));
    assert_eq!(
        annotation.message,
        "`limits.min-serving` is larger than the fleet; asks for 9 hosts, role `app` has 8; \
         use a share such as `\"75%\"`, so that the limit follows the inventory"
    );
    Ok(())
}
