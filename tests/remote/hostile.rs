//! Data that would like to be commands.

use std::fs;
use std::time::Duration;

use shipit::model::{Moment, Size, Source, Task, Template};
use shipit::plan::Action;
use shipit::remote::{Purpose, look, read_facts};
use shipit::transport::Output;

use crate::app::{App, listen};
use crate::rig::{COMMIT, NEW, Rig, id, release_of, sh, shells};

/// Each would make the canary in a place that takes it for shell.
const NASTY: [&str; 8] = [
    "$(touch CANARY)",
    "`touch CANARY`",
    "'; touch CANARY; '",
    "\"; touch CANARY; \"",
    "a\ntouch CANARY\n",
    "-n -e --output=CANARY",
    "\\$(touch CANARY) \\",
    "a\tb  c * ? [x] ~ é \u{1b}[2J %s \\n ${HOME} #",
];

#[test]
fn values_arrive_as_they_are_and_nothing_else_happens() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        let canary = rig.dir.path().join("CANARY");
        let nasty = NASTY.map(|text| text.replace("CANARY", &canary.display().to_string()));
        let release = rig.release(NEW);
        let (listener, port) = listen("127.0.0.1");
        let _app = App::start(&release, &listener);
        drop(listener);
        rig.instances(&[port]);
        for value in &nasty {
            rig.inventory.vars.insert("nasty".to_owned(), value.clone());
            let template = |text: &str| Template::parse(text).unwrap();
            rig.recipe.health.url = template("http://127.0.0.1:{port}/say/200/{vars.nasty}");
            rig.recipe.health.deadline = Duration::from_secs(1);
            rig.recipe.warm.urls = vec![template("http://127.0.0.1:{port}/{vars.nasty}")];
            rig.recipe.app.restart =
                template("printf '%s|' {vars.nasty} \"$SHIPIT_VAR_NASTY\" >\"$SHIPIT_ROOT/seen\"; exit 3");
            rig.recipe.app.logs = Some(template("echo {vars.nasty}"));
            rig.recipe.release.source = Source::Git { url: value.clone(), reference: value.clone() };
            rig.recipe.release.linked_dirs = vec![value.replace(['/', '\n'], "_")];
            rig.recipe.release.linked_files = vec![value.replace('/', "_")];
            rig.recipe.tasks = vec![Task {
                name: "t".parse().unwrap(),
                at: Moment::Updated,
                run: template("printf '%s|' {vars.nasty} \"$NASTY\" >\"$SHIPIT_ROOT/seen\""),
                role: "app".parse().unwrap(),
                once: true,
                directory: None,
                environment: [("NASTY".to_owned(), template("{vars.nasty}"))].into(),
                timeout: Duration::from_secs(9),
            }];
            let both = format!("{value}|{value}|");
            let seen = || fs::read_to_string(rig.root.join("seen")).unwrap();
            rig.perform(&Action::Task { name: "t".parse().unwrap(), release: id(NEW) }).ok();
            assert_eq!(seen(), both, "{}", shell.name);
            fs::remove_dir_all(rig.root.join(".shipit/once")).unwrap();
            rig.recipe.app.instances = vec![shipit::model::Instance(port)];
            rig.health(NEW);
            rig.perform(&Action::Warm { release: id(NEW), instances: rig.recipe.app.instances.clone() });
            let facts = rig.run(&look(&rig.site(), rig.host(), Purpose::Deploy, None, Size::default()));
            assert!(read_facts(&Output { code: 0, stdout: facts.stdout, stderr: String::new() }).instances.len() == 1);
            rig.instances(&[listen("127.0.0.1").1]);
            assert_eq!(rig.activate(Some(NEW)).code(), Some(3));
            let seen = || fs::read_to_string(rig.root.join("seen")).unwrap();
            assert_eq!(seen(), both, "{}", shell.name);
            rig.instances(&[port]);
            let other = release_of("20261121-000000-00000000", COMMIT, value);
            rig.perform(&Action::Stage { release: other.clone() }).failed();
            rig.recipe.release.source = Source::Url { url: value.clone(), sha256: "0".repeat(64).parse().unwrap() };
            rig.perform(&Action::Stage { release: release_of("20261121-000000-00000000", &"0".repeat(64), value) })
                .failed();
            // A release whose origin is such a text.
            rig.recipe.release.source = Source::Archive("web.tar".into());
            rig.recipe.release.linked_files.clear();
            sh(
                rig.dir.path(),
                "mkdir -p content && echo >content/file && tar -cf web.tar -C content . && mkdir -p app/.shipit/cache && \
                cp web.tar app/.shipit/cache/$(sha256sum <web.tar | cut -c -64)",
            );
            let digest = sh(rig.dir.path(), "sha256sum <web.tar | cut -c -64");
            let other = release_of("20261121-000000-00000000", &digest, value);
            rig.perform(&Action::Stage { release: other.clone() }).ok();
            let facts = rig.run(&look(&rig.site(), rig.host(), Purpose::Status, None, Size::default()));
            let facts = read_facts(&Output { code: 0, stdout: facts.stdout, stderr: String::new() });
            let origin = value.replace('\n', " ");
            assert_eq!(facts.releases.last().unwrap().origin.trim(), origin.trim(), "{}", shell.name);
            fs::remove_dir_all(rig.root.join("releases").join(other.id.as_str())).unwrap();
            assert!(!canary.exists() && !rig.root.join("CANARY").exists(), "{}: {value}", shell.name);
            rig.instances(&[port]);
        }
    }
}

#[test]
fn an_address_is_no_argument_that_all_on_the_host_can_read() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        let (listener, port) = listen("127.0.0.1");
        let _app = App::start(&rig.release(NEW), &listener);
        drop(listener);
        rig.instances(&[port]);
        let url = format!("http://127.0.0.1:{port}/secret/{}\"\\sesame", shell.name);
        let template = Template::parse(&url).unwrap();
        (rig.recipe.health.url, rig.recipe.warm.urls) = (template.clone(), vec![template]);
        let instances = rig.recipe.app.instances.clone();
        rig.health(NEW).ok();
        rig.perform(&Action::Warm { release: id(NEW), instances }).ok();
        rig.recipe.release.source = Source::Url { url, sha256: "0".repeat(64).parse().unwrap() };
        let other = release_of("20261121-000000-00000000", &"0".repeat(64), "url");
        let failed = rig.perform(&Action::Stage { release: other }).failed();
        assert!(failed.starts_with("the archive has the sha256"), "{failed}");
    }
}
