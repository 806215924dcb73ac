//! What JSON and wire bytes cost to turn into one another: nanoseconds and allocations, beside a dynamic message
//! (prost-reflect), generated code (prost and pbjson), and serde_json's parse of the same JSON as the floor.
//!
//! `cargo bench --all-features --bench transcode`. Each line is the fastest of many runs.

use std::hint::black_box;

use bench_proto::{Book, DESCRIPTORS, ListBooksResponse, book, page};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde::{Serialize, de::DeserializeOwned};
use tower_gateway::transcode::{JsonOptions, Schema};

#[path = "support/calls.rs"]
mod calls;
#[path = "support/cost.rs"]
mod cost;
#[path = "../examples/support/users.rs"]
#[allow(dead_code, unreachable_pub)]
mod users;
use cost::cost;

/// One message, in every form that a side needs.
struct Subject {
    what: &'static str,
    name: &'static str,
    schema: Schema,
    descriptor: MessageDescriptor,
    wire: Vec<u8>,
    json: Vec<u8>,
}

impl Subject {
    fn new(what: &'static str, name: &'static str, message: &impl Message) -> Self {
        let pool = DescriptorPool::decode(DESCRIPTORS).expect("protox made the set");
        let mut subject = Self {
            what,
            name,
            schema: Schema::from_descriptor_set(DESCRIPTORS).expect("protox made the set"),
            descriptor: pool.get_message_by_name(name).expect("the set has it"),
            wire: message.encode_to_vec(),
            json: Vec::new(),
        };
        subject.json = subject.dynamic_to_json(); // pbjson's has offsets in its times
        subject
    }

    fn report(&self, side: &str, operation: impl FnMut(usize)) {
        cost(operation).report(&format!("{}, {side}", self.what));
    }

    fn to_json(&self) -> Vec<u8> {
        self.schema.to_json(self.name, &self.wire, JsonOptions::new()).expect("it is one")
    }

    fn dynamic_to_json(&self) -> Vec<u8> {
        let message = DynamicMessage::decode(self.descriptor.clone(), self.wire.as_slice());
        serde_json::to_vec(&message.expect("it is one")).expect("it is printed")
    }

    fn to_wire(&self) -> Vec<u8> {
        self.schema.to_wire(self.name, &self.json, JsonOptions::new()).expect("it is one")
    }

    fn dynamic_to_wire(&self) -> Vec<u8> {
        let mut json = serde_json::Deserializer::from_slice(&self.json);
        let message = DynamicMessage::deserialize(self.descriptor.clone(), &mut json);
        message.expect("it is one").encode_to_vec()
    }

    fn typed_to_wire<T: Message + DeserializeOwned>(&self) -> Vec<u8> {
        serde_json::from_slice::<T>(&self.json).expect("it is one").encode_to_vec()
    }

    fn typed_to_json<T: Message + Default + Serialize>(&self) -> Vec<u8> {
        let message = T::decode(self.wire.as_slice()).expect("it is one");
        serde_json::to_vec(&message).expect("it is printed")
    }
}

fn write<T: Message + Default + Serialize>(subject: &Subject) {
    let same = |json: &[u8]| {
        let value = |json| serde_json::from_slice::<serde_json::Value>(json).expect("it is JSON");
        assert_eq!(value(json), value(&subject.json));
    };
    same(&subject.to_json());
    subject.report("wire to JSON", |_| drop(black_box(subject.to_json())));
    subject.report("wire to JSON, prost-reflect", |_| drop(black_box(subject.dynamic_to_json())));
    subject.report("wire to JSON, prost and pbjson", |_| {
        drop(black_box(subject.typed_to_json::<T>()));
    });
}

fn read<T: Message + Default + DeserializeOwned>(subject: &Subject) {
    let dynamic = |wire: &[u8]| DynamicMessage::decode(subject.descriptor.clone(), wire);
    assert_eq!(dynamic(&subject.to_wire()), dynamic(&subject.wire));
    subject.report("JSON to wire", |_| drop(black_box(subject.to_wire())));
    subject.report("JSON to wire, prost-reflect", |_| drop(black_box(subject.dynamic_to_wire())));
    subject.report("JSON to wire, prost and pbjson", |_| {
        drop(black_box(subject.typed_to_wire::<T>()));
    });
}

fn both<T: Message + Default + Serialize + DeserializeOwned>(subject: &Subject) {
    let (wire, json) = (subject.wire.len(), subject.json.len());
    println!("{}: {wire} bytes on the wire, {json} bytes of JSON", subject.what);
    write::<T>(subject);
    read::<T>(subject);
    subject.report("the floor: serde_json parses the JSON", |_| {
        let value = serde_json::from_slice::<serde_json::Value>(&subject.json);
        drop(black_box(value));
    });
}

fn main() {
    both::<Book>(&Subject::new("one", "library.Book", &book(1)));
    both::<ListBooksResponse>(&Subject::new("page", "library.ListBooksResponse", &page()));
    for (name, cost) in calls::measure() {
        cost.report(name);
    }
}
