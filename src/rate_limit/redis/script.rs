//! The scripts: sent by their hashes, and whole to a server that does not know them.

use redis::{Cmd, ErrorKind, ServerErrorKind::NoScript, Value};

use super::{failure::Failure, link::Link};

/// A script in Lua, which the server keeps until it restarts or is told to forget.
#[derive(Clone)]
pub(super) struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    pub(super) fn new(code: &'static str) -> Self {
        Self { code, hash: redis::Script::new(code).get_hash().to_owned() }
    }

    /// Runs it: one round trip, or two where the server has to be sent the script first.
    pub(super) async fn run<K, A>(
        &self,
        link: &Link,
        keys: &[K],
        arguments: &[A],
    ) -> Result<Value, Failure>
    where
        K: AsRef<[u8]>,
        A: AsRef<[u8]>,
    {
        let command = |name, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script).arg(keys.len());
            keys.iter().for_each(|key| part(&mut command, key.as_ref()));
            arguments.iter().for_each(|argument| part(&mut command, argument.as_ref()));
            command
        };
        match link.ask(&command("EVALSHA", &self.hash)).await {
            Err(Failure::Refused(error)) if error.kind() == ErrorKind::Server(NoScript) => {
                link.ask(&command("EVAL", self.code)).await
            }
            answer => answer,
        }
    }
}

fn part(command: &mut Cmd, bytes: &[u8]) {
    command.arg(bytes);
}
