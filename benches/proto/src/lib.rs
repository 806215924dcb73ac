//! A library's messages, and one of each size: what a REST client gets for one book, and for a page of them.

#![allow(missing_docs, clippy::all)] // the code is generated

include!(concat!(env!("OUT_DIR"), "/library.rs"));
include!(concat!(env!("OUT_DIR"), "/library.serde.rs"));

/// The descriptor set of all this.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

/// About 600 bytes of JSON.
pub fn book(n: i64) -> Book {
    Book {
        name: format!("shelves/7/books/{n}"),
        title: format!("The Rust Programming Language, volume {n}"),
        id: 9_007_199_254_740_993 + n,
        pages: 552,
        price: 39.95 + n as f64,
        in_print: true,
        genre: Genre::Science.into(),
        published_time: Some(pbjson_types::Timestamp { seconds: 1_687_910_400 + n, nanos: 0 }),
        authors: vec![
            Author { display_name: "Carol Nichols".into(), id: 1_001, country: "US".into() },
            Author { display_name: "Steve Klabnik".into(), id: 1_002, country: "US".into() },
        ],
        publisher: Some(Publisher {
            name: "No Starch Press".into(),
            city: "San Francisco".into(),
            founded_year: 1994,
        }),
        labels: [("language", "en"), ("format", "paperback")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        tags: vec!["programming".into(), "systems".into(), "rust".into()],
        ratings: vec![5, 4, 5, 5, 3],
        subtitle: None,
        shelf: Some(book::Shelf::ShelfNumber(7)),
        cover_hash: vec![0xab; 16],
    }
}

/// About 30 KB of JSON.
pub fn page() -> ListBooksResponse {
    ListBooksResponse {
        books: (0..50).map(book).collect(),
        next_page_token: "CAoSBDIwMjY".into(),
        total_size: 1_250,
    }
}
