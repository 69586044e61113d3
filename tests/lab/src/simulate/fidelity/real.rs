//! The real host: a lab fleet's only one, with nginx and the app, and shipit's scripts run here instead of over ssh.

use std::fs;
use std::time::Duration;

use shipit::config::{self, Demands};
use shipit::driver::Deed;
use shipit::model::{HostFacts, Instance, Recipe, Release, ReleaseProof, Size, StepResult};
use shipit::plan::Action;
use shipit::remote::{Call, Purpose, Site, look, read_facts};
use shipit::transport::Output;

use super::rig::{Rig, sh, shells};
use super::talk::Talk;
use crate::app::{Behaviour, Health};
use crate::fleet::{Fleet, Spec};
use crate::simulate::script::Said;
use crate::simulate::state::Quality;

/// The host, and the guard on it.
pub(super) struct Real {
    fleet: Fleet,
    pub(super) rig: Rig,
    guard: Option<Talk>,
}

impl Real {
    pub(super) fn up(name: &str) -> Self {
        let fleet = Fleet::renew(Spec { hosts: 1, balancers: 0, preboot: true, ..Spec::named(name) }).unwrap();
        let found = config::load(&fleet.layout.project(), "lab", Demands::NONE);
        let (inventory, mut recipe) = found.unwrap_or_else(|errors| panic!("{errors}"));
        recipe.release.keep = 3;
        recipe.health.interval = Duration::from_millis(20);
        recipe.warm.requests = 1;
        if let Some(preboot) = &mut recipe.preboot {
            // Longer than any sequence: what then comes to pass is of another time.
            preboot.keep_warm = Duration::from_hours(24);
        }
        let dir = tempfile::Builder::new().prefix("fidelity").tempdir().unwrap();
        let mut rig = Rig::at(&shells()[0], &fleet.web[0].srv(), dir);
        (rig.inventory, rig.recipe) = (inventory, recipe);
        Self { fleet, rig, guard: None }
    }

    /// A host that serves the last of `releases`, all of which it has confirmed.
    pub(super) fn begin(&mut self, releases: &[Release]) {
        self.kill_guard();
        for instance in self.rig.recipe.instances() {
            self.fleet.appctl("stop", "web1", instance.0).unwrap();
        }
        fs::remove_dir_all(&self.rig.root).unwrap();
        fs::create_dir_all(self.rig.root.join(".shipit/cache")).unwrap();
        for release in releases {
            let directory = self.rig.release(release.id.as_str());
            let seal = format!("{} {}\n", release.fingerprint.as_str(), release.origin);
            fs::write(directory.join(".shipit-release"), seal).unwrap();
            fs::write(directory.join("app.toml"), behaviour(Quality::Good)).unwrap();
        }
        if let Some(last) = releases.last() {
            self.rig.point_current_at(last.id.as_str());
            let confirmed: String = releases.iter().map(|release| format!("{}\n", release.id)).collect();
            fs::write(self.rig.root.join(".shipit/confirmed"), confirmed).unwrap();
            self.start(&self.rig.recipe.app.instances);
        }
        self.rig.perform(&Action::Route { to: self.rig.recipe.app.instances.clone() }).ok();
    }

    /// Has the archive of `release` lie on the host, as an upload does.
    pub(super) fn upload(&self, release: &Release, quality: Quality) {
        let directory = self.rig.dir.path().join(release.id.as_str());
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("app.toml"), behaviour(quality)).unwrap();
        let archive = self.rig.root.join(".shipit/cache").join(release.fingerprint.as_str());
        sh(&directory, &format!("tar -czf '{}' .", archive.display()));
    }

    /// Does the deed as a step of `run`. Whoever waits in it for an app's health does so for as long as `patience` says, and for
    /// `way_back` when it is the guard's turn.
    pub(super) fn perform(&self, run: &str, deed: &Deed, patience: Duration, way_back: Duration) -> Said {
        let (recipe, later) = (self.patient(patience), self.patient(way_back));
        let site = Site { recipe: &recipe, ..self.rig.site() };
        let script = site.script(self.rig.host(), &deed.action).unwrap();
        let site = Site { recipe: &later, ..site };
        let mut script = site.guarded(script, self.rig.host(), run, deed.undo.as_ref());
        if let Some(step) = deed.back {
            script = script.with("BACK", step.to_string());
        }
        match self.rig.run(&script).result {
            StepResult::Ok(_) => Ok(()),
            StepResult::Failed(failure) | StepResult::Unknown(failure) => {
                Err([vec![failure.what], failure.output].concat().join(" | "))
            }
        }
    }

    fn patient(&self, deadline: Duration) -> Recipe {
        let mut recipe = self.rig.recipe.clone();
        recipe.health.deadline = deadline;
        recipe
    }

    pub(super) fn lock(&mut self, run: &str) {
        let root = self.rig.root.to_string_lossy();
        let script = Call { run, holder: &[], again: false }.to_host(&root);
        // Nobody beats here, and nobody comes back.
        let guard = Talk::start(&self.rig, &script.with("LEASE", "600").with("GRACE", "0"));
        guard.hears("held");
        self.guard = Some(guard);
    }

    pub(super) fn forget(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.says("forget");
        }
    }

    /// The run is over in order.
    pub(super) fn farewell(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            guard.says("end");
            guard.hears("over");
        }
    }

    /// shipit is gone; waits until its guard has done what it can.
    pub(super) fn lose_shipit(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            guard.is_cut_off();
            guard.hears("over");
        }
    }

    pub(super) fn kill_guard(&mut self) {
        let Some(guard) = self.guard.take() else { return };
        let line = fs::read_to_string(self.rig.root.join(".shipit/guard/run")).unwrap();
        let pid = line.split(' ').nth(1).unwrap();
        sh(self.rig.dir.path(), &format!("kill -KILL {pid}"));
        guard.hears("over");
    }

    /// What an init system does on `current`, whatever comes of it.
    pub(super) fn start(&self, instances: &[Instance]) {
        for instance in instances {
            let _ = self.fleet.appctl("restart", "web1", instance.0);
        }
    }

    pub(super) fn look(&self) -> HostFacts {
        let mut recipe = self.rig.recipe.clone();
        // The app's own word, beside what the scripts find out about its processes; and quicker.
        recipe.health.release = ReleaseProof::Header("X-Release".to_owned());
        let site = Site { recipe: &recipe, ..self.rig.site() };
        let script = look(&site, self.rig.host(), Purpose::Status, None, Size { bytes: 0, entries: 0 });
        let done = self.rig.run(&script);
        let code = i32::from(!matches!(done.result, StepResult::Ok(_)));
        read_facts(&Output { code, stdout: done.stdout, stderr: done.stderr })
    }

    /// The steps that the guard knows how to undo.
    pub(super) fn undos(&self) -> Vec<usize> {
        let files = fs::read_dir(self.rig.root.join(".shipit/guard/undo")).into_iter().flatten().flatten();
        let mut steps: Vec<usize> = files.filter_map(|file| file.file_name().to_str()?.parse().ok()).collect();
        steps.sort_unstable();
        steps
    }

    pub(super) fn keeps_warm(&self) -> bool {
        self.rig.root.join(".shipit/retire").exists()
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.kill_guard();
        }
    }
}

fn behaviour(quality: Quality) -> String {
    let health = if quality == Quality::Unhealthy { 503 } else { 200 };
    let behaviour = Behaviour {
        boot: Duration::ZERO,
        boot_fails: quality == Quality::WontBoot,
        cold_requests: 0,
        answer: health,
        health: Health::Status(health),
        ..Behaviour::default()
    };
    toml::to_string(&behaviour).unwrap()
}
