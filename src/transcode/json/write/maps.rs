//! Map fields: repeated messages of a key and a value, of which the last one of a key holds.

use std::{
    collections::{HashMap, HashSet, hash_map},
    mem,
};

use smallvec::{SmallVec, smallvec};

use super::{
    Pass, Stop, numbers, text,
    value::{Laid, Raw},
};
use crate::transcode::{
    types::{Field, Kind},
    wire::{Broken, Reader, WireType},
};

/// An entry's key, and what it has as its value: several messages are one.
struct Entry<'a> {
    key: Raw<'a>,
    values: SmallVec<[Raw<'a>; 1]>,
}

/// The kinds of an entry's key and value.
#[derive(Clone, Copy)]
struct Kinds {
    key: Kind,
    value: Kind,
}

/// The keys that have come: few are looked through, many are looked up.
#[allow(clippy::large_enum_variant, reason = "on the stack, and so that few keys need no heap")]
enum Keys<'a> {
    Few(SmallVec<[Raw<'a>; 16]>),
    Many(HashSet<Raw<'a>>),
}

impl<'a> Keys<'a> {
    /// `false` if the key has come before.
    fn insert(&mut self, key: Raw<'a>) -> bool {
        match self {
            Self::Many(keys) => keys.insert(key),
            Self::Few(keys) if keys.contains(&key) => false,
            Self::Few(keys) if keys.len() < keys.inline_size() => {
                keys.push(key);
                true
            }
            Self::Few(keys) => {
                *self = Self::Many(keys.drain(..).chain([key]).collect());
                true
            }
        }
    }
}

impl<'a> Pass<'a, '_> {
    /// A map field; nothing if it has no entry.
    pub(super) fn map(
        &mut self,
        field: &Field,
        entries: impl Iterator<Item = Result<Laid<'a>, Broken>>,
        depth: u32,
    ) -> Result<(), Stop> {
        let start = self.out.len();
        self.key(field);
        if self.entries(field.kind, entries, depth)? || self.options.defaults {
            return self.comma();
        }
        self.out.truncate(start);
        Ok(())
    }

    /// An object of entries, which are messages of this kind; whether there is any.
    pub(super) fn entries(
        &mut self,
        kind: Kind,
        entries: impl Iterator<Item = Result<Laid<'a>, Broken>>,
        depth: u32,
    ) -> Result<bool, Stop> {
        self.out.push(b'{');
        let kinds = self.kinds(kind)?;
        let mut keys = Keys::Few(SmallVec::new());
        let mut any = false;
        for entry in entries {
            let Some(entry) = self.entry(kinds, entry?)? else { continue };
            if !keys.insert(entry.key) {
                return Err(Stop::Disorder);
            }
            self.entry_key(kinds.key, entry.key)?;
            let values = entry.values.iter().map(|raw| (kinds.value.wire_type(), *raw));
            self.merged(kinds.value, values, depth + 1).map_err(|stop| at_key(stop, entry.key))?;
            self.comma()?;
            any = true;
        }
        self.close(b'}');
        Ok(any)
    }

    /// The entries that hold: of each key the last one.
    pub(super) fn last_of_keys(
        &self,
        kind: Kind,
        entries: impl Iterator<Item = Laid<'a>>,
        depth: u32,
    ) -> Result<Vec<Laid<'a>>, Stop> {
        let kinds = self.kinds(kind)?;
        let (mut last, mut kept) = (HashMap::new(), Vec::new());
        for laid in entries {
            let Some(entry) = self.entry(kinds, laid)? else { continue };
            match last.entry(entry.key) {
                hash_map::Entry::Vacant(place) => {
                    place.insert(kept.len());
                    kept.push(laid);
                }
                hash_map::Entry::Occupied(place) => {
                    let overridden = mem::replace(&mut kept[*place.get()], laid);
                    self.check(kind, overridden.1, depth)?;
                }
            }
        }
        Ok(kept)
    }

    fn kinds(&self, kind: Kind) -> Result<Kinds, Stop> {
        let entry = kind.message().and_then(|id| self.types.message(id).entry());
        let (key, value) = entry.ok_or_else(|| Stop::fault("a map whose entries have no value"))?;
        Ok(Kinds { key: key.kind, value: value.kind })
    }

    /// Reads an entry; `None` if it is none that is known. Its value may be missing, or of an unknown enum value,
    /// which makes the whole entry an unknown field.
    fn entry(&self, kinds: Kinds, laid: Laid<'a>) -> Result<Option<Entry<'a>>, Stop> {
        let (WireType::Bytes, Raw::Bytes(bytes)) = laid else { return Ok(None) };
        let (mut key, mut values) = (None, SmallVec::new());
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let (number, wire) = reader.tag()?;
            let raw = Raw::read(&mut reader, number, wire)?;
            match number {
                1 if wire == kinds.key.wire_type() => {
                    if let Some(overridden) = key.replace(raw.of(kinds.key)) {
                        self.check(kinds.key, overridden, 0)?;
                    }
                }
                2 if wire == kinds.value.wire_type() => values.push(raw),
                _ => {}
            }
        }
        let known = values.last().is_none_or(|value| self.is_known(kinds.value, *value));
        if values.is_empty() {
            values = smallvec![self.zero(kinds.value)];
        }
        let key = key.unwrap_or_else(|| self.zero(kinds.key));
        Ok(known.then_some(Entry { key, values }))
    }

    /// Every key is a string.
    fn entry_key(&mut self, kind: Kind, key: Raw<'_>) -> Result<(), Stop> {
        match key {
            Raw::Bytes(bytes) => text::put(self.out, bytes)?,
            Raw::Number(bits) => {
                self.out.push(b'"');
                match kind {
                    Kind::Bool => numbers::put(self.out, kind, bits, self.options),
                    _ => numbers::put_integer(self.out, kind, bits),
                }
                self.out.push(b'"');
            }
        }
        self.out.push(b':');
        Ok(())
    }
}

#[cold]
fn at_key(stop: Stop, key: Raw<'_>) -> Stop {
    match (stop, key) {
        (Stop::Fault(fault), Raw::Bytes(key)) => {
            Stop::Fault(fault.in_field(&String::from_utf8_lossy(key)))
        }
        (Stop::Fault(fault), Raw::Number(key)) => Stop::Fault(fault.in_field(&key.to_string())),
        (stop, _) => stop,
    }
}
