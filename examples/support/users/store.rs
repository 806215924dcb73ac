//! The users in memory.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use example_proto::{
    google::api::HttpBody,
    users::v1::{
        Address, CreateUserRequest, ImportUsersResponse, ListUsersRequest, ListUsersResponse,
        UpdateUserRequest, User, UserEvent, UserFilter, list_users_request::Order,
        user_event::Kind,
    },
};
use prost_types::Timestamp;
use tokio::sync::broadcast;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower_gateway::clock::Clock;

/// Changes that a watcher may fall behind before it is told that it missed some.
const BACKLOG: usize = 1024;

pub struct Store {
    users: Mutex<Table>,
    changes: broadcast::Sender<UserEvent>,
}

#[derive(Default)]
struct Table {
    by_name: BTreeMap<String, User>,
    avatars: BTreeMap<String, HttpBody>,
    sequence: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self { users: Mutex::default(), changes: broadcast::Sender::new(BACKLOG) }
    }
}

impl Store {
    pub fn get(&self, id: &str) -> Result<User, Status> {
        let name = format!("users/{id}");
        self.table().by_name.get(&name).cloned().ok_or_else(|| not_found(&name))
    }

    pub fn all(&self) -> Vec<User> {
        self.table().by_name.values().cloned().collect()
    }

    pub fn list(&self, request: &ListUsersRequest) -> Result<ListUsersResponse, Status> {
        let size = match request.page_size {
            0 => 50,
            size @ 1..=1000 => size as usize,
            _ => return Err(invalid("page_size", "from 1 to 1000")),
        };
        let from: usize = match request.page_token.as_str() {
            "" => 0,
            token => token.parse().map_err(|_| invalid("page_token", "not one of ours"))?,
        };
        let mut users = self.all();
        users.retain(|user| is_selected(user, request));
        match request.order() {
            Order::Unspecified | Order::Name => {}
            Order::DisplayName => users.sort_by(|a, b| a.display_name.cmp(&b.display_name)),
            Order::Newest => users.sort_by_key(|user| std::cmp::Reverse(created(user))),
        }
        let next = from.saturating_add(size);
        let next_page_token = if next < users.len() { next.to_string() } else { String::new() };
        let users = users.into_iter().skip(from).take(size).collect();
        Ok(ListUsersResponse { users, next_page_token })
    }

    pub fn create(&self, request: CreateUserRequest) -> Result<User, Status> {
        let mut user = request.user.ok_or_else(|| invalid("user", "is missing"))?;
        if user.display_name.is_empty() {
            return Err(invalid("user.display_name", "must not be empty"));
        }
        if request.id.contains('/') {
            return Err(invalid("id", "must be one segment"));
        }
        let mut table = self.table();
        let id = Some(request.id).filter(|id| !id.is_empty());
        user.name = format!("users/{}", id.unwrap_or_else(|| table.sequence.to_string()));
        user.create_time = Some(now());
        if table.by_name.contains_key(&user.name) {
            return Err(Status::already_exists(format!("{} exists", user.name)));
        }
        table.by_name.insert(user.name.clone(), user.clone());
        self.tell(&mut table, Kind::Created, &user);
        Ok(user)
    }

    /// Creates a user, or notes that there is one of this name already.
    pub fn import(
        &self,
        request: CreateUserRequest,
        outcome: &mut ImportUsersResponse,
    ) -> Result<(), Status> {
        let name = format!("users/{}", request.id);
        match self.create(request) {
            Ok(_) => outcome.created += 1,
            Err(status) if status.code() == Code::AlreadyExists => outcome.skipped.push(name),
            Err(status) => return Err(status),
        }
        Ok(())
    }

    pub fn update(&self, request: UpdateUserRequest) -> Result<User, Status> {
        let new = request.user.ok_or_else(|| invalid("user", "is missing"))?;
        let mut table = self.table();
        let old = table.by_name.get_mut(&new.name).ok_or_else(|| not_found(&new.name))?;
        let mut changed = old.clone();
        match request.update_mask {
            Some(mask) => {
                mask.paths.iter().try_for_each(|path| assign(path, &new, &mut changed))?;
            }
            None => changed = User { create_time: old.create_time, ..new },
        }
        *old = changed.clone();
        self.tell(&mut table, Kind::Updated, &changed);
        Ok(changed)
    }

    pub fn delete(&self, id: &str) -> Result<(), Status> {
        let name = format!("users/{id}");
        let mut table = self.table();
        let user = table.by_name.remove(&name).ok_or_else(|| not_found(&name))?;
        table.avatars.remove(&name);
        self.tell(&mut table, Kind::Deleted, &user);
        Ok(())
    }

    pub fn avatar(&self, id: &str) -> Result<HttpBody, Status> {
        let name = format!("users/{id}");
        self.table().avatars.get(&name).cloned().ok_or_else(|| not_found(&name))
    }

    pub fn set_avatar(&self, id: &str, image: HttpBody) -> Result<(), Status> {
        let name = self.get(id)?.name;
        self.table().avatars.insert(name, image);
        Ok(())
    }

    /// The users as they are, one or all, and the changes after that.
    pub fn watch(&self, id: &str) -> Result<(Vec<User>, broadcast::Receiver<UserEvent>), Status> {
        let table = self.table(); // held, so that no change falls between the two
        let changes = self.changes.subscribe();
        let name = format!("users/{id}");
        let existing = match id {
            "" => table.by_name.values().cloned().collect(),
            _ => vec![table.by_name.get(&name).cloned().ok_or_else(|| not_found(&name))?],
        };
        Ok((existing, changes))
    }

    fn tell(&self, table: &mut Table, kind: Kind, user: &User) {
        table.sequence += 1;
        let event =
            UserEvent { kind: kind.into(), user: Some(user.clone()), sequence: table.sequence };
        let _ = self.changes.send(event); // fails when nobody watches
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn now() -> Timestamp {
    let now = Clock::system().unix();
    Timestamp { seconds: now.as_secs() as i64, nanos: now.subsec_nanos() as i32 }
}

pub fn not_found(name: &str) -> Status {
    let details = ErrorDetails::with_resource_info("users.v1.User", name, "", "does not exist");
    Status::with_error_details(Code::NotFound, format!("{name} does not exist"), details)
}

fn invalid(field: &str, why: &str) -> Status {
    let details = ErrorDetails::with_bad_request_violation(field, why);
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {why}"), details)
}

fn created(user: &User) -> (i64, i32) {
    user.create_time.map_or((0, 0), |at| (at.seconds, at.nanos))
}

fn is_selected(user: &User, request: &ListUsersRequest) -> bool {
    let in_group = request.group.is_empty() || user.groups.contains(&request.group);
    let Some(UserFilter { roles, created_since, city }) = &request.filter else { return in_group };
    in_group
        && (roles.is_empty() || roles.contains(&user.role))
        && created_since.is_none_or(|since| created(user) >= (since.seconds, since.nanos))
        && (city.is_empty() || user.address.as_ref().is_some_and(|it| it.city == *city))
}

/// Copies the field that a mask's path names.
fn assign(path: &str, from: &User, to: &mut User) -> Result<(), Status> {
    let address = from.address.clone().unwrap_or_default();
    let from = from.clone();
    fn home(user: &mut User) -> &mut Address {
        user.address.get_or_insert_default()
    }
    match path {
        "name" => {}
        "display_name" => to.display_name = from.display_name,
        "role" => to.role = from.role,
        "email" | "phone" => to.contact = from.contact,
        "labels" => to.labels = from.labels,
        "groups" => to.groups = from.groups,
        "address" => to.address = from.address,
        "address.street" => home(to).street = address.street,
        "address.city" => home(to).city = address.city,
        "address.country" => home(to).country = address.country,
        "session_length" => to.session_length = from.session_length,
        "nickname" => to.nickname = from.nickname,
        "quota_bytes" => to.quota_bytes = from.quota_bytes,
        "key_digest" => to.key_digest = from.key_digest,
        "settings" => to.settings = from.settings,
        "attachments" => to.attachments = from.attachments,
        "trust" => to.trust = from.trust,
        _ => return Err(invalid("update_mask", &format!("{path:?} cannot be changed"))),
    }
    Ok(())
}
