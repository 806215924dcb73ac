//! An upstream that keeps what reached it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// Answers every request with 200, and remembers the bytes of its head and content.
#[derive(Clone)]
pub struct Recorder {
    pub addr: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let recorder = Self { addr: listener.local_addr().unwrap(), heard: Arc::default() };
        let heard = Arc::clone(&recorder.heard);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || while_requests(&stream.unwrap(), &heard));
            }
        });
        recorder
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What was heard since the last time.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

/// Reads requests as they came over the wire, byte for byte, and answers each.
fn while_requests(stream: &TcpStream, heard: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let head = section(&mut reader)?;
        let field = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
        };
        let mut content = String::new();
        if field("transfer-encoding").is_some() {
            loop {
                let mut size = String::new();
                reader.read_line(&mut size).ok().filter(|read| *read > 0)?;
                content += &size;
                if size.starts_with('0') {
                    content += &section(&mut reader)?; // trailers
                    break;
                }
                let mut chunk = vec![0; usize::from_str_radix(size.trim(), 16).ok()? + 2];
                reader.read_exact(&mut chunk).ok()?;
                content += &String::from_utf8_lossy(&chunk);
            }
        } else if let Some(length) = field("content-length") {
            let mut bytes = vec![0; length.parse().ok()?];
            reader.read_exact(&mut bytes).ok()?;
            content += &String::from_utf8_lossy(&bytes);
        }
        heard.lock().unwrap().push(head + &content);
        (&mut &*stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").ok()?;
    }
}

/// Lines up to an empty one, which is part of it.
fn section(reader: &mut impl BufRead) -> Option<String> {
    let mut section = String::new();
    while !section.ends_with("\r\n\r\n") && section != "\r\n" {
        reader.read_line(&mut section).ok().filter(|read| *read > 0)?;
    }
    Some(section)
}
