//! A real nginx in a directory of its own, whose name is as odd as it gets, and the scripts run here.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use shipit::config;
use shipit::model::{Instance, Inventory, Recipe};
use shipit::plan::Action;
use shipit::remote::{self, Site};
use shipit::transport::{Output, Script};
use tempfile::TempDir;

use crate::backend::Backend;
use crate::load;

const NGINX: &str = "/usr/sbin/nginx";

/// No single thing that a test waits for takes a tenth of this, even on a busy machine.
const SOON: Duration = Duration::from_secs(20);

pub const INCLUDE: &str = "upstream = \"{vars.dir}/app.upstream\"\nserver = \"127.0.0.1:{port}\"\n\
    test = \"/usr/sbin/nginx -p {vars.dir} -e {vars.dir}/error.log -c {vars.dir}/nginx.conf -t\"\n\
    reload = \"/usr/sbin/nginx -p {vars.dir} -e {vars.dir}/error.log -c {vars.dir}/nginx.conf -s reload\"\n\
    pid = \"{vars.dir}/nginx.pid\"\nerror-log = \"{vars.dir}/error.log\"\n";
pub const LINKS: &str = "link = \"{vars.dir}/nginx-{port}.sock\"\nsocket = \"{vars.dir}/{port}.sock\"\n";
pub const PATIENT: &str = "timeout = \"20s\"";

pub struct Rig {
    pub dir: PathBuf,
    pub backends: Vec<Backend>,
    pub port: u16,
    pub shell: Vec<&'static str>,
    nginx: Option<Child>,
    inventory: Inventory,
    pub recipe: Recipe,
    _home: TempDir,
}

/// A script that runs.
pub struct Run {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: thread::JoinHandle<()>,
}

impl Rig {
    /// An include with so many instances, all routed.
    pub fn include(instances: usize) -> Self {
        Self::start(instances, INCLUDE, PATIENT)
    }

    pub fn start(instances: usize, hotswap: &str, drain: &str) -> Self {
        let home = tempfile::Builder::new().prefix("rt").tempdir().unwrap();
        let dir = home.path().join("a 'b' c%d");
        fs::create_dir(&dir).unwrap();
        // nginx's workers are other users.
        for path in [home.path(), &dir] {
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let links = hotswap.contains("link");
        let backends: Vec<_> = (0..instances)
            .map(
                |number| {
                    if links { Backend::unix(&dir, 4040 + u16::try_from(number).unwrap()) } else { Backend::tcp() }
                },
            )
            .collect();
        let port = free_port();
        let (inventory, recipe) = project(home.path(), &dir, &backends, hotswap, drain);
        let mut rig = Self { dir, backends, port, shell: vec!["sh"], nginx: None, inventory, recipe, _home: home };
        if links {
            let server = |backend: &Backend| {
                format!("server \"unix:{}/nginx-{}.sock\" max_fails=0;\n", rig.dir.display(), backend.port)
            };
            let servers: String = rig.backends.iter().map(server).collect();
            rig.configure(&format!("upstream app {{ {servers} }}"), "");
            rig.route(&[0, 1]);
        } else {
            let server = |backend: &Backend| format!("server 127.0.0.1:{} max_fails=0;\n", backend.port);
            let servers: Vec<_> = rig.backends.iter().map(server).collect();
            rig.write("app.upstream", &servers.concat());
            rig.configure(&rig.upstream("app"), "");
        }
        rig.start_nginx();
        rig
    }

    /// `upstream` with its include, and a pool of connections.
    pub fn upstream(&self, name: &str) -> String {
        format!("upstream {name} {{ include \"{}/{name}.upstream\"; keepalive 8; }}", self.dir.display())
    }

    /// Writes nginx.conf.
    pub fn configure(&self, upstream: &str, more: &str) {
        let dir = self.dir.display();
        let mut temps = String::new();
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            let _ = writeln!(temps, "{kind}_temp_path \"{dir}/{kind}\";");
        }
        let config = format!(
            "daemon off; worker_processes 2; pid \"{dir}/nginx.pid\"; error_log \"{dir}/error.log\" notice;\n\
             events {{ worker_connections 256; }}\n\
             http {{\naccess_log off;\n{temps}\n{upstream}\n\
             proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; proxy_read_timeout 60s;\n\
             server {{ listen 127.0.0.1:{}; keepalive_timeout 0; location / {{ proxy_pass http://app; }} }}\n{more}\n}}\n",
            self.port
        );
        self.write("nginx.conf", &config);
    }

    pub fn start_nginx(&mut self) {
        let mut command = Command::new(NGINX);
        for (flag, file) in [("-p", ""), ("-e", "error.log"), ("-c", "nginx.conf")] {
            command.arg(flag).arg(self.dir.join(file));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.nginx = Some(command.spawn().expect("nginx is installed"));
        eventually("nginx answers", || self.get("/").is_ok());
    }

    pub fn stop_nginx(&mut self) {
        if let Some(mut nginx) = self.nginx.take() {
            signal("TERM", nginx.id());
            nginx.wait().unwrap();
        }
    }

    pub fn master(&self) -> u32 {
        self.nginx.as_ref().unwrap().id()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.join(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap()
    }

    /// So often nginx was told to reload.
    pub fn reloads(&self) -> usize {
        self.read("error.log").matches("(SIGHUP) received").count()
    }

    pub fn get(&self, path: &str) -> Result<(), String> {
        load::request(self.port, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), &mut None)
    }

    /// A request in a thread of its own.
    pub fn get_later(&self, path: &'static str) -> thread::JoinHandle<Result<(), String>> {
        let port = self.port;
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        thread::spawn(move || load::request(port, &head, &mut None))
    }

    /// So many requests came to each backend while `count` were sent.
    pub fn spread(&self, count: usize) -> Vec<usize> {
        let before: Vec<_> = self.backends.iter().map(Backend::hits).collect();
        for _ in 0..count {
            self.get("/").unwrap();
        }
        self.backends.iter().zip(before).map(|(backend, before)| backend.hits() - before).collect()
    }

    pub fn begin(&self, to: &[usize]) -> Run {
        let to = to.iter().map(|at| Instance(self.backends[*at].port)).collect();
        self.begin_action(&Action::Route { to })
    }

    pub fn begin_action(&self, action: &Action) -> Run {
        let script = self.site().script(&self.inventory.hosts[0], action).unwrap();
        Run::begin(&self.shell, &script)
    }

    /// Routes, and it has to work.
    pub fn route(&self, to: &[usize]) -> Output {
        let output = self.begin(to).end();
        assert_eq!(output.code, 0, "{output:#?}");
        output
    }

    /// Routes, and it must not work; the reason and the way out.
    pub fn refused(&self, to: &[usize]) -> String {
        let output = self.begin(to).end();
        assert_ne!(output.code, 0, "{output:#?}");
        output.stdout
    }

    /// What is routed, as a look sees it.
    pub fn routed(&self) -> Vec<usize> {
        let script = self.site().with_routes(Script::new("look_at_routes\n"), &self.inventory.hosts[0]);
        let seen = remote::read_routed(&Run::begin(&self.shell, &script).end().stdout);
        (0..self.backends.len()).filter(|at| seen.contains(&Instance(self.backends[*at].port))).collect()
    }

    /// What stands in the way, as a check sees it.
    pub fn problems(&self) -> Vec<String> {
        let script = self.site().check_route(&self.inventory.hosts[0]).unwrap();
        let found = remote::read_check(&Run::begin(&self.shell, &script).end());
        found.problems.into_iter().map(|one| format!("{} -> {}", one.what, one.help.unwrap_or_default())).collect()
    }

    /// What a check notes with `more` in nginx's configuration, behind a balancer.
    pub fn notes_with(&mut self, more: &str) -> Vec<String> {
        let config = self.read("nginx.conf");
        self.write("nginx.conf", &format!("events {{}} http {{ {more} }}"));
        let script = self.site().check_route(&self.inventory.hosts[0]).unwrap().with("BACKENDS", "`app`");
        let found = remote::read_check(&Run::begin(&self.shell, &script).end());
        self.write("nginx.conf", &config);
        assert_eq!(found.problems, []);
        found.notes.into_iter().map(|one| one.help.unwrap_or_default()).collect()
    }

    fn site(&self) -> Site<'_> {
        Site { inventory: &self.inventory, recipe: &self.recipe }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop_nginx();
    }
}

impl Run {
    fn begin(shell: &[&str], script: &Script) -> Self {
        let text =
            format!("progress() {{ printf 'progress %s\\n' \"$*\"; }}\nLC_ALL=C; export LC_ALL\n{}", script.lean());
        let mut command = Command::new(shell[0]);
        command
            .args(&shell[1..])
            .arg("-c")
            .arg(text)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let (into, from) = (lines.clone(), BufReader::new(child.stdout.take().unwrap()));
        let reader = thread::spawn(move || from.lines().for_each(|line| into.lock().unwrap().push(line.unwrap())));
        Self { child, lines, reader }
    }

    /// Waits for a line with these words.
    pub fn says(&self, words: &str) {
        eventually(words, || self.lines.lock().unwrap().iter().any(|line| line.contains(words)));
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn end(self) -> Output {
        let output = self.child.wait_with_output().unwrap();
        self.reader.join().unwrap();
        let stdout = self.lines.lock().unwrap().join("\n");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Output { code: output.status.code().unwrap_or(255), stdout, stderr }
    }
}

fn project(home: &Path, dir: &Path, backends: &[Backend], hotswap: &str, drain: &str) -> (Inventory, Recipe) {
    let ports: Vec<_> = backends.iter().map(|backend| backend.port.to_string()).collect();
    for folder in ["inventories", "recipes"] {
        fs::create_dir(home.join(folder)).unwrap();
    }
    let inventory = format!(
        "recipe = \"web\"\n[limits]\nmin-serving = 0\n[[hosts]]\nname = \"web1\"\nroles = [\"app\"]\n[vars]\ndir = \"{}\"\n",
        dir.display()
    );
    let recipe = format!(
        "[release]\nroot = \"/srv/app\"\nsource = {{ git = \"https://git.example.com/web.git\", ref = \"main\" }}\n\
         [app]\nrole = \"app\"\ninstances = [{}]\nrestart = \"true {{port}}\"\n\
         [health]\nurl = \"http://127.0.0.1:{{port}}/\"\n[drain]\n{drain}\n[hotswap]\n{hotswap}",
        ports.join(", ")
    );
    fs::write(home.join("inventories/test.toml"), inventory).unwrap();
    fs::write(home.join("recipes/web.toml"), recipe).unwrap();
    config::load(home, "test", config::Demands::ALL).unwrap_or_else(|errors| panic!("{errors}"))
}

pub fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap().success());
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Polls until `done`; a test that waits in vain says for what.
pub fn eventually(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < SOON, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
