//! What files declare: a walk over them that gives every message and enum its place.

use std::collections::HashMap;

use super::{
    EnumId, MessageId, Named,
    comments::Comments,
    features::Features,
    raw::{Descriptor, EnumDescriptor, FieldDescriptor, File},
};
use crate::config_error::Mistakes;

/// A message and where it stands.
pub(super) struct DeclaredMessage<'a> {
    pub(super) name: String,
    pub(super) raw: &'a Descriptor,
    pub(super) features: Features,
    pub(super) path: Vec<i32>,
    pub(super) file: usize,
}

pub(super) struct DeclaredEnum<'a> {
    pub(super) name: String,
    pub(super) raw: &'a EnumDescriptor,
    pub(super) features: Features,
    pub(super) path: Vec<i32>,
    pub(super) file: usize,
}

/// An extension, and the scope that it is named in.
pub(super) struct DeclaredExtension<'a> {
    pub(super) name: String,
    pub(super) raw: &'a FieldDescriptor,
    pub(super) features: Features,
    pub(super) file: usize,
}

/// Everything that the files declare, by place.
#[derive(Default)]
pub(super) struct Declared<'a> {
    pub(super) files: Vec<&'a File>,
    pub(super) comments: Vec<Comments<'a>>,
    pub(super) messages: Vec<DeclaredMessage<'a>>,
    pub(super) enums: Vec<DeclaredEnum<'a>>,
    pub(super) extensions: Vec<DeclaredExtension<'a>>,
    pub(super) named: HashMap<Box<str>, Named>,
    /// The names that were declared twice.
    pub(super) twice: Vec<String>,
}

/// Where a type is declared: the scope's name, its features, its path.
struct Scope<'s> {
    name: &'s str,
    features: Features,
    path: &'s [i32],
    file: usize,
}

impl Scope<'_> {
    fn full_name(&self, name: &str) -> String {
        match self.name {
            "" => name.to_owned(),
            scope => format!("{scope}.{name}"),
        }
    }

    fn path(&self, field: i32, place: usize) -> Vec<i32> {
        [self.path, &[field, place as i32]].concat()
    }
}

impl<'a> Declared<'a> {
    pub(super) fn file(&mut self, file: &'a File, mistakes: &mut Mistakes) {
        match Features::of_file(file) {
            Ok(features) => self.scope_of(file, features),
            Err(why) => mistakes.add(format!("{}: {why}", file.name)),
        }
        for name in self.twice.drain(..) {
            mistakes.add(format!("{}: `{name}` is declared twice", file.name));
        }
    }

    /// A file of ours: what the user's files have declared already stays theirs.
    pub(super) fn builtin(&mut self, file: &'a File) {
        if let Ok(features) = Features::of_file(file) {
            self.scope_of(file, features);
        }
        self.twice.clear();
    }

    fn scope_of(&mut self, file: &'a File, features: Features) {
        let place = self.files.len();
        self.files.push(file);
        self.comments.push(Comments::of(file));
        let scope = Scope { name: &file.package, features, path: &[], file: place };
        for (n, message) in file.message_type.iter().enumerate() {
            self.message(message, &scope, scope.path(4, n));
        }
        for (n, raw) in file.enum_type.iter().enumerate() {
            self.enumeration(raw, &scope, scope.path(5, n));
        }
        self.extend(&file.extension, &scope);
    }

    fn message(&mut self, raw: &'a Descriptor, outer: &Scope<'_>, path: Vec<i32>) {
        let name = outer.full_name(&raw.name);
        let said = raw.options.as_ref().and_then(|options| options.features.as_ref());
        let features = outer.features.with(said);
        if !self.name(&name, Named::Message(MessageId(self.messages.len() as u32))) {
            return;
        }
        let scope = Scope { name: &name, features, path: &path, file: outer.file };
        let (name, path) = (name.clone(), path.clone());
        self.messages.push(DeclaredMessage { name, raw, features, path, file: outer.file });
        for (n, nested) in raw.nested_type.iter().enumerate() {
            self.message(nested, &scope, scope.path(3, n));
        }
        for (n, nested) in raw.enum_type.iter().enumerate() {
            self.enumeration(nested, &scope, scope.path(4, n));
        }
        self.extend(&raw.extension, &scope);
    }

    fn enumeration(&mut self, raw: &'a EnumDescriptor, scope: &Scope<'_>, path: Vec<i32>) {
        let name = scope.full_name(&raw.name);
        let said = raw.options.as_ref().and_then(|options| options.features.as_ref());
        let features = scope.features.with(said);
        if self.name(&name, Named::Enum(EnumId(self.enums.len() as u32))) {
            self.enums.push(DeclaredEnum { name, raw, features, path, file: scope.file });
        }
    }

    fn extend(&mut self, extensions: &'a [FieldDescriptor], scope: &Scope<'_>) {
        self.extensions.extend(extensions.iter().map(|raw| DeclaredExtension {
            name: scope.full_name(&raw.name),
            raw,
            features: scope.features,
            file: scope.file,
        }));
    }

    /// Takes a name; `false` if it is taken.
    fn name(&mut self, name: &str, named: Named) -> bool {
        if self.named.contains_key(name) {
            self.twice.push(name.to_owned());
            return false;
        }
        self.named.insert(name.into(), named);
        true
    }
}
