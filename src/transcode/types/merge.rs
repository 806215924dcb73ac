//! Several descriptor sets as one.

use std::collections::{BTreeMap, btree_map::Entry};

use prost::Message as _;

use super::raw::{File, FileSet};
use crate::config_error::Mistakes;

/// The well-known types, the messages of `google.rpc` and `google.api.HttpBody`: a set need not bring them.
const BUILTIN: &[u8] = include_bytes!("builtin.binpb");

/// The files of all sets, by name. A file that several sets have must be the same in each.
pub(super) fn files(sets: &[impl AsRef<[u8]>], mistakes: &mut Mistakes) -> BTreeMap<String, File> {
    let mut files = BTreeMap::new();
    for (n, set) in sets.iter().enumerate() {
        match FileSet::decode(set.as_ref()) {
            Ok(set) => set.file.into_iter().for_each(|file| add(&mut files, file, mistakes)),
            Err(_) => mistakes.add(format!(
                "descriptor set {}: not a google.protobuf.FileDescriptorSet; give its encoded bytes",
                n + 1
            )),
        }
    }
    files
}

/// The files that are built in; where the user's declare the same types, the user's count.
pub(super) fn builtin() -> Vec<File> {
    FileSet::decode(BUILTIN).expect("the built-in set is compiled and tested").file
}

fn add(files: &mut BTreeMap<String, File>, file: File, mistakes: &mut Mistakes) {
    match files.entry(file.name.clone()) {
        Entry::Vacant(place) => drop(place.insert(file)),
        Entry::Occupied(mut known) if same(known.get(), &file) => {
            if known.get().source_code_info.is_none() {
                known.insert(file); // the one with comments
            }
        }
        Entry::Occupied(_) => mistakes.add(format!(
            "{}: two descriptor sets have files of this name, and they differ",
            file.name
        )),
    }
}

/// Whether they declare the same, comments aside.
fn same(one: &File, other: &File) -> bool {
    let bare = |file: &File| File { source_code_info: None, ..file.clone() };
    bare(one) == bare(other)
}
