//! `Action::Route` against a real nginx: nothing is lost, nothing is left on what is out, and what goes wrong is put back.

mod backend;
mod load;
mod rig;

use std::env;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use shipit::model::{Instance, PrebootSpec, Template};
use shipit::plan::Action;

use backend::Backend;
use load::Load;
use rig::{INCLUDE, LINKS, PATIENT, Rig, eventually, signal};

/// Takes each instance out, kills it, starts it anew and puts it in again, under load.
fn toggle_all(rig: &mut Rig) {
    let all: Vec<usize> = (0..rig.backends.len()).collect();
    let load = Load::start(rig.port);
    for at in &all {
        let others: Vec<_> = all.iter().copied().filter(|one| one != at).collect();
        rig.route(&others);
        assert_eq!(rig.routed(), others);
        rig.backends[*at].kill();
        load.more(30);
        rig.backends[*at].start();
        rig.route(&all);
        assert_eq!(rig.routed(), all);
        load.more(10);
    }
    load.end();
}

#[test]
fn instances_are_toggled_and_killed_without_a_loss_in_every_shell() {
    for shell in [vec!["dash"], vec!["busybox", "sh"], vec!["bash", "--posix"]] {
        let mut rig = Rig::include(2);
        rig.shell = shell;
        toggle_all(&mut rig);
        assert_eq!(rig.reloads(), 4);
    }
}

#[test]
fn three_instances_are_toggled_without_a_loss_and_their_lines_stay_as_they_were_written() {
    let mut rig = Rig::include(3);
    let [a, b, c] = [0, 1, 2].map(|at| rig.backends[at].port);
    let text = format!(
        "# ours\n\n  server\t127.0.0.1:{a} weight=2 max_fails=0; # first\nserver 127.0.0.1:{b}   max_fails=0 ;\r\n\
         server 127.0.0.1:{c} down max_fails=0;\n"
    );
    rig.write("app.upstream", &text);
    assert_eq!(rig.routed(), [0, 1]);
    rig.route(&[2]);
    let out = format!(
        "# ours\n\n  server\t127.0.0.1:{a} weight=2 max_fails=0 down; # first\nserver 127.0.0.1:{b}   max_fails=0 down;\r\n\
         server 127.0.0.1:{c} max_fails=0;\n"
    );
    assert_eq!(rig.read("app.upstream"), out);
    assert_eq!(rig.spread(20), [0, 0, 20]);
    toggle_all(&mut rig);
}

#[test]
fn done_twice_is_done_once() {
    let rig = Rig::include(2);
    rig.route(&[1]);
    let seen = fs::metadata(rig.dir.join("app.upstream")).unwrap().modified().unwrap();
    rig.route(&[1]);
    assert_eq!(rig.reloads(), 1);
    assert_eq!(fs::metadata(rig.dir.join("app.upstream")).unwrap().modified().unwrap(), seen);
    assert_eq!(rig.spread(10), [0, 10]);
    rig.route(&[0]);
    assert_eq!(rig.spread(10), [10, 0]);
}

#[test]
fn nobody_and_strangers_get_no_traffic() {
    let rig = Rig::include(2);
    assert!(rig.refused(&[]).contains("fail nobody would get traffic"));
    let stranger = rig.begin_action(&Action::Route { to: vec![shipit::model::Instance(1)] }).end();
    assert!(stranger.stdout.contains("fail 1 is no instance of the recipe"), "{stranger:?}");
    assert_eq!((rig.routed(), rig.reloads()), (vec![0, 1], 0));
}

#[test]
fn a_reload_that_comes_late_is_waited_for() {
    let late = INCLUDE.replace("reload = \"", "reload = \"(sleep 0.7; exec ").replace("-s reload\"", "-s reload) &\"");
    let rig = Rig::start(2, &late, PATIENT);
    let began = Instant::now();
    rig.route(&[1]);
    assert!(began.elapsed() > Duration::from_millis(700));
    assert_eq!(rig.spread(20), [0, 20]);
}

#[test]
fn a_configuration_that_nginx_refuses_is_put_back_to_the_byte() {
    let mut rig = Rig::include(2);
    let (before, config) = (rig.read("app.upstream"), rig.read("nginx.conf"));
    rig.write("nginx.conf", &config.replace("access_log off;", "access_log off; no_such_thing on;"));
    let load = Load::start(rig.port);
    let told = rig.refused(&[1]);
    assert!(told.contains("refuses its configuration: unknown directive \"no_such_thing\""), "{told}");
    assert_eq!((rig.read("app.upstream"), rig.reloads()), (before, 0));
    load.more(20);
    load.end();
    rig.write("nginx.conf", &config);
    toggle_all(&mut rig);
}

#[test]
fn a_reload_that_nginx_does_not_apply_is_put_back_and_its_reason_told() {
    let mut rig = Rig::include(2);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (before, config) = (rig.read("app.upstream"), rig.read("nginx.conf"));
    let listen = format!("server {{ listen {}; }}", taken.local_addr().unwrap());
    rig.configure(&rig.upstream("app"), &listen);
    let load = Load::start(rig.port);
    let told = rig.refused(&[1]);
    assert!(told.contains("did not apply its configuration: bind() to 127.0.0.1:"), "{told}");
    assert!(told.contains("Address already in use"), "{told}");
    assert_eq!(rig.read("app.upstream"), before);
    load.more(20);
    load.end();
    assert!(rig.spread(20).iter().all(|hits| *hits > 0));
    // The workers that have run this routing all along are still there, so it holds, and the way back needs no reload.
    let reloads = rig.reloads();
    rig.route(&[0, 1]);
    assert_eq!(rig.reloads(), reloads);
    drop(taken);
    rig.write("nginx.conf", &config);
    toggle_all(&mut rig);
}

#[test]
fn an_include_that_somebody_else_changed_is_left_alone() {
    let rig = Rig::include(2);
    let [a, b] = [0, 1].map(|at| format!("server 127.0.0.1:{} max_fails=0;\n", rig.backends[at].port));
    for (text, words) in [
        (format!("{a}{b}keepalive 3;\n"), "line 3 is `keepalive 3;`".to_owned()),
        (format!("{a}server 10.0.0.1:80;\n{b}"), "line 2 is `server 10.0.0.1:80;`, which is no instance".to_owned()),
        (a.clone(), format!("there is no line for `127.0.0.1:{}`", rig.backends[1].port)),
        (format!("{a}{b}{a}"), "which is there twice".to_owned()),
        (format!("{} {b}", a.trim()), "line 1 is".to_owned()),
    ] {
        rig.write("app.upstream", &text);
        let told = rig.refused(&[1]);
        assert!(told.contains("fail somebody else changed") && told.contains(&words), "{told}");
        assert!(told.contains(&format!("`{}`", b.trim())), "{told}");
        assert_eq!(rig.read("app.upstream"), text);
    }
    fs::remove_file(rig.dir.join("app.upstream")).unwrap();
    let told = rig.refused(&[1]);
    assert!(told.contains("is not there") && told.contains("upstream app { include \""), "{told}");
    assert!(!rig.dir.join("app.upstream").exists());
    assert_eq!(rig.reloads(), 0);
}

#[test]
fn nginx_may_be_restarted_in_between_but_has_to_run() {
    let mut rig = Rig::include(2);
    rig.route(&[1]);
    rig.stop_nginx();
    let told = rig.refused(&[0, 1]);
    assert!(told.contains("nginx.pid"), "{told}");
    assert_eq!(rig.routed(), [1]);
    rig.start_nginx();
    rig.route(&[1]);
    assert_eq!(rig.spread(10), [0, 10]);
    toggle_all(&mut rig);
}

#[test]
fn a_request_in_flight_is_waited_for_with_ss_and_without() {
    let tools = tempfile::tempdir().unwrap();
    symlink("/bin/false", tools.path().join("ss")).unwrap();
    let path = format!("PATH={}:{}", tools.path().display(), env::var("PATH").unwrap());
    for shell in [vec!["sh"], vec!["env", path.leak(), "sh"]] {
        let mut rig = Rig::include(2);
        rig.shell = shell;
        rig.route(&[0]);
        let request = rig.get_later("/held");
        eventually("it is in flight", || rig.backends[0].held() == 1);
        let run = rig.begin(&[1]);
        run.says(&format!("progress 1 connection left on {}", rig.backends[0].port));
        assert_eq!(rig.spread(10), [0, 10]);
        assert_eq!(rig.backends[0].held(), 1);
        rig.backends[0].release();
        request.join().unwrap().unwrap();
        assert_eq!(run.end().code, 0);
    }
}

#[test]
fn a_stream_that_does_not_end_puts_the_old_routing_back() {
    let rig = Rig::start(2, INCLUDE, "timeout = \"1s\"");
    rig.route(&[0]);
    let before = rig.read("app.upstream");
    let _stream = rig.get_later("/stream");
    eventually("it streams", || rig.backends[0].held() == 1);
    let told = rig.refused(&[1]);
    assert!(told.contains("fail 1 connection left on") && told.contains("after 1s"), "{told}");
    assert!(told.contains("traffic goes where it went before; let `[drain] timeout`"), "{told}");
    assert_eq!(rig.read("app.upstream"), before);
    assert_eq!(rig.spread(10), [10, 0]);
    rig.backends[1].release();
}

#[test]
fn a_stream_is_left_to_the_restart_where_the_recipe_says_so() {
    let mut rig = Rig::start(2, INCLUDE, "timeout = \"1s\"\nleftover = \"cut\"");
    rig.route(&[0]);
    let stream = rig.get_later("/stream");
    eventually("it streams", || rig.backends[0].held() == 1);
    let output = rig.route(&[1]);
    assert!(output.stdout.contains("said 1 connection left on"), "{output:?}");
    assert_eq!(rig.spread(10), [0, 10]);
    rig.backends[0].kill();
    assert!(stream.join().unwrap().is_err());
}

#[test]
fn two_apps_in_one_nginx_do_not_touch_each_other() {
    let mut rig = Rig::include(2);
    let other = Backend::tcp();
    let theirs = format!("server 127.0.0.1:{};\n", other.port);
    rig.write("other.upstream", &theirs);
    let listen =
        format!("server {{ listen 127.0.0.1:{}; location / {{ proxy_pass http://other; }} }}", rig::free_port());
    rig.configure(&format!("{}\n{}", rig.upstream("app"), rig.upstream("other")), &listen);
    toggle_all(&mut rig);
    assert_eq!(rig.read("other.upstream"), theirs);
}

#[test]
fn a_run_that_was_cut_off_before_the_reload_is_healed_by_the_next() {
    // The second reload command hangs as long as the run is there, and then does nothing.
    let hang = "if test -e {vars.dir}/hang; then touch {vars.dir}/hangs; exec sleep 5; fi";
    let cut = INCLUDE.replace("reload = \"", &format!("reload = \"{hang}; "));
    let rig = Rig::start(2, &cut, PATIENT);
    rig.write("hang", "");
    let run = rig.begin(&[1]);
    eventually("the include is changed", || rig.dir.join("hangs").exists());
    assert_eq!(rig.routed(), [1]);
    run.kill();
    fs::remove_file(rig.dir.join("hang")).unwrap();
    assert_eq!(rig.reloads(), 0);
    // The include says what is wanted already; what runs does not.
    rig.route(&[1]);
    assert_eq!(rig.reloads(), 1);
    assert_eq!(rig.spread(10), [0, 10]);
    rig.route(&[1]);
    assert_eq!(rig.reloads(), 1);
}

#[test]
fn an_include_that_is_newer_than_the_workers_is_applied() {
    let rig = Rig::include(2);
    rig.write("app.upstream", &rig.read("app.upstream").replacen("max_fails=0", "max_fails=0 down", 1));
    let later = std::time::SystemTime::now() + Duration::from_secs(5);
    fs::File::options().write(true).open(rig.dir.join("app.upstream")).unwrap().set_modified(later).unwrap();
    rig.route(&[1]);
    assert_eq!((rig.reloads(), rig.spread(10)), (1, vec![0, 10]));
}

#[test]
fn two_runs_at_the_same_time_come_to_one_end() {
    let rig = Rig::include(2);
    let load = Load::start(rig.port);
    let runs = [rig.begin(&[1]), rig.begin(&[1]), rig.begin(&[1])];
    for run in runs {
        assert_eq!(run.end().code, 0);
    }
    assert_eq!((rig.routed(), rig.reloads()), (vec![1], 1));
    load.end();
}

#[test]
fn links_toggle_without_a_reload_and_without_a_loss() {
    for shell in [vec!["dash"], vec!["busybox", "sh"], vec!["bash", "--posix"]] {
        let mut rig = Rig::start(3, LINKS, PATIENT);
        rig.shell = shell;
        rig.route(&[0, 1, 2]);
        toggle_all(&mut rig);
        rig.route(&[2]);
        assert_eq!(rig.spread(10), [0, 0, 10]);
        assert_eq!(rig.reloads(), 0);
    }
}

#[test]
fn links_wait_for_what_is_in_flight_and_go_back_when_it_does_not_end() {
    let rig = Rig::start(2, LINKS, "timeout = \"1s\"");
    rig.route(&[0]);
    let request = rig.get_later("/held");
    eventually("it is in flight", || rig.backends[0].held() == 1);
    let told = rig.refused(&[1]);
    assert!(told.contains("fail 1 connection left on 4040 after 1s"), "{told}");
    assert_eq!((rig.routed(), rig.spread(10)), (vec![0], vec![10, 0]));
    let run = rig.begin(&[1]);
    run.says("progress 1 connection left on 4040");
    rig.backends[0].release();
    assert_eq!(run.end().code, 0);
    request.join().unwrap().unwrap();
}

#[test]
fn links_of_somebody_else_are_left_alone() {
    let rig = Rig::start(2, LINKS, PATIENT);
    let link = rig.dir.join("nginx-4040.sock");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/nowhere", &link).unwrap();
    let told = rig.refused(&[1]);
    assert!(told.contains("points at /nowhere, which is no instance's socket"), "{told}");
    fs::remove_file(&link).unwrap();
    fs::rename(rig.dir.join("4041.sock"), rig.dir.join("moved")).unwrap();
    let told = rig.refused(&[1]);
    fs::rename(rig.dir.join("moved"), rig.dir.join("4041.sock")).unwrap();
    assert!(told.contains("4041.sock, so instance 4041 can't get traffic"), "{told}");
}

#[test]
fn links_are_right_before_the_app_has_run_if_they_lead_where_it_will_listen() {
    let rig = Rig::start(2, LINKS, PATIENT);
    fs::rename(rig.dir.join("4041.sock"), rig.dir.join("moved")).unwrap();
    let problems = rig.problems();
    fs::rename(rig.dir.join("moved"), rig.dir.join("4041.sock")).unwrap();
    assert!(!problems.iter().any(|one| one.contains("leads nowhere")), "{problems:?}");
    fs::remove_file(rig.dir.join("nginx-4040.sock")).unwrap();
    assert!(rig.problems()[0].contains("nginx-4040.sock leads nowhere -> point it at the app: ln -sfn "));
}

/// What the check says about connections that haproxy keeps, with `config` as nginx's configuration.
fn note_on(rig: &mut Rig, config: &str) -> String {
    let notes = rig.notes_with(config);
    assert!(notes.len() < 2, "{notes:?}");
    notes.into_iter().next().unwrap_or_default()
}

#[test]
fn a_check_notes_what_a_reload_costs_behind_haproxy() {
    let mut rig = Rig::include(2);
    let (upstream, pass) = (rig.upstream("app"), "location / { proxy_pass http://app/x; }");
    for (server, noted) in [
        (format!("server {{ listen 127.0.0.1:1; {pass} }}"), true),
        (format!("server {{ listen 127.0.0.1:1; keepalive_timeout 65; {pass} }}"), true),
        (format!("server {{ listen 127.0.0.1:1; keepalive_timeout 0; {pass} }}"), false),
        ("server { listen 127.0.0.1:1; location / { keepalive_timeout 0s; proxy_pass http://app; } }".to_owned(), false),
        (format!("keepalive_timeout 0; server {{ listen 127.0.0.1:1; {pass} }}"), false),
        (format!("keepalive_timeout 0; server {{ listen 127.0.0.1:1; keepalive_timeout 5; {pass} }}"), true),
        (format!("keepalive_timeout 0; server {{ listen 127.0.0.1:1; {pass} }} server {{ keepalive_timeout 9; }}"), false),
        ("server { listen 127.0.0.1:1; location / { proxy_pass http://apple; } } upstream apple { server 127.0.0.1:9; }".to_owned(), false),
    ] {
        let note = note_on(&mut rig, &format!("{upstream} {server}"));
        assert_eq!(note.contains("the server that listens on 127.0.0.1:1"), noted, "{server}: {note}");
        assert_eq!(note.contains("`keepalive_timeout 0;`; or"), noted, "{server}: {note}");
    }
}

#[test]
fn the_lines_that_a_check_names_send_traffic_where_it_goes() {
    let mut rig = Rig::include(2);
    let [first, second] = [0, 1].map(|at| Instance(rig.backends[at].port));
    rig.recipe.app.instances = vec![first];
    rig.recipe.preboot = Some(PrebootSpec {
        instances: vec![second],
        stop: Template::parse("true {port}").unwrap(),
        keep_warm: Duration::ZERO,
    });
    for (line, live, idle) in [(first, first, second), (second, second, first)] {
        rig.write("app.upstream", &format!("server 127.0.0.1:{line} max_fails=0;\n"));
        let [problem] = &rig.problems()[..] else { panic!("{:?}", rig.problems()) };
        assert!(problem.contains(&format!("`server 127.0.0.1:{live} max_fails=0;`")), "{problem}");
        assert!(problem.contains(&format!("`server 127.0.0.1:{idle} max_fails=0 down;`")), "{problem}");
    }
}

#[test]
fn a_check_finds_what_stands_in_the_way() {
    let rig = Rig::include(2);
    assert_eq!(rig.problems(), [""; 0]);
    let config = rig.read("nginx.conf");
    rig.write("app.upstream", &rig.read("app.upstream").replacen(" max_fails=0", "", 1));
    assert!(rig.problems()[0].contains("has no max_fails=0"), "{:?}", rig.problems());
    rig.write("app.upstream", "server 10.0.0.1:1;\n");
    assert_eq!(rig.problems().iter().filter(|one| one.contains("is not as it has to be: ")).count(), 3);
    rig.configure(&format!("upstream app {{ server 127.0.0.1:{}; }}", rig.backends[0].port), "");
    assert!(rig.problems().iter().any(|one| one.contains("nginx does not include")), "{:?}", rig.problems());
    rig.write("nginx.conf", &config.replace("events", "worker_shutdown_timeout 3s; events"));
    assert!(
        rig.problems().iter().any(|one| one.contains("after 3s, and the recipe lets them take 20s")),
        "{:?}",
        rig.problems()
    );
    rig.write("nginx.conf", "no_such_thing;");
    assert!(rig.problems().iter().any(|one| one.contains("fails: unknown directive")), "{:?}", rig.problems());
    fs::remove_file(rig.dir.join("app.upstream")).unwrap();
    assert!(rig.problems()[0].contains("is not there -> write into it"), "{:?}", rig.problems());
    signal("QUIT", rig.master());
}
