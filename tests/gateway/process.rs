//! The example as a process.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

/// A running gateway.
pub struct Gateway {
    child: Child,
    pub addr: SocketAddr,
    /// The token that it printed, if it has an issuer of its own.
    pub token: Option<String>,
    output: Arc<Mutex<String>>,
}

impl Gateway {
    /// Starts it on a free port and waits until it has said where it listens.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(example())
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("RUST_LOG", "tower_gateway=trace")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let addr = lines.find_map(|line| line.split_once("─► http://")?.1.parse().ok()).unwrap();
        let token = match arguments.contains(&"--jwks") {
            true => None,
            false => lines.find_map(|line| Some(line.split_once("TOKEN=")?.1.to_owned())),
        };
        let output = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&output);
        std::thread::spawn(move || lines.for_each(|line| *heard.lock().unwrap() += &(line + "\n")));
        Self { child, addr, token, output }
    }

    /// Sends these bytes on a connection of their own, and reads until the gateway closes it or says no more.
    pub fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        // A gateway that has refused may close before it has read all.
        let _ = stream.write_all(request.as_ref());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// What it has printed since it listens.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Asks it to end, as an init system does.
    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

/// What a gateway says on its way out that cannot start with these arguments.
pub fn refusal_to_start(arguments: &[&str]) -> String {
    let output = Command::new(example()).args(arguments).output().unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `cargo test` builds the examples beside the tests.
fn example() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.set_file_name("examples/edge_gateway");
    assert!(path.exists(), "run `cargo build --example edge_gateway --all-features` first");
    path
}

/// The status of an answer; 0 if there was none.
pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// The content of an answer that is framed by its length, or by the end of the connection.
pub fn content(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, content)| content)
}
