//! Keys that are held in memory, whole.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;

use super::{digest::KeyDigest, key::Key, record::KeyRecord};
use crate::config_error::{ConfigError, Mistakes};

/// All keys, in memory: a known key is a look into a table, without a lock, and an unknown one too.
///
/// The table is read as a whole and changed as a whole: requests see the old or the new one, at once, and nothing
/// remembers the old one. Clones are handles of the same table, so keep one to change it by.
///
/// ```
/// use std::time::Duration;
/// use tower_gateway::auth::api_key::{KeyFactory, MemoryKeys};
///
/// let factory = KeyFactory::new("acme")?;
/// let first = factory.mint()?;
/// let keys = MemoryKeys::new([first.record("paula")])?;
///
/// // Rotation without an outage: both keys are good until the old one ends.
/// let second = factory.mint()?;
/// keys.rotate(&first.id(), second.record("paula"), Duration::from_secs(1_798_761_600))?;
/// assert_eq!(keys.len(), 2);
///
/// // A leaked key: at once.
/// assert!(keys.revoke(&first.id()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Where several gateways share the keys, change them in one place and [`replace`](Self::replace) the tables from
/// it, or use [`StoredKeys`](super::StoredKeys).
#[derive(Clone)]
pub struct MemoryKeys(Arc<Shared>);

struct Shared {
    table: ArcSwap<Table>,
    /// Held by whoever changes the table, so that no change is lost.
    change: Mutex<()>,
}

/// No two keys have one digest, or one id.
#[derive(Clone, Default)]
struct Table {
    keys: HashMap<KeyDigest, Arc<Key>>,
    ids: HashMap<String, KeyDigest>,
}

const WHAT: &str = "api_key";

impl MemoryKeys {
    /// The keys with these records; none is a possible number of them.
    ///
    /// A record whose key has expired is no mistake: a list that was good yesterday must not keep the gateway from
    /// starting today.
    ///
    /// # Errors
    ///
    /// When records have mistakes, or two have the same digest or id; all of that is listed.
    pub fn new(records: impl IntoIterator<Item = KeyRecord>) -> Result<Self, ConfigError> {
        let table = ArcSwap::from_pointee(Table::new(records)?);
        Ok(Self(Arc::new(Shared { table, change: Mutex::new(()) })))
    }

    /// The keys of a JSON document: an array of [records](KeyRecord).
    ///
    /// # Errors
    ///
    /// When it is no such document, and as [`new`](Self::new).
    pub fn from_json(document: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Self::new(read(document.as_ref())?)
    }

    /// Puts these keys in the place of all others, or changes nothing.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn replace(&self, records: impl IntoIterator<Item = KeyRecord>) -> Result<(), ConfigError> {
        let new = Table::new(records)?;
        self.change(|table| {
            *table = new;
            Ok(())
        })
    }

    /// Puts the keys of a JSON document in the place of all others, or changes nothing.
    ///
    /// # Errors
    ///
    /// As [`from_json`](Self::from_json).
    pub fn replace_json(&self, document: impl AsRef<[u8]>) -> Result<(), ConfigError> {
        self.replace(read(document.as_ref())?)
    }

    /// Adds a key.
    ///
    /// # Errors
    ///
    /// When the record has mistakes, or its digest or id is taken.
    pub fn insert(&self, record: KeyRecord) -> Result<(), ConfigError> {
        let key = Key::new(record)?;
        self.change(|table| table.add(key))
    }

    /// Adds a key and lets the old one end at `until`, since the epoch, if it does not end before: meanwhile its
    /// holder can change over.
    ///
    /// # Errors
    ///
    /// When no key has the id `old`, the new one is another consumer's, `until` is before the old one begins, and
    /// as [`insert`](Self::insert). Nothing has changed then.
    pub fn rotate(&self, old: &str, new: KeyRecord, until: Duration) -> Result<(), ConfigError> {
        let new = Key::new(new)?;
        self.change(|table| {
            let ending = match table.find(old).map(|it| it.record()) {
                None => Err(format!("there is no key `{}`", old.escape_debug())),
                Some(record) if record.consumer() != new.record().consumer() => {
                    Err("a key is rotated for its own consumer only".to_owned())
                }
                Some(record) => Ok(record.clone().ending(until)),
            };
            let ending = ending.map_err(|mistake| ConfigError::new(WHAT, mistake))?;
            let ending = Key::new(ending)?;
            table.remove(old);
            table.add(ending)?;
            table.add(new)
        })
    }

    /// Takes out the key with this id: from the next request on it is unknown. `false` if there is none.
    pub fn revoke(&self, id: &str) -> bool {
        self.change(|table| table.remove(id).ok_or(())).is_ok()
    }

    /// All records, by id: to be kept somewhere.
    pub fn records(&self) -> Vec<KeyRecord> {
        let table = self.0.table.load();
        let mut records: Vec<_> = table.keys.values().map(|key| key.record().clone()).collect();
        records.sort_by(|a, b| a.id().cmp(b.id()));
        records
    }

    /// How many keys there are, good or not.
    pub fn len(&self) -> usize {
        self.0.table.load().keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is to be done with the key that has one of these digests.
    pub(super) fn with<R>(
        &self,
        mut digests: impl Iterator<Item = KeyDigest>,
        then: impl FnOnce(Option<&Key>) -> R,
    ) -> R {
        let table = self.0.table.load();
        then(digests.find_map(|it| table.keys.get(&it)).map(|it| &**it))
    }

    /// One change at a time, on a copy that takes the table's place if all went well.
    fn change<R, E>(&self, change: impl FnOnce(&mut Table) -> Result<R, E>) -> Result<R, E> {
        let _one = self.0.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::clone(&self.0.table.load());
        let outcome = change(&mut table)?;
        self.0.table.store(Arc::new(table));
        Ok(outcome)
    }
}

impl fmt::Debug for MemoryKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryKeys({})", self.len())
    }
}

impl Table {
    fn new(records: impl IntoIterator<Item = KeyRecord>) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::of(WHAT);
        let mut table = Self::default();
        for record in records {
            mistakes.note(Key::new(record).and_then(|key| table.add(key)));
        }
        mistakes.or(table)
    }

    fn find(&self, id: &str) -> Option<&Arc<Key>> {
        self.keys.get(self.ids.get(id)?)
    }

    fn add(&mut self, key: Key) -> Result<(), ConfigError> {
        let (digest, id) = (*key.digest(), key.record().id());
        let mut mistakes = Mistakes::of(WHAT);
        if self.ids.contains_key(id) {
            mistakes.add(format!("id `{}` is given twice", id.escape_debug()));
        }
        if let Some(other) = self.keys.get(&digest) {
            let (id, other) = (id.escape_debug(), other.record().id().escape_debug());
            mistakes.add(format!("keys `{other}` and `{id}` have the same digest"));
        }
        mistakes.or(())?;
        self.ids.insert(id.to_owned(), digest);
        self.keys.insert(digest, Arc::new(key));
        Ok(())
    }

    fn remove(&mut self, id: &str) -> Option<Arc<Key>> {
        self.keys.remove(&self.ids.remove(id)?)
    }
}

fn read(document: &[u8]) -> Result<Vec<KeyRecord>, ConfigError> {
    serde_json::from_slice(document)
        .map_err(|error| ConfigError::new(WHAT, format!("no JSON array of key records: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::api_key::Hashing;

    fn digest(key: &str) -> KeyDigest {
        Hashing::sha256().digest(key)
    }

    fn record(key: &str, id: &str) -> KeyRecord {
        KeyRecord::new(digest(key), id, "paula")
    }

    /// The id of the key that is found.
    fn found(keys: &MemoryKeys, key: &str) -> Option<String> {
        keys.with([digest(key)].into_iter(), |it| it.map(|key| key.record().id().to_owned()))
    }

    #[test]
    fn every_mistake_of_every_record_is_listed() {
        let records = [
            record("a", "1"),
            record("b", "1"),
            record("a", "2"),
            record("c", ""),
            record("a", "1"),
        ];
        let error = MemoryKeys::new(records).unwrap_err();
        let expected = [
            "id `1` is given twice",
            "keys `1` and `2` have the same digest",
            "key `` has an empty id",
            "id `1` is given twice",
            "keys `1` and `1` have the same digest",
        ];
        assert_eq!(error.mistakes().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_document_that_is_none_changes_nothing_and_its_digests_are_not_repeated() {
        let keys = MemoryKeys::new([record("a", "1")]).unwrap();
        let good = serde_json::to_string(&keys.records()).unwrap();
        let key = "acme_0123456789abcdefghijklmnopqrst000000";
        for bad in
            ["", "{}", "[", "[{}]", &good.replace("id", "ids"), &good.replace("sha256:", key)]
        {
            let error = keys.replace_json(bad).unwrap_err().to_string();
            assert!(!error.contains(key), "{error}");
        }
        assert_eq!(found(&keys, "a").as_deref(), Some("1"));
        assert_eq!(MemoryKeys::from_json(good).unwrap().len(), 1);
        keys.replace_json("[]").unwrap();
        assert!(keys.is_empty() && found(&keys, "a").is_none());
    }

    #[test]
    fn keys_come_and_go_one_by_one() {
        let keys = MemoryKeys::new([]).unwrap();
        let handle = keys.clone();
        handle.insert(record("a", "1")).unwrap();
        assert!(
            handle.insert(record("a", "2")).is_err() && handle.insert(record("b", "1")).is_err()
        );
        assert_eq!((keys.len(), found(&keys, "a").as_deref()), (1, Some("1")));
        assert!(handle.revoke("1") && !handle.revoke("1"));
        assert_eq!((keys.len(), found(&keys, "a")), (0, None));
        handle.insert(record("a", "1")).unwrap();
    }

    #[test]
    fn rotation_changes_both_keys_or_none() {
        let keys = MemoryKeys::new([record("a", "1")]).unwrap();
        let until = Duration::from_secs(100);
        let others = KeyRecord::new(digest("c"), "3", "quentin");
        assert!(keys.rotate("0", record("b", "2"), until).is_err());
        assert!(keys.rotate("1", others, until).is_err());
        assert!(keys.rotate("1", record("a", "2"), until).is_err());
        assert!(keys.rotate("1", record("b", "1"), until).is_err());
        assert!(keys.rotate("1", record("b", ""), until).is_err());
        assert!(keys.rotate("1", record("b", "2"), Duration::ZERO).is_err());
        assert_eq!(keys.records()[0].expires(), None);
        keys.rotate("1", record("b", "2"), until).unwrap();
        let ends: Vec<_> = keys.records().iter().map(KeyRecord::expires).collect();
        assert_eq!(ends, [Some(until), None]);
        // What ends before does not live longer for it.
        keys.rotate("1", record("c", "3"), until * 2).unwrap();
        assert_eq!(keys.records()[0].expires(), Some(until));
    }

    #[test]
    fn changes_at_the_same_time_are_all_made() {
        let keys = MemoryKeys::new([]).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let keys = keys.clone();
                scope.spawn(move || {
                    for n in 0..50 {
                        let name = format!("{thread}-{n}");
                        keys.insert(record(&name, &name)).unwrap();
                    }
                });
            }
        });
        assert_eq!(keys.len(), 200);
    }
}
