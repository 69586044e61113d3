//! Which release is meant: one that is made now, one that is on the hosts, or the one before.

use std::collections::BTreeSet;

use super::app::{App, Project};
use super::exit::Exit;
use super::prepare::Wish;
use crate::artifact::Artifact;
use crate::model::{BadRelease, Host, Observation, Recipe, Release, ReleaseId, Run, Source, Verb, ranges};
use crate::strategy::{self, NoTarget};

/// What is to be put into service.
#[derive(Debug, Clone)]
pub enum What {
    /// What the recipe's source is now; or this reference of its repository.
    Source(Option<String>),
    /// A release that the hosts have.
    There(ReleaseId),
    /// The release before, or this one.
    Back(Option<ReleaseId>),
    /// What a run that was cut off was about, for the same purpose.
    Again(Release, Verb),
}

/// The release that is meant.
pub struct Meant {
    /// Itself.
    pub release: Release,
    /// What is left for it, if that is a rollback; and runs somewhere.
    pub left: Vec<BadRelease>,
}

impl What {
    /// What `--release` says.
    pub fn of(release: Option<&str>) -> Self {
        match release.map(|text| (text, text.parse())) {
            None => Self::Source(None),
            Some((_, Ok(id))) => Self::There(id),
            Some((reference, Err(_))) => Self::Source(Some(reference.to_owned())),
        }
    }

    /// What for.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Source(_) | Self::There(_) => Verb::Deploy,
            Self::Back(_) => Verb::Rollback,
            Self::Again(_, verb) => *verb,
        }
    }
}

/// A `--release` that is no release id is another reference of the recipe's repository.
pub fn with_reference(app: &App, mut project: Project, what: &What) -> Result<Project, Exit> {
    let What::Source(Some(wanted)) = what else { return Ok(project) };
    let mut recipe = (*project.recipe).clone();
    let Source::Git { reference, .. } = &mut recipe.release.source else {
        let what = format!("`--release {wanted}` is no release id, and the recipe ships no git repository");
        let list = list_releases(&project.inventory.environment);
        return Err(app.refuse(Exit::Usage, &what, Some(&format!("{list}; one looks like 20261120-224512-1a2b3c4d"))));
    };
    if wanted.starts_with('-') || wanted.chars().any(|c| c.is_control() || c.is_whitespace()) || wanted.is_empty() {
        return Err(app.refuse(Exit::Usage, &format!("`--release {wanted}` is no branch, tag or commit"), None));
    }
    reference.clone_from(wanted);
    project.recipe = recipe.into();
    Ok(project)
}

/// The release that `wish` means on a fleet as `observed`; `last` is the run before.
pub fn released(
    app: &App,
    wish: &Wish,
    recipe: &Recipe,
    observed: &Observation,
    picked: &[&Host],
    last: Option<&Run>,
    made: Option<&Artifact>,
) -> Result<Meant, Exit> {
    let known = |id: &ReleaseId| {
        let found = observed.hosts.values().flat_map(|facts| &facts.releases).find(|release| release.id == *id);
        found.cloned().ok_or_else(|| not_there(app, wish, id))
    };
    let left = strategy::leaving(observed, picked, last);
    let release = match (&wish.what, made) {
        (_, Some(artifact)) => artifact.release.clone(),
        (What::There(id) | What::Back(Some(id)), _) => known(id)?,
        (What::Again(release, _), _) => again(app, wish, recipe, observed, picked, release)?,
        (What::Back(None) | What::Source(_), None) => known(&before(app, wish, observed, picked, last, &left)?)?,
    };
    if !wish.force {
        refuse_bad(app, wish, observed, &release)?;
    }
    let left = match wish.what.verb() {
        Verb::Rollback => bad(observed, &left, &release.id),
        Verb::Deploy => Vec::new(),
    };
    Ok(Meant { release, left })
}

/// The release of a run that was cut off, if each host has it or can get it without the machine that the run came from.
fn again(
    app: &App,
    wish: &Wish,
    recipe: &Recipe,
    observed: &Observation,
    picked: &[&Host],
    release: &Release,
) -> Result<Release, Exit> {
    let lacks = |host: &&&Host| {
        observed.hosts.get(&host.name).is_some_and(|facts| {
            facts.releases.iter().all(|one| one.id != release.id)
                && !strategy::can_get(&recipe.release.source, facts, release)
        })
    };
    let lacking: Vec<_> = picked.iter().filter(lacks).map(|host| &host.name).collect();
    if lacking.is_empty() {
        return Ok(release.clone());
    }
    let what = format!("{} did not get release {} yet, and it can't be made there", ranges(lacking), release.id);
    let help = format!("ship it anew: `shipit deploy {}`", wish.environment.environment);
    Err(app.refuse(Exit::Preflight, &format!("{what}; nothing was changed"), Some(&help)))
}

/// The release before. A rollback that did not end well is gone on with.
fn before(
    app: &App,
    wish: &Wish,
    observed: &Observation,
    picked: &[&Host],
    last: Option<&Run>,
    left: &BTreeSet<ReleaseId>,
) -> Result<ReleaseId, Exit> {
    let cut_off = last.filter(|run| !run.is_done() && run.verb == Verb::Rollback);
    if let Some(release) = cut_off.and_then(|run| run.release.as_ref()) {
        return Ok(release.id.clone());
    }
    strategy::target(observed, picked, left).map_err(|none| {
        let environment = &wish.environment.environment;
        let (what, help) = no_target(environment, &none, picked.len());
        app.refuse(Exit::Preflight, &what, Some(&help))
    })
}

/// Why there is nothing to go back to, and what to type.
fn no_target(environment: &str, none: &NoTarget, picked: usize) -> (String, String) {
    let list = format!("`shipit releases {environment}` lists what there is; any of it goes by `--to RELEASE`");
    if none.each.is_empty() {
        return (
            "there is no release to go back to: none that was confirmed before is left on the hosts".to_owned(),
            list,
        );
    }
    let releases: BTreeSet<&ReleaseId> = none.each.values().collect();
    let ways = releases.into_iter().map(|id| {
        let hosts: Vec<_> = none.each.iter().filter(|(_, own)| *own == id).map(|(host, _)| host).collect();
        let names = hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        format!("{}: `shipit rollback {environment} --only {names} --to {id}`", ranges(hosts))
    });
    let what = format!("no release that was confirmed before is on all {picked} hosts; nothing was changed");
    (what, format!("go back host by host: {}", ways.collect::<Vec<_>>().join("; ")))
}

/// What of `left` runs somewhere, which makes it bad; a release that nobody met is not.
fn bad(observed: &Observation, left: &BTreeSet<ReleaseId>, target: &ReleaseId) -> Vec<BadRelease> {
    let runs = |id: &ReleaseId| {
        observed.hosts.values().any(|facts| {
            facts.current.as_ref() == Some(id) || facts.instances.iter().any(|one| one.running.as_ref() == Some(id))
        })
    };
    let all = observed.hosts.values().flat_map(|facts| &facts.releases);
    let mut found: Vec<BadRelease> = Vec::new();
    for release in all.filter(|release| left.contains(&release.id) && release.id != *target && runs(&release.id)) {
        if found.iter().all(|known| known.id != release.id) {
            found.push(BadRelease {
                id: release.id.clone(),
                fingerprint: release.fingerprint.clone(),
                time: String::new(),
                who: String::new(),
            });
        }
    }
    found
}

/// Refuses what was rolled back from, under this name or another one.
fn refuse_bad(app: &App, wish: &Wish, observed: &Observation, release: &Release) -> Result<(), Exit> {
    let mut marks = observed.hosts.values().flat_map(|facts| &facts.bad);
    let Some(bad) = marks.find(|bad| bad.id == release.id || bad.fingerprint == release.fingerprint) else {
        return Ok(());
    };
    let who = if bad.who.is_empty() { "somebody" } else { &bad.who };
    let what = if bad.id == release.id {
        format!("release {} is bad: {who} went back from it at {}; nothing was changed", bad.id, bad.time)
    } else {
        format!(
            "this is the same as release {}, which is bad: {who} went back from it at {}; nothing was changed",
            bad.id, bad.time
        )
    };
    let named = if bad.id == release.id { format!(" --release {}", bad.id) } else { String::new() };
    let help = format!(
        "ship one that is mended; if this one is good after all, `shipit deploy {}{named} --force`",
        wish.environment.environment
    );
    Err(app.refuse(Exit::Preflight, &what, Some(&help)))
}

fn not_there(app: &App, wish: &Wish, id: &ReleaseId) -> Exit {
    let help = list_releases(&wish.environment.environment);
    app.refuse(Exit::Preflight, &format!("no host has release {id}"), Some(&help))
}

fn list_releases(environment: &impl std::fmt::Display) -> String {
    format!("`shipit releases {environment}` lists the releases that the hosts have")
}
