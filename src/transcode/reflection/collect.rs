//! The files that a server has given, and those that are still missing. Pure.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message;

use super::{
    error::ReflectionError,
    messages::{FileHead, Files},
};

/// What is taken from a server at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) services: usize,
    pub(super) files: usize,
    pub(super) bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { services: 1_000, files: 4_000, bytes: 16 * 1024 * 1024 }
    }
}

/// The files so far.
#[derive(Debug, Default)]
pub(super) struct Collected {
    files: BTreeMap<String, Bytes>,
    services: BTreeSet<String>,
    /// Names that were imported, and are not there.
    missing: BTreeSet<String>,
    /// Names that the server does not have. Whether they are needed shows when the types are compiled.
    absent: BTreeSet<String>,
    bytes: usize,
}

/// A `FileDescriptorSet`, of files that are encoded already: in the wire format, they look the same.
#[derive(Clone, PartialEq, Message)]
struct Set {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

impl Collected {
    /// Adds files of an answer. Of a file that came before, the first stays.
    pub(super) fn add(&mut self, files: Files, bounds: &Bounds) -> Result<(), ReflectionError> {
        for file in files.file {
            let head = FileHead::decode(file.clone())
                .map_err(|error| ReflectionError::because("it sent a file that is none", error))?;
            if head.name.is_empty() {
                return Err(ReflectionError::new("it sent a file without a name"));
            }
            if self.files.contains_key(&head.name) {
                continue;
            }
            self.bytes = self.bytes.saturating_add(file.len());
            self.note(&head);
            self.files.insert(head.name, file);
            if self.bytes > bounds.bytes {
                return Err(too_much(bounds.bytes, "bytes of descriptors"));
            }
            // What is missing will be asked for, and counts as well.
            if self.files.len() + self.missing.len() > bounds.files {
                return Err(too_much(bounds.files, "files"));
            }
        }
        Ok(())
    }

    fn note(&mut self, head: &FileHead) {
        self.missing.remove(&head.name);
        let unknown = |name: &&String| {
            !self.files.contains_key(*name) && !self.absent.contains(*name) && **name != head.name
        };
        let missing: Vec<_> = head.dependency.iter().filter(unknown).cloned().collect();
        self.missing.extend(missing);
        self.services.extend(head.service.iter().map(|service| match head.package.as_str() {
            "" => service.name.clone(),
            package => format!("{package}.{}", service.name),
        }));
    }

    /// Takes the names of the files that have to be asked for: each of them once.
    pub(super) fn take_missing(&mut self) -> Vec<String> {
        let missing = std::mem::take(&mut self.missing);
        self.absent.extend(missing.iter().cloned());
        missing.into_iter().collect()
    }

    pub(super) fn has(&self, file: &str) -> bool {
        self.files.contains_key(file)
    }

    pub(super) fn declares(&self, service: &str) -> bool {
        self.services.contains(service)
    }

    /// The encoded `FileDescriptorSet`, in the order of names.
    pub(super) fn into_set(self) -> Bytes {
        Set { file: self.files.into_values().collect() }.encode_to_vec().into()
    }
}

pub(super) fn too_much(bound: usize, what: &str) -> ReflectionError {
    ReflectionError::new(format!("it has more than {bound} {what}; give a descriptor set instead"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, imports: &[&str]) -> Bytes {
        let head = FileHead {
            name: name.into(),
            package: "p".into(),
            dependency: imports.iter().map(|it| (*it).to_owned()).collect(),
            service: vec![],
        };
        head.encode_to_vec().into()
    }

    fn files(file: impl IntoIterator<Item = Bytes>) -> Files {
        Files { file: file.into_iter().collect() }
    }

    #[test]
    fn each_missing_file_is_asked_for_once() {
        let mut collected = Collected::default();
        let all = Bounds::default();
        collected.add(files([file("a", &["b", "c"])]), &all).unwrap();
        assert_eq!(collected.take_missing(), ["b", "c"]);
        collected.add(files([file("b", &["a", "c", "d", "b"])]), &all).unwrap();
        assert_eq!(collected.take_missing(), ["d"], "c is known to be missing, a is a cycle");
        assert!(collected.has("b") && !collected.has("c"));
        let set = Set::decode(collected.into_set()).unwrap();
        assert_eq!(set.file, [file("a", &["b", "c"]), file("b", &["a", "c", "d", "b"])]);
    }

    #[test]
    fn no_more_is_kept_than_the_bounds_say() {
        let bounds = Bounds { files: 3, bytes: 100, ..Bounds::default() };
        let refused = |sent: Vec<Bytes>| {
            Collected::default().add(files(sent), &bounds).unwrap_err().to_string()
        };
        assert!(refused(vec![file("a", &["b", "c", "d"])]).contains("more than 3 files"));
        assert!(refused(vec![file(&"a".repeat(100), &[])]).contains("more than 100 bytes"));
        assert!(refused(vec![file("", &[])]).contains("without a name"));
        assert!(refused(vec![Bytes::from_static(b"\x0a\xff")]).contains("file that is none"));
        let twice = files([file("a", &[]), file("a", &["b"]), file("b", &[])]);
        Collected::default().add(twice, &bounds).unwrap();
    }
}
