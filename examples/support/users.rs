//! The users service in memory, as a tonic service: what the examples put REST in front of.
//!
//! `UsersServer::new(Users::default())` serves it. `users/store.rs` keeps the users; here is what gRPC sees of them.

use example_proto::{
    google::api::HttpBody,
    users::v1::{
        BatchGetUsersRequest, BatchGetUsersResponse, ChatMessage, CreateUserRequest,
        DeleteUserRequest, GetAvatarRequest, GetUserRequest, ImportUsersResponse, ListUsersRequest,
        ListUsersResponse, UpdateUserRequest, UploadAvatarRequest, User, UserEvent,
        WatchUsersRequest, user_event::Kind, users_server,
    },
};
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::broadcast::error::RecvError;
use tonic::{Request, Response, Status, Streaming};

#[path = "users/store.rs"]
mod store;
#[path = "users/table.rs"]
mod table;

use self::store::Store;

/// The service. Clones share their users.
#[derive(Clone, Default)]
pub struct Users(std::sync::Arc<Store>);

type Answer<T> = Result<Response<T>, Status>;
type Events<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl users_server::Users for Users {
    type WatchUsersStream = Events<UserEvent>;
    type ChatStream = Events<ChatMessage>;
    type DownloadExportStream = Events<HttpBody>;

    async fn get_user(&self, request: Request<GetUserRequest>) -> Answer<User> {
        self.0.get(&request.into_inner().id).map(Response::new)
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Answer<ListUsersResponse> {
        self.0.list(&request.into_inner()).map(Response::new)
    }

    async fn batch_get_users(
        &self,
        request: Request<BatchGetUsersRequest>,
    ) -> Answer<BatchGetUsersResponse> {
        let BatchGetUsersRequest { ids } = request.into_inner();
        let users = ids.iter().map(|id| self.0.get(id)).collect::<Result<_, _>>()?;
        Ok(Response::new(BatchGetUsersResponse { users }))
    }

    async fn create_user(&self, request: Request<CreateUserRequest>) -> Answer<User> {
        self.0.create(request.into_inner()).map(Response::new)
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Answer<User> {
        self.0.update(request.into_inner()).map(Response::new)
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Answer<()> {
        self.0.delete(&request.into_inner().id).map(Response::new)
    }

    async fn watch_users(
        &self,
        request: Request<WatchUsersRequest>,
    ) -> Answer<Self::WatchUsersStream> {
        let WatchUsersRequest { id, limit } = request.into_inner();
        let watched = (!id.is_empty()).then(|| format!("users/{id}"));
        let (existing, changes) = self.0.watch(&id)?;
        let existing = stream::iter(existing)
            .map(|user| Ok(UserEvent { kind: Kind::Exists.into(), user: Some(user), sequence: 0 }));
        let changes = stream::unfold(changes, |mut changes| async {
            match changes.recv().await {
                Ok(event) => Some((Ok(event), changes)),
                Err(RecvError::Lagged(_)) => {
                    Some((Err(Status::data_loss("too slow: changes were missed")), changes))
                }
                Err(RecvError::Closed) => None,
            }
        });
        let events = existing.chain(changes).filter_map(move |event| {
            let event = event.and_then(|event| of_interest(event, watched.as_deref()));
            std::future::ready(event.transpose())
        });
        let limit = if limit > 0 { limit as usize } else { usize::MAX };
        Ok(Response::new(until_failure(events.take(limit)).boxed()))
    }

    async fn import_users(
        &self,
        request: Request<Streaming<CreateUserRequest>>,
    ) -> Answer<ImportUsersResponse> {
        let mut users = request.into_inner();
        let mut outcome = ImportUsersResponse::default();
        while let Some(user) = users.message().await? {
            self.0.import(user, &mut outcome)?;
        }
        Ok(Response::new(outcome))
    }

    async fn chat(&self, request: Request<Streaming<ChatMessage>>) -> Answer<Self::ChatStream> {
        let answers = request.into_inner().map_ok(|said| ChatMessage {
            author: "users".into(),
            text: format!("hello {}, you said: {}", said.author, said.text),
            at: Some(store::now()),
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn get_avatar(&self, request: Request<GetAvatarRequest>) -> Answer<HttpBody> {
        self.0.avatar(&request.into_inner().id).map(Response::new)
    }

    async fn upload_avatar(&self, request: Request<UploadAvatarRequest>) -> Answer<()> {
        let UploadAvatarRequest { id, image } = request.into_inner();
        self.0.set_avatar(&id, image.unwrap_or_default()).map(Response::new)
    }

    async fn download_export(&self, _: Request<()>) -> Answer<Self::DownloadExportStream> {
        let lines = std::iter::once(table::HEADER.to_owned())
            .chain(self.0.all().into_iter().map(|user| table::line(&user)));
        let pieces = lines.map(|line| {
            Ok(HttpBody { content_type: "text/csv".into(), data: line.into(), extensions: vec![] })
        });
        Ok(Response::new(stream::iter(pieces.collect::<Vec<_>>()).boxed()))
    }

    async fn upload_export(
        &self,
        request: Request<Streaming<HttpBody>>,
    ) -> Answer<ImportUsersResponse> {
        let mut pieces = request.into_inner();
        let mut lines = table::Lines::default();
        let mut outcome = ImportUsersResponse::default();
        while let Some(piece) = pieces.message().await? {
            for user in lines.push(&piece.data)? {
                self.0.import(user, &mut outcome)?;
            }
        }
        lines.end()?;
        Ok(Response::new(outcome))
    }

    async fn ping(&self, _: Request<()>) -> Answer<()> {
        Ok(Response::new(()))
    }
}

/// The event if it is about `watched`; an error once that is gone.
fn of_interest(event: UserEvent, watched: Option<&str>) -> Result<Option<UserEvent>, Status> {
    let Some(watched) = watched else { return Ok(Some(event)) };
    let about = event.user.as_ref().is_some_and(|user| user.name == watched);
    match event.kind() {
        Kind::Deleted if about => Err(store::not_found(watched)),
        _ => Ok(about.then_some(event)),
    }
}

/// A gRPC stream ends with its first error.
fn until_failure<T>(
    events: impl stream::Stream<Item = Result<T, Status>>,
) -> impl stream::Stream<Item = Result<T, Status>> {
    events.scan(false, |failed, event| {
        let next = (!*failed).then_some(event);
        *failed |= matches!(next, Some(Err(_)));
        std::future::ready(next)
    })
}
