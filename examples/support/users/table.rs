//! The export: two columns of CSV, without quoting, in UTF-8.

use example_proto::users::v1::{CreateUserRequest, User};
use tonic::Status;

pub const HEADER: &str = "id,display_name\n";

/// The longest line that is read.
const LONGEST: usize = 4096;

pub fn line(user: &User) -> String {
    let id = user.name.trim_start_matches("users/");
    format!("{id},{}\n", user.display_name.replace([',', '\n', '\r'], " "))
}

/// Reads a table that arrives in pieces.
#[derive(Default)]
pub struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The users of the lines that `piece` completes.
    pub fn push(&mut self, piece: &[u8]) -> Result<Vec<CreateUserRequest>, Status> {
        let mut users = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            if self.rest.len() > LONGEST {
                return Err(Status::invalid_argument("a line is too long"));
            }
            if self.rest.ends_with(b"\n") {
                users.extend(user(&std::mem::take(&mut self.rest))?);
            }
        }
        Ok(users)
    }

    pub fn end(self) -> Result<(), Status> {
        match self.rest.as_slice() {
            [] => Ok(()),
            _ => Err(Status::invalid_argument("the last line has no end")),
        }
    }
}

fn user(line: &[u8]) -> Result<Option<CreateUserRequest>, Status> {
    let malformed = || Status::invalid_argument("each line has an id and a display name");
    let line = std::str::from_utf8(line).map_err(|_| malformed())?;
    if line == HEADER {
        return Ok(None);
    }
    let (id, display_name) = line.trim_end().split_once(',').ok_or_else(malformed)?;
    let user = User { display_name: display_name.into(), ..User::default() };
    Ok(Some(CreateUserRequest { id: id.into(), user: Some(user) }))
}
