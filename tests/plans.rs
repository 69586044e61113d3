//! Plans as files: each folder of `tests/plans` holds an inventory, a recipe, what was observed and the options, and the
//! plan that must come of it, as `shipit plan -v` shows it. `UPDATE=1 cargo test --test plans` writes the plans anew.
//!
//! A file that a case lacks is taken from `_base`. `options` holds the flags of `shipit plan`, one a line, and `--verb` and `--skip`, which
//! the command line has in other forms.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use shipit::config::Demands;
use shipit::model::{Colour, Letters, Observation, Options, Paint, Release, Verb};
use shipit::plan::{Detail, show};
use shipit::strategy::{PlanInput, plan};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut cases: Vec<PathBuf> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|case| case.is_dir() && !case.ends_with("_base"));
    cases.sort();
    let trials = cases.into_iter().map(|case| {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        Trial::test(name, move || check(&case))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

fn file(case: &Path, name: &str) -> String {
    let own = case.join(name);
    let path = if own.exists() { own } else { case.parent().unwrap().join("_base").join(name) };
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn check(case: &Path) -> Result<(), Failed> {
    let got = render(case);
    let golden = case.join("plan.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&golden, &got)?;
    }
    let wanted = fs::read_to_string(&golden).unwrap_or_default();
    if got == wanted { Ok(()) } else { Err(format!("--- wanted\n{wanted}\n--- got\n{got}").into()) }
}

fn render(case: &Path) -> String {
    let project = tempfile::tempdir().unwrap();
    for (folder, from, to) in
        [("inventories", "inventory.toml", "production.toml"), ("recipes", "recipe.toml", "web.toml")]
    {
        fs::create_dir(project.path().join(folder)).unwrap();
        fs::write(project.path().join(folder).join(to), file(case, from)).unwrap();
    }
    let (inventory, recipe) =
        match shipit::config::load(project.path(), "production", Demands { artifact: false, ..Demands::ALL }) {
            Ok(both) => both,
            Err(errors) => return errors.to_string(),
        };
    let observed: Observation = serde_json::from_str(&file(case, "observed.json")).unwrap();
    let release: Release = serde_json::from_str(&file(case, "release.json")).unwrap();
    let mut options = Options {
        verb: Verb::Deploy,
        strategy: inventory.strategy,
        limits: inventory.limits,
        max_in_flight: None,
        only: None,
        except: None,
        skipped: vec![],
        canary: 0,
        bake: Duration::ZERO,
    };
    for line in file(case, "options").lines() {
        let (flag, value) = line.split_once(' ').unwrap_or_else(|| panic!("`{line}` has no value"));
        match flag {
            "--verb" => options.verb = if value == "rollback" { Verb::Rollback } else { Verb::Deploy },
            "--skip" => options.skipped = value.split(',').map(|host| host.parse().unwrap()).collect(),
            "--only" => options.only = Some(value.parse().unwrap()),
            "--except" => options.except = Some(value.parse().unwrap()),
            "--canary" => options.canary = value.parse().unwrap(),
            "--bake" => options.bake = Duration::from_secs(value.strip_suffix('s').unwrap().parse().unwrap()),
            "--strategy" => options.strategy = value.parse().unwrap(),
            "--max-in-flight" => {
                options.limits.max_in_flight = value.parse().unwrap();
                options.max_in_flight = Some(options.limits.max_in_flight);
            }
            "--min-serving" => options.limits.min_serving = value.parse().unwrap(),
            "--max-failures" => options.limits.max_failures = value.parse().unwrap(),
            _ => panic!("`{flag}` is no option of a plan"),
        }
    }
    let input =
        PlanInput { inventory: &inventory, recipe: &recipe, release: &release, observed: &observed, options: &options };
    let paint = Paint { colour: Colour::Off, letters: Letters::Unicode };
    match plan(&input) {
        Ok(plan) => show(&plan, Some(&observed), Detail::Steps, paint),
        Err(error) => format!("error: {error}\nhelp: {}\n", error.help(&inventory.environment)),
    }
}
