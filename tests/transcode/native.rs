//! The users service by itself, through tonic's client: what transcoding is measured against.

use example_proto::users::v1::{
    CreateUserRequest, DeleteUserRequest, GetUserRequest, UpdateUserRequest, User,
    WatchUsersRequest, user_event::Kind, users_client::UsersClient, users_server::UsersServer,
};
use futures_util::StreamExt;
use tonic::Code;
use tonic_types::StatusExt;

use crate::users::Users;

fn client() -> UsersClient<UsersServer<Users>> {
    UsersClient::new(UsersServer::new(Users::default()))
}

fn ada() -> CreateUserRequest {
    let user = User { display_name: "Ada".into(), ..User::default() };
    CreateUserRequest { id: "ada".into(), user: Some(user) }
}

#[tokio::test]
async fn keeps_users() {
    let mut client = client();
    let created = client.create_user(ada()).await.unwrap().into_inner();
    assert_eq!(created.name, "users/ada");
    let update = UpdateUserRequest {
        user: Some(User { display_name: "Lady Ada".into(), ..created }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["display_name".into()] }),
    };
    client.update_user(update).await.unwrap();
    let got = client.get_user(GetUserRequest { id: "ada".into() }).await.unwrap().into_inner();
    assert_eq!(got.display_name, "Lady Ada");
    let again = client.create_user(ada()).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn who_is_missing_is_told_in_details() {
    let status = client().get_user(GetUserRequest { id: "bob".into() }).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let resource = status.get_details_resource_info().unwrap();
    assert_eq!(resource.resource_name, "users/bob");
}

#[tokio::test]
async fn a_watch_fails_once_its_user_is_gone() {
    let mut client = client();
    client.create_user(ada()).await.unwrap();
    let watch = WatchUsersRequest { id: "ada".into(), limit: 0 };
    let mut events = client.watch_users(watch).await.unwrap().into_inner();
    client.delete_user(DeleteUserRequest { id: "ada".into() }).await.unwrap();
    assert_eq!(events.message().await.unwrap().unwrap().kind(), Kind::Exists);
    assert_eq!(events.message().await.unwrap_err().code(), Code::NotFound);
    assert!(events.next().await.is_none());
}
