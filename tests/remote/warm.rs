//! Requests before traffic.

use std::time::Duration;

use shipit::model::Template;
use shipit::plan::Action;

use crate::app::{App, listen};
use crate::rig::{Done, NEW, Rig, id, shells};

fn warm(rig: &mut Rig, port: u16, paths: &[&str]) -> Done {
    rig.instances(&[port]);
    let url = |path: &&str| Template::parse(&format!("http://127.0.0.1:{{port}}/{path}")).unwrap();
    rig.recipe.warm.urls = paths.iter().map(url).collect();
    rig.recipe.warm.timeout = Duration::from_secs(1);
    rig.perform(&Action::Warm { release: id(NEW), instances: rig.recipe.app.instances.clone() })
}

#[test]
fn the_last_answer_decides() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        let (listener, port) = listen("127.0.0.1");
        let mut answer = |path: &str| {
            let _app = App::start(rig.dir.path(), &listener);
            warm(&mut rig, port, &[path])
        };
        assert!(answer("first/2").ok().starts_with("last answer in"));
        answer("say/404").ok();
        answer("say/302?{release}").ok();
        assert!(answer("first/3").failed().contains("with HTTP 500 at request 3"));
        assert!(answer("slow/2000").failed().contains("no answer in time"));
        assert!(answer("cut").failed().contains("transfer closed"));
        let failed = answer("say/503?{release}").failed();
        assert!(failed.contains(&format!("/say/503?{NEW} with")), "{failed}");
    }
}

#[test]
fn each_address_is_warmed_and_each_failure_told() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        let (listener, port) = listen("127.0.0.1");
        let app = App::start(rig.dir.path(), &listener);
        warm(&mut rig, port, &["a[1-3]", "b?x={{1,2}}"]).ok();
        let failed = warm(&mut rig, port, &["say/500", "b", "say/501"]).failed();
        assert!(failed.contains("HTTP 500") && failed.contains("HTTP 501"), "{failed}");
        drop((listener, app));
        let failed = warm(&mut rig, port, &["a"]).failed();
        assert!(failed.contains("gave no whole answer") && failed.contains("connect"), "{failed}");
    }
}
