//! When something befalls a deploy: which of its moments are worth it.
//!
//! They are read off a deploy that nothing befell. What a fleet is in the middle of is told by the steps that its hosts are at, and
//! a step is either not begun, or under way, or done; that one is done and that the next one of the same host is begun is one
//! moment. Hence, for each step, *as it begins* and *in the middle of it*: by then the host's guard knows how to undo it, and some
//! of it is done. Where hosts go one after the other, each of them at each step is a moment. Where they go at once, each with a
//! guard of its own, what matters is whether some have come to a step and others have not: the first host that begins it, and the
//! last one. Besides: while guards are called, when they stand and nothing is begun, and when all is done and they still stand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

/// Shorter steps have no middle that could be hit.
const HAS_A_MIDDLE: Duration = Duration::from_millis(60);

/// A moment of a deploy.
#[derive(Debug, Clone)]
pub(super) struct Point {
    mark: Mark,
    /// So long after it.
    after: Duration,
    /// In words.
    pub(super) name: String,
    /// Its number among all points, shifted with each host: whatever is done in turn at each point comes to each step in the end.
    pub(super) turn: usize,
    /// Whether the deploy has begun to put the release into service.
    pub(super) staged: bool,
}

/// A step by its verb, and which one of that verb it is in its lane. By its number it would be another one where a host has more to
/// do than in the deploy that points are read off.
type StepName = (String, usize);

/// What shipit tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mark {
    Start,
    Planned,
    /// A host begins a step of a wave, as the so-manieth that does.
    Begun {
        wave: u64,
        step: StepName,
        rank: usize,
    },
    Finish,
}

/// A line of shipit's that matters here.
#[derive(Debug)]
struct Heard {
    at: Duration,
    mark: Mark,
    lane: u64,
    host: Option<String>,
    /// How long that step took.
    took: Duration,
}

/// Hears what shipit prints.
#[derive(Debug, Default)]
struct Reader {
    /// How often each verb was begun in a lane of a wave.
    verbs: BTreeMap<(u64, u64, String), usize>,
    /// How many hosts have begun each step of a wave.
    begun: BTreeMap<(u64, StepName), usize>,
    heard: Vec<Heard>,
}

impl Reader {
    fn hear(&mut self, news: &str) {
        news.lines().filter_map(|line| serde_json::from_str(line).ok()).for_each(|line: Value| self.hear_line(&line));
    }

    fn hear_line(&mut self, told: &Value) {
        let word = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        let at = Duration::from_secs_f64(told["elapsed"].as_f64().unwrap_or_default().max(0.0));
        let (wave, lane) = (told["at"]["wave"].as_u64().unwrap_or_default(), told["at"]["lane"].as_u64());
        let mark = match (&*word("type"), &*word("command"), &*word("fact")) {
            ("planned", ..) => Mark::Planned,
            (_, "finish", _) => Mark::Finish,
            (_, "perform", _) => {
                let nth = self.verbs.entry((wave, lane.unwrap_or_default(), word("verb"))).or_default();
                *nth += 1;
                let step = (word("verb"), *nth);
                let rank = self.begun.entry((wave, step.clone())).or_default();
                *rank += 1;
                Mark::Begun { wave, step, rank: *rank }
            }
            (_, _, "step-finished") => {
                let of_it = |heard: &&mut Heard| heard.is_in(wave) && Some(heard.lane) == lane;
                if let Some(heard) = self.heard.iter_mut().rev().find(of_it) {
                    heard.took = at.saturating_sub(heard.at);
                }
                return;
            }
            _ => return,
        };
        let host = told["host"].as_str().map(str::to_owned);
        let lane = lane.unwrap_or_default();
        self.heard.push(Heard { at, mark, lane, host, took: Duration::ZERO });
    }

    /// Whether the hosts of a wave go at once, and how many of them there are.
    fn shape(&self, wave: u64) -> (bool, usize) {
        let its: Vec<&Heard> = self.heard.iter().filter(|heard| heard.is_in(wave)).collect();
        let lanes: BTreeSet<u64> = its.iter().map(|heard| heard.lane).collect();
        let first = its.first().map(|heard| heard.lane);
        let (own, others): (Vec<&Heard>, Vec<&Heard>) = its.into_iter().partition(|heard| Some(heard.lane) == first);
        let end = own.iter().map(|heard| heard.at + heard.took).max().unwrap_or_default();
        (others.first().is_none_or(|other| other.at < end), lanes.len())
    }
}

impl Heard {
    fn is_in(&self, its: u64) -> bool {
        matches!(self.mark, Mark::Begun { wave, .. } if wave == its)
    }
}

/// The moments of a deploy that printed `stdout` and took so long.
pub(super) fn points(stdout: &str, lasted: Duration) -> Vec<Point> {
    let mut reader = Reader::default();
    reader.hear(stdout);
    let told = reader.heard.last().map(|heard| heard.at).unwrap_or_default();
    let silent = lasted.saturating_sub(told);
    let mut points = Vec::new();
    let mut add = |mark: &Mark, after: Duration, name: String, turn: usize, staged| {
        let turn = points.len() + turn;
        points.push(Point { mark: mark.clone(), after, name, turn, staged });
    };
    add(&Mark::Start, silent / 3, "as it connects".to_owned(), 0, false);
    add(&Mark::Start, silent * 2 / 3, "as it calls the guards".to_owned(), 0, false);
    for heard in &reader.heard {
        match &heard.mark {
            Mark::Start => {}
            Mark::Planned => add(&heard.mark, Duration::ZERO, "when it has planned".to_owned(), 0, false),
            Mark::Finish => add(&heard.mark, Duration::ZERO, "when all is done".to_owned(), 0, true),
            Mark::Begun { wave, step: (verb, nth), rank } => {
                let (at_once, hosts) = reader.shape(*wave);
                let (staged, step) = (*wave > 0, if *nth > 1 { format!("{verb} {nth}") } else { verb.clone() });
                let name = match (at_once, *rank) {
                    (true, 1) => format!("as the first host begins: {step}"),
                    (true, _) => format!("as the last host begins: {step}"),
                    (false, _) => format!("as host {rank} begins: {step}"),
                };
                if !at_once || *rank == 1 || *rank == hosts {
                    add(&heard.mark, Duration::ZERO, name, *rank, staged);
                }
                // Another host at each step, where they go one after the other.
                let order = reader.heard.iter().filter(|one| one.is_in(*wave) && one.lane == heard.lane);
                let at = order.take_while(|one| one.at < heard.at).count();
                let has_turn = if at_once { *rank == 1 } else { (rank + at).is_multiple_of(hosts) };
                if has_turn && heard.took >= HAS_A_MIDDLE {
                    add(&heard.mark, heard.took / 2, format!("amid {step} of host {rank}"), *rank, staged);
                }
            }
        }
    }
    points
}

/// Waits for a point.
#[derive(Debug)]
pub(super) struct Awaited<'a> {
    point: &'a Point,
    reader: Reader,
    /// Since when the mark is passed.
    passed: Option<Duration>,
}

impl<'a> Awaited<'a> {
    pub(super) fn new(point: &'a Point) -> Self {
        Self { point, reader: Reader::default(), passed: None }
    }

    /// Whether it has come, in a run that lasts so long and has printed this since it was asked last.
    pub(super) fn has_come(&mut self, lasts: Duration, news: &str) -> bool {
        self.reader.hear(news);
        let passed = self.point.mark == Mark::Start || self.mark().is_some();
        if self.passed.is_none() && passed {
            self.passed = Some(if self.point.mark == Mark::Start { Duration::ZERO } else { lasts });
        }
        self.passed.is_some_and(|at| lasts >= at + self.point.after)
    }

    /// The host that it is about, if it is about one.
    pub(super) fn host(&self) -> Option<&str> {
        self.mark()?.host.as_deref()
    }

    fn mark(&self) -> Option<&Heard> {
        self.reader.heard.iter().find(|heard| heard.mark == self.point.mark)
    }
}
