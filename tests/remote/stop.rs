//! The end of instances that get no traffic: now, or later by the host itself.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use shipit::model::{HotswapSpec, IncludeSpec, Instance, Leftover, PrebootSpec, Template};
use shipit::plan::Action;

use crate::app::{App, listen};
use crate::rig::{Done, NEW, Rig, Shell, eventually, id, shells};

/// A host with a live and an idle instance, and the app that runs in the idle one.
struct Host {
    rig: Rig,
    idle: Instance,
    _app: App,
}

impl Host {
    fn new(shell: &Shell) -> Self {
        let template = |text: &str| Template::parse(text).unwrap();
        let mut rig = Rig::new(shell);
        let new = rig.release(NEW);
        rig.point_current_at(NEW);
        fs::create_dir_all(rig.root.join(".shipit")).unwrap();
        let (_, live) = listen("127.0.0.1");
        let (listener, idle) = listen("127.0.0.1");
        let app = App::start(&new, &listener);
        rig.instances(&[live]);
        fs::write(rig.root.join(format!("{idle}.pid")), format!("{}\n", app.pid())).unwrap();
        rig.recipe.hotswap = Some(HotswapSpec::Include(IncludeSpec {
            upstream: template("{vars.root}/app.upstream"),
            server: template("127.0.0.1:{port}"),
            test: template("true"),
            reload: template("true"),
            pid: template("/nowhere"),
            error_log: template("/nowhere"),
        }));
        rig.recipe.preboot = Some(PrebootSpec {
            instances: vec![Instance(idle)],
            stop: template("read -r pid <{vars.root}/{port}.pid && kill -9 \"$pid\""),
            keep_warm: Duration::ZERO,
        });
        let host = Self { rig, idle: Instance(idle), _app: app };
        host.route(live);
        host
    }

    /// Has nginx's include send all traffic to one instance.
    fn route(&self, to: u16) {
        let line = |one: &Instance| {
            let down = if one.0 == to { "" } else { " down" };
            format!("server 127.0.0.1:{one} max_fails=0{down};\n")
        };
        let text: String = self.rig.recipe.instances().iter().map(line).collect();
        fs::write(self.rig.root.join("app.upstream"), text).unwrap();
    }

    fn stop(&self, after: u64) -> Done {
        self.rig.perform(&Action::Stop { instances: vec![self.idle], after: Duration::from_secs(after) })
    }

    fn runs(&self) -> bool {
        // Who was killed is there until somebody asks how it ended, but listens no more.
        TcpListener::bind(("127.0.0.1", self.idle.0)).is_err()
    }

    /// Whether the host has nobody left that would stop an instance.
    fn is_quiet(&self) -> bool {
        let mark = self.rig.root.join(".shipit/retire.sh").display().to_string();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|one| fs::read_to_string(one.path().join("cmdline")).ok());
        lines.into_iter().all(|line| !line.contains(&mark))
    }
}

#[test]
fn an_idle_instance_is_stopped_and_one_with_traffic_never() {
    for shell in shells() {
        let host = Host::new(&shell);
        host.route(host.idle.0);
        for after in [0, 1] {
            assert!(host.stop(after).failed().contains("nginx sends traffic to instance"), "{}", shell.name);
        }
        fs::remove_file(host.rig.root.join("app.upstream")).unwrap();
        assert!(host.stop(0).failed().contains("it can not be told where nginx sends traffic"), "{}", shell.name);
        assert!(host.runs());
        host.route(host.rig.recipe.app.instances[0].0);
        assert_eq!(host.stop(0).ok(), "", "{}", shell.name);
        assert!(!host.runs(), "{}", shell.name);
    }
}

#[test]
fn later_the_host_stops_it_by_itself_unless_traffic_has_come_back() {
    for shell in shells() {
        let host = Host::new(&shell);
        assert_eq!(host.stop(1).ok(), "", "{}", shell.name);
        assert!(host.runs());
        eventually("it is stopped", || !host.runs());
        eventually("nobody is left", || host.is_quiet());
        assert!(!host.rig.root.join(".shipit/retire").exists(), "{}", shell.name);

        let host = Host::new(&shell);
        host.stop(1).ok();
        host.route(host.idle.0);
        eventually("nobody is left", || host.is_quiet());
        assert!(host.runs(), "{}", shell.name);
    }
}

#[test]
fn a_deploy_that_needs_the_instance_takes_the_reason_away() {
    for shell in shells() {
        let host = Host::new(&shell);
        // Long enough for a busy machine to come to the deploy.
        host.stop(6).ok();
        let action = Action::Activate { release: Some(id(NEW)), instances: vec![host.idle] };
        assert_eq!(host.rig.perform(&action).ok(), "", "{}", shell.name);
        eventually("nobody is left", || host.is_quiet());
        assert!(host.runs(), "{}", shell.name);
    }
}

#[test]
fn what_is_left_on_it_is_cut_off_or_waited_for() {
    for shell in shells() {
        let mut host = Host::new(&shell);
        host.rig.recipe.drain.timeout = Duration::from_secs(1);
        let stream = TcpStream::connect(("127.0.0.1", host.idle.0)).unwrap();
        let clear = Action::Clear { instances: vec![host.idle] };
        assert!(host.rig.perform(&clear).failed().contains("1 connection left on"), "{}", shell.name);
        assert!(host.stop(0).ok().ends_with("stopped when they end"), "{}", shell.name);
        assert!(host.runs());
        drop(stream);
        eventually("it is stopped", || !host.runs());

        let mut host = Host::new(&shell);
        host.rig.recipe.drain.timeout = Duration::from_secs(1);
        host.rig.recipe.drain.leftover = Leftover::Cut;
        let _stream = TcpStream::connect(("127.0.0.1", host.idle.0)).unwrap();
        assert!(host.stop(0).ok().ends_with("cut off"), "{}", shell.name);
        assert!(!host.runs(), "{}", shell.name);
    }
}
