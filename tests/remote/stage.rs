//! How a release gets onto a host.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use shipit::model::{Release, Source};
use shipit::plan::Action;

use crate::app::{App, listen};
use crate::rig::{COMMIT, Done, NEW, Rig, release_of, sh, shells, which};

/// A directory to be shipped.
const CONTENT: &str = "mkdir -p content/bin content/log content/config && echo app >content/bin/app && chmod 755 content/bin/app && \
                       echo x >'content/a b' && chmod 640 'content/a b' && echo old >content/log/old && ln -s 'a b' content/link";

fn digest(file: &Path) -> String {
    sh(Path::new("/"), &format!("sha256sum <'{}' | cut -d ' ' -f 1", file.display()))
}

/// Puts an archive made by `tar` with these arguments into the host's cache, as an upload does.
fn cached(rig: &Rig, name: &str, tar: &str) -> Release {
    let file = rig.dir.path().join(name);
    sh(rig.dir.path(), &format!("tar {tar}"));
    let fingerprint = digest(&file);
    fs::create_dir_all(rig.root.join(".shipit/cache")).unwrap();
    fs::copy(&file, rig.root.join(".shipit/cache").join(&fingerprint)).unwrap();
    release_of(NEW, &fingerprint, "web.tar of the 'runner'")
}

fn stage(rig: &Rig, release: &Release) -> Done {
    rig.perform(&Action::Stage { release: release.clone() })
}

/// A failure that leaves nothing: no release, nothing half made.
#[track_caller]
fn refused(rig: &Rig, release: &Release) -> String {
    let failed = stage(rig, release).failed();
    assert!(!rig.root.join("releases").join(NEW).exists(), "{}: {failed}", rig.shell.name);
    rig.assert_tidy();
    failed
}

#[test]
fn archives_of_all_kinds_are_unpacked_as_they_were() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        sh(rig.dir.path(), CONTENT);
        for (name, how, tool) in [
            ("web.tar", "", "tar"),
            ("web.tar.gz", "-z", "gzip"),
            ("web.tar.bz2", "-j", "bzip2"),
            ("web.tar.xz", "-J", "xz"),
            ("web.tar.zst", "--zstd", "zstd"),
        ] {
            if which(tool).is_none() || shell.name == "busybox" && tool == "zstd" {
                eprintln!("{}: there is no {tool}", shell.name);
                continue;
            }
            rig.recipe.release.source = Source::Archive(name.into());
            let release = cached(&rig, name, &format!("-c {how} -f {name} -C content ."));
            assert_eq!(stage(&rig, &release).ok(), "4 files", "{} {name}", shell.name);
            let path = rig.root.join("releases").join(NEW);
            let mode = |file: &str| path.join(file).metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!((mode("bin/app"), mode("a b")), (0o755, 0o640));
            assert_eq!(fs::read_link(path.join("link")).unwrap(), Path::new("a b"));
            let seal = fs::read_to_string(path.join(".shipit-release")).unwrap();
            assert_eq!(seal, format!("{} web.tar of the 'runner'\n", release.fingerprint));
            fs::remove_dir_all(path).unwrap();
        }
    }
}

#[test]
fn a_release_that_is_there_is_left_alone() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        rig.release(NEW);
        let before = rig.listing();
        assert_eq!(stage(&rig, &release_of(NEW, COMMIT, "")).ok(), "already there");
        assert_eq!(rig.listing(), before);
    }
}

#[test]
fn what_a_crash_left_is_swept_and_what_is_not_ours_is_not() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        sh(rig.dir.path(), CONTENT);
        let release = cached(&rig, "web.tar", "-cf web.tar -C content .");
        let half = rig.root.join("releases").join(format!(".staging-{NEW}.4711/bin"));
        fs::create_dir_all(half).unwrap();
        fs::create_dir_all(rig.root.join("releases").join(NEW)).unwrap();
        assert!(stage(&rig, &release).failed().contains("no complete release | move it away"));
        fs::remove_dir(rig.root.join("releases").join(NEW)).unwrap();
        stage(&rig, &release).ok();
        rig.assert_tidy();
    }
}

#[test]
fn shared_paths_are_linked() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        sh(rig.dir.path(), CONTENT);
        rig.recipe.release.linked_dirs = ["log", "tmp/pids/deep", "a dir"].map(str::to_owned).into();
        rig.recipe.release.linked_files = ["config/master.key", ".env"].map(str::to_owned).into();
        let release = cached(&rig, "web.tar", "-cf web.tar -C content .");
        let failed = refused(&rig, &release);
        assert!(
            failed.ends_with("shared/config/master.key is missing | put it there; releases only link to it"),
            "{failed}"
        );
        sh(&rig.root, "mkdir -p shared/config && echo secret >shared/config/master.key && echo >shared/.env");
        stage(&rig, &release).ok();
        for path in ["log", "tmp/pids/deep", "a dir", "config/master.key", ".env"] {
            let link = fs::read_link(rig.root.join("releases").join(NEW).join(path)).unwrap();
            assert_eq!(link, rig.root.join("shared").join(path));
            assert!(link.exists(), "{path}");
        }
    }
}

#[test]
fn a_link_in_the_release_never_leads_us_outside() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        sh(
            &rig.root,
            "mkdir -p shared/config && echo secret >shared/config/master.key && echo >seal && echo >revision",
        );
        rig.recipe.release.linked_files = vec!["config/master.key".to_owned()];
        let content = format!(
            "mkdir content && ln -s '{0}/shared/config' content/config && \
            ln -s '{0}/seal' content/.shipit-release",
            rig.root.display()
        );
        sh(rig.dir.path(), &content);
        let release = cached(&rig, "web.tar", "-cf web.tar -C content .");
        let failed = refused(&rig, &release);
        assert!(failed.contains("a link in the way of config/master.key | remove config"), "{failed}");
        assert_eq!(fs::read_to_string(rig.root.join("shared/config/master.key")).unwrap(), "secret\n");
        rig.recipe.release.linked_files.clear();
        stage(&rig, &release).ok();
        assert_eq!(fs::read_to_string(rig.root.join("seal")).unwrap(), "\n");
        assert!(rig.root.join("releases").join(NEW).join(".shipit-release").symlink_metadata().unwrap().is_file());
    }
}

#[test]
fn an_archive_can_not_write_outside() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        let out = rig.dir.path().join("out");
        fs::create_dir(&out).unwrap();
        let (out, work) = (out.display().to_string(), rig.dir.path().display().to_string());
        for (name, make) in [
            ("up.tar", "echo x >up && tar -cPf up.tar --transform 's|up|../../../out/up|' up && rm up".to_owned()),
            ("root.tar", format!("echo x >root && tar -cPf root.tar --transform 's|root|{out}/root|' root && rm root")),
            (
                "link.tar",
                format!(
                    "ln -s '{out}' link && tar -cPf link.tar link && rm link && mkdir link && echo x >link/file && tar -rf link.tar link/file && rm -r link"
                ),
            ),
        ] {
            sh(Path::new(&work), &make);
            rig.recipe.release.source = Source::Archive(name.into());
            let release = cached(&rig, name, "--version");
            let _ = stage(&rig, &release);
            assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "{} {name}", shell.name);
            let _ = fs::remove_dir_all(rig.root.join("releases").join(NEW));
        }
    }
}

#[test]
fn an_empty_or_broken_archive_is_refused() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        sh(rig.dir.path(), "mkdir content && head -c 300000 /dev/urandom >content/file");
        let empty = cached(&rig, "web.tar", "-cf web.tar -T /dev/null");
        assert_eq!(refused(&rig, &empty), "the release is empty");
        let whole = cached(&rig, "web.tar", "-cf web.tar -C content .");
        let file = rig.root.join(".shipit/cache").join(whole.fingerprint.as_str());
        // A power cut can do this to a file that was renamed into place.
        fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(200_000).unwrap();
        assert!(refused(&rig, &whole).contains("damaged on the disk, and is removed"));
        assert!(!file.exists());
        assert!(refused(&rig, &whole).contains("is not there"));
        rig.recipe.release.source = Source::Archive("web.tar.gz".into());
        let no_gzip = cached(&rig, "web.tar", "-cf web.tar -C content .");
        assert_eq!(refused(&rig, &no_gzip), "the archive could not be unpacked");
    }
}

#[test]
fn a_full_disk_is_told_and_left_as_it_was() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        let mount =
            |options: &str| Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&rig.root).output();
        if !mount("size=1m").is_ok_and(|output| output.status.success()) {
            eprintln!("no file system can be mounted here");
            return;
        }
        sh(rig.dir.path(), "mkdir content && head -c 700000 /dev/zero >content/zeros");
        let release = cached(&rig, "web.tar", "-cf web.tar -C content .");
        let failed = stage(&rig, &release).failed();
        sh(rig.dir.path(), &format!("umount '{}'", rig.root.display()));
        assert!(failed.contains("the disk of") && failed.contains("is full"), "{}: {failed}", shell.name);
        let many = "mkdir many && cd many && touch $(seq 60)";
        assert!(mount("size=9m,nr_inodes=30").unwrap().status.success());
        sh(rig.dir.path(), many);
        let release = cached(&rig, "web.tar", "-cf web.tar -C many .");
        let failed = stage(&rig, &release).failed();
        let left = rig.listing().len();
        sh(rig.dir.path(), &format!("umount '{}'", rig.root.display()));
        assert!(failed.contains("is full"), "{}: {failed}", shell.name);
        assert!(left < 100, "the staging directory is left");
    }
}

/// A repository with a commit on `main`; the commit.
fn repository(rig: &Rig) -> String {
    sh(rig.dir.path(), CONTENT);
    sh(rig.dir.path(), "cd content && git init -q -b main . && git config user.name x && git config user.email x@x");
    commit(rig)
}

fn commit(rig: &Rig) -> String {
    sh(&rig.dir.path().join("content"), "echo more >>'a b'; git add -A; git commit -qm x; git rev-parse HEAD")
}

fn from_git(rig: &mut Rig, directory: &str) {
    let url = rig.dir.path().join(directory).display().to_string();
    rig.recipe.release.source = Source::Git { url, reference: "main".to_owned() };
}

#[test]
fn commits_come_from_a_mirror_that_keeps_up() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        // Files of another user's are no matter here.
        rig.environment.insert("GIT_CONFIG_GLOBAL", "/dev/null".to_owned());
        let first = repository(&rig);
        from_git(&mut rig, "content");
        let deploy = |rig: &Rig, commit: &str| {
            let done = stage(rig, &release_of(NEW, commit, "main"));
            let path = rig.root.join("releases").join(NEW);
            let revision = fs::read_to_string(path.join("REVISION")).unwrap_or_default();
            let _ = fs::remove_dir_all(path);
            (revision.trim_end().to_owned(), done)
        };
        let content = rig.dir.path().join("content");
        let check = |rig: &Rig, commit: &str| {
            let (revision, done) = deploy(rig, commit);
            done.ok();
            assert_eq!(revision, commit);
        };
        check(&rig, &first);
        let second = commit(&rig);
        check(&rig, &second);
        check(&rig, &first);
        // A tag, a history that was rewritten, and a lock that a killed git left.
        sh(
            &content,
            "git checkout -q --detach && echo tagged >t && git add t && git commit -qm t && git tag v1 && git checkout -q main",
        );
        check(&rig, &sh(&content, "git rev-parse v1"));
        let forced = sh(&content, "git commit -q --amend -m forced && git rev-parse HEAD");
        fs::write(rig.root.join("repo/packed-refs.lock"), "").unwrap();
        check(&rig, &forced);
        // A commit that no branch leads to any more.
        let orphan = commit(&rig);
        sh(&content, "git reset -q --hard HEAD~1 && git config uploadpack.allowAnySHA1InWant true");
        check(&rig, &orphan);
        let failed = deploy(&rig, COMMIT).1.failed();
        assert!(failed.contains("does not have commit") && failed.contains("| push it"), "{failed}");
        // The repository moves.
        fs::rename(&content, rig.dir.path().join("moved")).unwrap();
        from_git(&mut rig, "moved");
        let moved = sh(&rig.dir.path().join("moved"), "echo >n && git add n && git commit -qm n && git rev-parse HEAD");
        check(&rig, &moved);
        from_git(&mut rig, "nowhere");
        assert_eq!(deploy(&rig, COMMIT).1.failed(), "the repository could not be fetched");
        rig.assert_tidy();
        fs::remove_dir_all(rig.root.join("repo")).unwrap();
        assert_eq!(deploy(&rig, COMMIT).1.failed(), "the repository could not be cloned");
        assert!(!rig.root.join("repo").exists());
    }
}

#[test]
fn a_download_is_what_the_recipe_says_or_nothing() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        sh(rig.dir.path(), CONTENT);
        sh(rig.dir.path(), "tar -czf web.tar.gz -C content .");
        let file = rig.dir.path().join("web.tar.gz");
        let plain = tempfile::Builder::new().suffix(".tar.gz").tempfile().unwrap();
        fs::copy(&file, plain.path()).unwrap();
        let (listener, port) = listen("127.0.0.1");
        let server = App::start(rig.dir.path(), &listener);
        let url = format!("http://127.0.0.1:{port}/file{}", plain.path().display());
        let source = |url: &str, sha256: &str| Source::Url { url: url.to_owned(), sha256: sha256.parse().unwrap() };
        let (right, wrong) = (digest(&file), "0".repeat(64));
        rig.recipe.release.source = source(&url, &wrong);
        let failed = refused(&rig, &release_of(NEW, &wrong, "url"));
        assert!(failed.contains(&right) && failed.contains("someone changed the archive"), "{failed}");
        rig.recipe.release.source = source(&url.replace("/file/", "/say/404/"), &right);
        assert_eq!(refused(&rig, &release_of(NEW, &right, "url")), "the archive could not be fetched");
        rig.recipe.release.source = source(&url, &right);
        stage(&rig, &release_of(NEW, &right, "url")).ok();
        // It is kept, so the next one needs no server.
        drop((server, listener));
        fs::remove_dir_all(rig.root.join("releases").join(NEW)).unwrap();
        stage(&rig, &release_of(NEW, &right, "url")).ok();
    }
}
