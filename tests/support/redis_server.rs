//! Real Redis servers: processes of their own on free ports, which keep nothing on disk and die with the test.
#![allow(dead_code, unreachable_pub)]

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// How long a server may take for anything. Far more than it needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A `redis-server` on a free port of this machine. Killed when dropped.
pub struct RedisServer {
    child: Option<Child>,
    port: u16,
    /// What it was started with, for a restart.
    arguments: Vec<String>,
    folder: PathBuf,
}

impl RedisServer {
    /// A server that is ready.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server with more settings, as `--name value`.
    ///
    /// # Panics
    ///
    /// When there is no `redis-server` on the PATH: these tests are about a real one.
    pub fn start_with(settings: &[&str]) -> Self {
        Self::launch(free_port(), settings, None)
    }

    /// A cluster of so many masters, which share the slots equally.
    pub fn cluster(masters: usize) -> Vec<Self> {
        let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
        let nodes: Vec<_> =
            (0..masters).map(|_| Self::launch(free_cluster_port(), &cluster, None)).collect();
        for (place, node) in nodes.iter().enumerate() {
            let (first, next) = (place * 16_384 / masters, (place + 1) * 16_384 / masters);
            node.command(&format!("CLUSTER ADDSLOTSRANGE {first} {}", next - 1));
            node.command(&format!("CLUSTER SET-CONFIG-EPOCH {}", place + 1));
        }
        for node in &nodes[1..] {
            node.command(&format!("CLUSTER MEET 127.0.0.1 {}", nodes[0].port));
        }
        let knows_all = |node: &Self| {
            let info = node.command("CLUSTER INFO");
            info.contains("cluster_state:ok")
                && info.contains(&format!("cluster_known_nodes:{masters}"))
                && info.contains(&format!("cluster_size:{masters}"))
        };
        wait_until("the cluster stands", || nodes.iter().all(knows_all));
        nodes
    }

    /// A replica of this server, in sync.
    pub fn replica(&self) -> Self {
        let port = self.port.to_string();
        let replica = Self::start_with(&["--replicaof", &format!("127.0.0.1 {port}")]);
        wait_until("the replica is in sync", || {
            replica.command("INFO replication").contains("master_link_status:up")
        });
        replica
    }

    /// A sentinel that alone decides whether this server, called `main`, is gone: after half a second.
    pub fn sentinel(&self) -> Self {
        let port = self.port;
        let watch = format!(
            "sentinel monitor main 127.0.0.1 {port} 1\n\
             sentinel down-after-milliseconds main 500\n\
             sentinel failover-timeout main 2000\n"
        );
        let sentinel = Self::launch(free_port(), &[], Some(&watch));
        wait_until("the sentinel knows the replica", || {
            sentinel.command("SENTINEL REPLICAS main").contains("flags")
        });
        sentinel
    }

    /// A sentinel of the server on another port of this machine, with more settings.
    pub fn sentinel_of(port: u16, settings: &[&str]) -> Self {
        let watch = format!("sentinel monitor main 127.0.0.1 {port} 1\n");
        Self::launch(free_port(), settings, Some(&watch))
    }

    fn launch(port: u16, settings: &[&str], sentinel: Option<&str>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tower-gateway-redis-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut arguments = Vec::new();
        if let Some(watch) = sentinel {
            let file = folder.join("sentinel.conf");
            std::fs::write(&file, watch).unwrap();
            arguments.extend([file.display().to_string(), "--sentinel".to_owned()]);
        } else {
            arguments.extend(["--save", "", "--appendonly", "no"].map(str::to_owned));
        }
        let common = ["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"];
        arguments.extend(common.map(str::to_owned));
        arguments.push(folder.display().to_string());
        arguments.extend(settings.iter().map(|&it| it.to_owned()));
        let mut server = Self { child: None, port, arguments, folder };
        server.run();
        server
    }

    fn run(&mut self) {
        let child = Command::new("redis-server")
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("these tests start `redis-server` (7.0 or later) from the PATH: {error}")
            });
        self.child = Some(child);
        wait_until("redis-server answers", || {
            self.try_command("PING").is_ok_and(|it| it.contains("PONG"))
        });
    }

    /// Where it listens: a URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// It stands still, and its connections stay open: SIGSTOP.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// It goes on: SIGCONT.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// It is gone, with all it knew: SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// A new one on the same port, which knows nothing.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// Forgets all scripts.
    pub fn flush_scripts(&self) {
        self.command("SCRIPT FLUSH");
    }

    /// What the server answers to a command, words apart by spaces; as the protocol writes it.
    pub fn command(&self, command: &str) -> String {
        self.try_command(command).unwrap()
    }

    /// As [`command`](Self::command), of a server that may be gone.
    pub fn try_command(&self, command: &str) -> std::io::Result<String> {
        self.send(&command.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    /// Sends a command whose words may hold anything.
    pub fn send(&self, words: &[&[u8]]) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        stream.write_all(&request)?;
        // The server answers, closes too, and so the answer has an end.
        stream.shutdown(Shutdown::Write)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// The names of all keys.
    pub fn keys(&self) -> Vec<String> {
        let answer = self.command("KEYS *");
        answer.lines().skip(1).filter(|line| !line.starts_with('$')).map(str::to_owned).collect()
    }

    /// How long a key lives, in milliseconds; -1 for ever.
    pub fn ttl(&self, key: &str) -> i64 {
        let answer = self.send(&[b"PTTL", key.as_bytes()]).unwrap();
        answer.trim().trim_start_matches(':').parse().unwrap()
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One to which 10,000 can be added: the port of the cluster's bus.
pub fn free_cluster_port() -> u16 {
    let free =
        |port: &u16| *port < 55_000 && TcpListener::bind(("127.0.0.1", *port + 10_000)).is_ok();
    std::iter::repeat_with(free_port).take(10_000).find(free).expect("there are free ports")
}

/// Looks again and again until it is so.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    const PAUSE: Duration = Duration::from_millis(10);
    let looks = PATIENCE.as_millis() / PAUSE.as_millis();
    let seen = (0..looks).any(|_| {
        let seen = is_so();
        if !seen {
            std::thread::sleep(PAUSE);
        }
        seen
    });
    assert!(seen, "waited in vain: {what}");
}
