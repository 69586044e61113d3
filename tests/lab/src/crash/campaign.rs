//! One strategy, struck in one way, at every step.

use std::thread;
use std::time::Duration;

use super::diary::Diary;
use super::end::End;
use super::point::{Point, points};
use super::struck::{Run, struck};
use super::table::Row;
use super::then::{Stand, Then, elsewhere};
use super::whole::{await_nobody, await_whole, is_confirmed, one_release};
use super::{Error, Fleet, Options, Result, Shipit};
use crate::app::{Behaviour, Stop};
use crate::fleet::Spec;
use crate::load::{Load, Mix};
use crate::shipit::{Origin, Outcome, Output};

/// By then every server must be back, and every instance in.
const WHOLE_WITHIN: Duration = Duration::from_secs(20);

/// haproxy sends requests to a new server after two checks, half a second apart.
const SERVING_WITHIN: Duration = Duration::from_secs(20);

/// A drain lasts as long as the slowest request, and some of these are in flight at every moment. That there are few more of
/// them leaves the processors to what is tried.
fn load(fleet: &Fleet) -> Result<Load> {
    let (slow_for, think) = (Duration::from_millis(400), Duration::from_millis(100));
    Load::start_mix(
        fleet.frontends(),
        Mix { keep_alive: 4, one_shot: 2, post: 2, slow: 6, streams: 0, slow_for, think },
    )
}

/// An app that boots soon, and so that there is a time in which it does not serve; and that loses what is in flight when it is stopped.
fn behaviour() -> Behaviour {
    let (boot, cold) = (Duration::from_millis(200), Duration::from_millis(50));
    Behaviour { stop: Stop::Abrupt, boot, cold, cold_requests: 2, ..Behaviour::default() }
}

/// A fleet under load, and what is known of it.
struct Campaign<'a> {
    options: &'a Options,
    shipit: &'a Shipit,
    strategy: &'a str,
    end: End,
    fleet: Fleet,
    row: Row,
    diary: Diary,
    /// The release that all of it runs, by its version.
    version: String,
}

/// All of it: a fleet of its own, with load from the first release to the last.
pub(super) fn campaign(options: &Options, shipit: &Shipit, strategy: &str, end: End, number: usize) -> Result<Row> {
    let name = format!("crash-{strategy}-{}", end.word());
    let spec = Spec {
        hosts: options.hosts,
        balancers: options.balancers,
        preboot: strategy == "preboot",
        ..Spec::named(&name)
    };
    let fleet = Fleet::renew(spec)?;
    fleet.write_app(&behaviour(), "0")?;
    shipit.deploy_first(&fleet, Output::Kept)?;
    fleet.await_servers_up(SERVING_WITHIN)?;
    let load = load(&fleet)?;
    let (row, diary) = (Row::new(strategy, end), Diary::open(&name)?);
    let mut campaign = Campaign { options, shipit, strategy, end, fleet, row, diary, version: String::new() };
    let reference = campaign.reference()?;
    let mut points = points(&reference.stdout, reference.lasted);
    points.retain(|point| options.at.as_ref().is_none_or(|word| point.name.contains(word)));
    for point in chosen(points, options.points, number) {
        campaign.at(&point)?;
    }
    // A loss is noticed by whoever waits for an answer.
    thread::sleep(Duration::from_secs(1));
    campaign.row.load(&load.stop()?);
    campaign.fleet.down()?;
    Ok(campaign.row)
}

/// All of the points; or so many, spread over them, and others in the next campaign.
fn chosen(all: Vec<Point>, count: Option<usize>, number: usize) -> Vec<Point> {
    let Some(count) = count.filter(|count| *count < all.len()) else { return all };
    let of = all.len();
    // 0.618: so that what a few campaigns have taken leaves no wide gaps.
    let places: Vec<usize> = (0..count).map(|one| (one * of / count + number * of * 618 / 1000) % of).collect();
    all.into_iter().enumerate().filter(|(at, _)| places.contains(at)).map(|(_, point)| point).collect()
}

impl Campaign<'_> {
    fn deploy(&self) -> [&str; 7] {
        ["deploy", "lab", "--strategy", self.strategy, "--yes", "--output", "jsonl"]
    }

    /// A deploy that nothing befalls.
    fn reference(&mut self) -> Result<Outcome> {
        self.write("reference")?;
        let outcome = self.shipit.run(&self.fleet, &self.deploy(), Output::Kept)?.success()?;
        "reference".clone_into(&mut self.version);
        Ok(outcome)
    }

    fn write(&self, version: &str) -> Result<()> {
        self.fleet.write_app(&behaviour(), version)
    }

    /// What happens at one point, and afterwards.
    fn at(&mut self, point: &Point) -> Result<()> {
        self.diary.point(&point.name);
        let tried = self.strike(point).and_then(|(stand, first)| self.then(point, &stand, &first));
        if let Err(error) = tried {
            self.wrong(point, &error.to_string());
            // So that what is tried next is about itself.
            self.write("mended")?;
            let _ = self.shipit.run(&self.fleet, &self.deploy(), Output::Kept);
            self.version = one_release(&self.fleet)?;
        }
        Ok(())
    }

    /// The deploy that something befalls, and whether the fleet is whole again.
    fn strike(&mut self, point: &Point) -> Result<(Stand, Outcome)> {
        let (ours, others) = (format!("cut-{}", point.turn), format!("second-{}", point.turn));
        self.write(&others)?;
        let elsewhere = elsewhere(&self.fleet, "second", true)?;
        self.write(&ours)?;
        let waits = self.end == End::KillSecond || point.turn.is_multiple_of(2);
        let mut second = vec!["deploy", "lab", "--strategy", self.strategy, "--yes"];
        if self.end == End::Second && waits {
            second.extend(["--lock-wait", "2m"]);
        }
        let first = Run { origin: Origin::of(&self.fleet), arguments: self.deploy().to_vec() };
        let second = Run { origin: elsewhere, arguments: second };
        let struck = struck(self.shipit, &self.fleet, &first, &second, self.end, point)?;
        self.diary.ran(&struck.first);
        self.diary.note(&format!("struck {} processes", struck.blows.hit));
        self.row.ended(struck.after, struck.first.code);
        if !self.end.codes().contains(&struck.first.code) || (struck.first.code >= 0 && !struck.first.left.is_empty()) {
            let Outcome { code, left, .. } = &struck.first;
            self.wrong(point, &format!("it ended with {code}, left {left:?}:\n{}", struck.first.tail()));
        }
        let mut stand = Stand { before: self.version.clone(), wanted: ours, confirmed: None };
        if let Some(second) = &struck.second {
            self.second(point, &struck.first, second, waits);
            if struck.first.code == 0 && second.code == 0 {
                stand.before.clone_from(&stand.wanted);
            }
            if second.code == 0 {
                let first = std::mem::replace(&mut stand.wanted, others);
                stand.confirmed = is_confirmed(&self.fleet, &first).then_some(first);
            }
        }
        match await_whole(&self.fleet, WHOLE_WITHIN) {
            Ok(()) => self.row.whole(struck.ended.elapsed()),
            Err(error) => self.wrong(point, &error.to_string()),
        }
        if struck.second.is_none() {
            self.truth(point, &struck.first, &stand);
        }
        Ok((stand, struck.first))
    }

    /// Of two deploys at once one gets through, and the other one when it waits.
    fn second(&mut self, point: &Point, first: &Outcome, second: &Outcome, waits: bool) {
        self.diary.ran(second);
        let right = match (first.code, second.code) {
            (_, 0) if waits => true,
            (0, 12) | (12, 0) => !waits,
            // The first one was through already.
            (0, 0) => true,
            _ => false,
        };
        if !right {
            let (code, said) = (second.code, second.tail());
            self.wrong(point, &format!("the second deploy ended with {code}, the first with {}:\n{said}", first.code));
        }
    }

    /// Whether the exit code says what the fleet says.
    fn truth(&mut self, point: &Point, outcome: &Outcome, stand: &Stand) {
        let found = one_release(&self.fleet);
        let lie = match (outcome.code, &found) {
            (0, Ok(version)) => *version != stand.wanted,
            (20, Ok(version)) => *version != stand.before,
            (0 | 20, Err(_)) => true,
            _ => false,
        };
        if lie {
            let found = found.unwrap_or_else(|error| error.to_string());
            self.wrong(point, &format!("it ended with {}, and all runs {found}", outcome.code));
        }
    }

    /// What is run afterwards, without an unlock, and where that leads.
    fn then(&mut self, point: &Point, stand: &Stand, first: &Outcome) -> Result<()> {
        let then = self.options.then[point.turn % self.options.then.len()];
        // What failed was not cut off, and there is nothing to resume: it says itself what to do.
        let failed = [20, 21, 22].contains(&first.code);
        let then = if failed && then == Then::Resume { Then::Deploy } else { then };
        let newest = format!("after-{}", point.turn);
        self.write(&newest)?;
        let mut outcome = then.run(self.shipit, &self.fleet, self.strategy)?;
        self.diary.ran(&outcome);
        let mut leads = then;
        if then == Then::Resume && !point.staged && outcome.code == 11 {
            // The release is not on all hosts, and can only be made here: that is what it says.
            leads = Then::Deploy;
            outcome = leads.run(self.shipit, &self.fleet, self.strategy)?;
            self.diary.ran(&outcome);
        }
        if outcome.code != 0 {
            self.wrong(point, &format!("`{}` ended with {}:\n{}", outcome.command, outcome.code, outcome.tail()));
        }
        await_whole(&self.fleet, WHOLE_WITHIN)
            .and_then(|()| await_nobody(&self.fleet, WHOLE_WITHIN))
            .map_err(|error| Error::Failed(format!("after `{}`: {error}", outcome.command)))?;
        self.version = one_release(&self.fleet)?;
        if !leads.may_lead_to(&self.version, stand, &newest, point.staged) {
            let (command, version) = (&outcome.command, &self.version);
            let what = format!("`{command}` led to {version}: {stand:?}");
            self.wrong(point, &what);
        }
        Ok(())
    }

    fn wrong(&mut self, point: &Point, what: &str) {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default();
        let what = format!("{} (load {load}): {what}", point.name);
        eprintln!("{} {}: {what}", self.strategy, self.end.name());
        self.diary.note(&format!("WRONG {what}"));
        self.row.wrong(what);
    }
}
