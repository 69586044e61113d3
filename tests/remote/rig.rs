//! A host: a directory, a shell, and what shipit would run there.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use shipit::model::{
    AppSpec, DrainSpec, HealthSpec, Host, Instance, Inventory, Leftover, LimitSpec, Recipe, Release, ReleaseId,
    ReleaseProof, ReleaseSpec, Source, SshSpec, StepResult, StrategyName, Template, WarmSpec, WatchSpec,
};
use shipit::plan::Action;
use shipit::remote::{Site, judge};
use shipit::transport::{Output, Script};
use tempfile::TempDir;

pub const OLD: &str = "20261119-101500-0a1b2c3d";
pub const NEW: &str = "20261120-224512-1a2b3c4d";
pub const COMMIT: &str = "1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d";

/// A script that takes longer than this hangs.
const HANGS: Duration = Duration::from_mins(1);

/// A shell with the tools around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shell {
    pub name: &'static str,
    pub command: &'static [&'static str],
    pub path: String,
}

/// The kinds of host. The one with busybox has nothing else, besides what no host is without that is deployed to.
pub fn shells() -> Vec<Shell> {
    let path = std::env::var("PATH").unwrap();
    let all = [
        Shell { name: "dash", command: &["dash"], path: path.clone() },
        Shell { name: "bash", command: &["bash"], path },
        Shell { name: "busybox", command: &["busybox", "sh"], path: busybox_tools().display().to_string() },
    ];
    let there =
        |shell: &Shell| Command::new(shell.command[0]).args(&shell.command[1..]).args(["-c", ":"]).output().is_ok();
    let (there, missing): (Vec<_>, Vec<_>) = all.into_iter().partition(there);
    assert!(missing.is_empty() || std::env::var_os("CI").is_none(), "apt-get install dash busybox bash");
    there
}

/// A directory with all of busybox's tools, and curl, git and flock, which Debian's busybox lacks.
pub fn busybox_tools() -> &'static Path {
    static TOOLS: OnceLock<TempDir> = OnceLock::new();
    let tools = TOOLS.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let list = Command::new("busybox").arg("--list").output().map(|output| output.stdout).unwrap_or_default();
        for applet in String::from_utf8(list).unwrap().lines() {
            symlink(which("busybox").unwrap(), dir.path().join(applet)).unwrap();
        }
        for tool in ["curl", "git", "flock"] {
            let _ = symlink(which(tool).unwrap(), dir.path().join(tool));
        }
        dir
    });
    tools.path()
}

/// Where a tool is.
pub fn which(tool: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(tool)).find(|file| file.is_file())
}

pub struct Rig {
    pub dir: TempDir,
    pub root: PathBuf,
    pub shell: Shell,
    pub inventory: Inventory,
    pub recipe: Recipe,
    /// More for the environment of the session.
    pub environment: BTreeMap<&'static str, String>,
    /// Whom the session belongs to, if not to us.
    user: Option<u32>,
}

/// What came of a script.
#[derive(Debug)]
pub struct Done {
    pub stdout: String,
    pub stderr: String,
    pub result: StepResult,
}

impl Rig {
    pub fn new(shell: &Shell) -> Self {
        let dir = tempfile::Builder::new().prefix("shipit test ").tempdir().unwrap();
        Self::at(shell, &dir.path().join("app"), dir)
    }

    pub fn at(shell: &Shell, root: &Path, dir: TempDir) -> Self {
        fs::create_dir_all(root).unwrap();
        let template = |text: &str| Template::parse(text).unwrap();
        let inventory = Inventory {
            environment: "test".parse().unwrap(),
            recipe: "web".parse().unwrap(),
            strategy: StrategyName::Rolling,
            protected: false,
            ssh: SshSpec::default(),
            limits: LimitSpec::default(),
            hosts: vec![Host {
                address: "127.0.0.1".parse().unwrap(),
                name: "web1".parse().unwrap(),
                roles: ["app".parse().unwrap()].into(),
                labels: [].into(),
            }],
            balancers: vec![],
            vars: [("root".to_owned(), root.display().to_string())].into(),
        };
        let recipe = Recipe {
            name: "web".parse().unwrap(),
            release: ReleaseSpec {
                root: template("{vars.root}"),
                keep: 2,
                source: Source::Archive("web.tar".into()),
                linked_dirs: vec![],
                linked_files: vec![],
            },
            app: AppSpec {
                role: "app".parse().unwrap(),
                instances: vec![],
                restart: template("true"),
                restart_timeout: Duration::from_secs(20),
                logs: None,
            },
            health: HealthSpec {
                url: template("http://127.0.0.1:{port}/"),
                interval: Duration::from_millis(100),
                timeout: Duration::from_secs(5),
                deadline: Duration::from_secs(20),
                passes: 2,
                release: ReleaseProof::Process,
            },
            warm: WarmSpec { urls: vec![], requests: 3, timeout: Duration::from_secs(5) },
            drain: DrainSpec { timeout: Duration::from_secs(5), leftover: Leftover::Abort },
            watch: WatchSpec { duration: Duration::from_secs(1) },
            hotswap: None,
            preboot: None,
            tasks: vec![],
        };
        Self {
            root: root.to_owned(),
            dir,
            shell: shell.clone(),
            inventory,
            recipe,
            environment: BTreeMap::new(),
            user: None,
        }
    }

    pub fn host(&self) -> &Host {
        &self.inventory.hosts[0]
    }

    pub fn site(&self) -> Site<'_> {
        Site { inventory: &self.inventory, recipe: &self.recipe }
    }

    /// Gives the host and all further sessions to a user who may not look at our processes. Only root can.
    pub fn give_to_nobody(&mut self) {
        const NOBODY: u32 = 65534;
        sh(self.dir.path(), &format!("chown -R {NOBODY}:{NOBODY} ."));
        self.user = Some(NOBODY);
    }

    pub fn instances(&mut self, ports: &[u16]) {
        self.recipe.app.instances = ports.iter().map(|port| Instance(*port)).collect();
    }

    /// A complete release that is on the host, and its directory.
    pub fn release(&self, release: &str) -> PathBuf {
        let path = self.root.join("releases").join(release);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join(".shipit-release"), format!("{COMMIT} main\n")).unwrap();
        path
    }

    pub fn point_current_at(&self, release: &str) {
        let _ = fs::remove_file(self.root.join("current"));
        symlink(format!("releases/{release}"), self.root.join("current")).unwrap();
    }

    pub fn current(&self) -> String {
        fs::read_link(self.root.join("current")).map(|link| link.display().to_string()).unwrap_or_default()
    }

    /// Runs the script of an action.
    pub fn perform(&self, action: &Action) -> Done {
        self.run(&self.site().script(self.host(), action).unwrap())
    }

    pub fn activate(&self, release: Option<&str>) -> Done {
        self.perform(&Action::Activate { release: release.map(id), instances: self.recipe.app.instances.clone() })
    }

    pub fn health(&self, release: &str) -> Done {
        self.perform(&Action::Health { release: Some(id(release)), instances: self.recipe.app.instances.clone() })
    }

    pub fn run(&self, script: &Script) -> Done {
        self.spawn(script)()
    }

    /// Starts a script, and returns how to wait for its end.
    pub fn spawn(&self, script: &Script) -> impl FnOnce() -> Done + use<> {
        // What the transport's frame does, without its marks.
        let text = format!(
            "shipit_script() {{\n:\n{}\n}}\nprogress() {{ :; }}\n\
             own_locale() {{ if [ -n \"$shipit_locale\" ]; then LC_ALL=$shipit_locale; else unset LC_ALL; fi; }}\n\
             shipit_locale=${{LC_ALL-}}\nLC_ALL=C\nexport LC_ALL\n\
             ( shipit_script ) </dev/null\n",
            script.lean()
        );
        let command = &self.shell.command;
        let mut command = {
            let mut found = Command::new(which(command[0]).unwrap());
            found.args(&command[1..]);
            found
        };
        command.env("PATH", &self.shell.path).env("TMPDIR", self.dir.path()).envs(&self.environment);
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(child.wait_with_output().unwrap()));
        let shell = self.shell.name;
        move || {
            let output = receiver.recv_timeout(HANGS).unwrap_or_else(|_| panic!("{shell}: the script hangs"));
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            let (stdout, stderr) = (text(output.stdout), text(output.stderr));
            let code = output.status.code().unwrap_or(-1);
            let answer = Output { code, stdout: stdout.clone(), stderr: stderr.clone() };
            Done { result: judge(Ok(answer)), stdout, stderr }
        }
    }

    /// All paths below the host's root, with what would change if anyone wrote there.
    pub fn listing(&self) -> Vec<String> {
        let output = Command::new("find").arg(self.dir.path()).args(["-printf", "%p %m %s %T@ %l\n"]).output().unwrap();
        let mut lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// What scripts leave behind is nothing.
    pub fn assert_tidy(&self) {
        let left: Vec<_> =
            self.listing().into_iter().filter(|line| line.contains("/shipit.") || line.contains("staging")).collect();
        assert!(left.is_empty(), "{}: {left:#?}", self.shell.name);
    }
}

impl Done {
    /// What was said of a success.
    #[track_caller]
    pub fn ok(&self) -> &str {
        match &self.result {
            StepResult::Ok(note) => note,
            _ => panic!("{self:#?}"),
        }
    }

    /// What was said of a failure, with its help.
    #[track_caller]
    pub fn failed(&self) -> String {
        match &self.result {
            StepResult::Failed(failure) => match &failure.help {
                Some(help) => format!("{} | {help}", failure.what),
                None => failure.what.clone(),
            },
            _ => panic!("{self:#?}"),
        }
    }

    pub fn code(&self) -> Option<i32> {
        match &self.result {
            StepResult::Failed(failure) => failure.code,
            _ => None,
        }
    }
}

pub fn id(text: &str) -> ReleaseId {
    text.parse().unwrap()
}

pub fn release_of(text: &str, fingerprint: &str, origin: &str) -> Release {
    Release { id: id(text), fingerprint: fingerprint.parse().unwrap(), origin: origin.to_owned() }
}

/// Runs a command of the test's own.
#[track_caller]
pub fn sh(directory: &Path, text: &str) -> String {
    let output = Command::new("bash").args(["-euc", text]).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Waits for what another process does.
#[track_caller]
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("waited in vain until {what}");
}
