//! What is set for organizations one by one, and what they are called.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use pegcount_calls::OrganizationName;
use pegcount_store::{OrganizationNumber, Store, StoreError};

/// The key of the configuration under which stands what holds for everybody who is not named.
const EVERYBODY_ELSE: &str = "default";

/// One thing that is set: for each organization that is named, and for everybody else.
#[derive(Clone, Debug, Default)]
pub struct PerOrganization<T> {
    named: HashMap<OrganizationName, Arc<T>>,
    default: Arc<T>,
}

impl<T> PerOrganization<T> {
    /// The same for all.
    pub fn same(all: T) -> Self {
        Self { named: HashMap::new(), default: Arc::new(all) }
    }

    /// What a section of the configuration says, by the ids of organizations. Each one says all of it: what it leaves out
    /// is as it comes, not as `default` has it.
    ///
    /// # Errors
    /// A sentence for each problem, in lines: it names the key and says what it takes. `read` gives its end, which begins
    /// with the rest of the key.
    pub fn read<C>(
        section: &str,
        configs: &BTreeMap<String, C>,
        read: impl Fn(&C) -> Result<T, String>,
    ) -> Result<Self, String>
    where
        T: Default,
    {
        let mut all = Self { named: HashMap::new(), default: Arc::default() };
        let mut problems = Vec::new();
        for (organization, config) in configs {
            let value = match read(config) {
                Ok(value) => value,
                Err(told) => {
                    problems.extend(told.lines().map(|told| format!("{section}.{organization}.{told}")));
                    continue;
                }
            };
            if organization == EVERYBODY_ELSE {
                all.default = Arc::new(value);
                continue;
            }
            match OrganizationName::new(organization) {
                Ok(name) => drop(all.named.insert(name, Arc::new(value))),
                Err(error) => {
                    problems.push(format!("{section}: {organization:?} is no organization's id: it {error}"));
                }
            }
        }
        if problems.is_empty() { Ok(all) } else { Err(problems.join("\n")) }
    }

    /// What follows from it, for each.
    pub fn map<U>(&self, what: impl Fn(&T) -> U) -> PerOrganization<U> {
        let named = self.named.iter().map(|(name, value)| (name.clone(), Arc::new(what(value))));
        PerOrganization { named: named.collect(), default: Arc::new(what(&self.default)) }
    }

    /// What holds for this organization. `None` is one without a name, which has what everybody else has.
    pub fn of(&self, name: Option<&OrganizationName>) -> &Arc<T> {
        name.and_then(|name| self.named.get(name)).unwrap_or(&self.default)
    }

    /// Whether it is the same for all, so that no name needs to be known.
    pub fn is_same_for_all(&self) -> bool {
        self.named.is_empty()
    }

    /// Everything that is set for anybody.
    pub fn each(&self) -> impl Iterator<Item = &T> {
        self.named.values().chain([&self.default]).map(Arc::as_ref)
    }
}

/// What organizations are called, by their numbers. Neither changes, so what was read once is read no more.
#[derive(Clone)]
pub struct Names {
    store: Arc<dyn Store>,
    known: Arc<RwLock<HashMap<OrganizationNumber, OrganizationName>>>,
}

impl Names {
    /// As this store has them.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: Arc::default() }
    }

    /// The name of an organization; `None` where there is no such organization.
    ///
    /// # Errors
    /// [`StoreError`] when it must be read and cannot.
    pub async fn of(&self, number: OrganizationNumber) -> Result<Option<OrganizationName>, StoreError> {
        if let Some(name) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&number) {
            return Ok(Some(name.clone()));
        }
        let all: HashMap<_, _> =
            self.store.organizations().await?.into_iter().map(|one| (one.number, one.id)).collect();
        let found = all.get(&number).cloned();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(found)
    }

    /// What is set for the organization with this number.
    ///
    /// # Errors
    /// [`StoreError`] when its name must be read and cannot.
    pub async fn pick<T>(
        &self,
        settings: &PerOrganization<T>,
        number: OrganizationNumber,
    ) -> Result<Arc<T>, StoreError> {
        let name = if settings.is_same_for_all() { None } else { self.of(number).await? };
        Ok(Arc::clone(settings.of(name.as_ref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, u32)]) -> Result<PerOrganization<u32>, String> {
        let configs = pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        PerOrganization::read("prices", &configs, |value| match value {
            13 => Err("each: must not be 13".to_owned()),
            value => Ok(*value),
        })
    }

    fn name(name: &str) -> OrganizationName {
        OrganizationName::new(name).unwrap()
    }

    #[test]
    fn who_is_not_named_has_what_everybody_else_has() {
        let prices = read(&[("org-1", 1), ("default", 2)]).unwrap();
        assert_eq!((**prices.of(Some(&name("org-1"))), **prices.of(Some(&name("org-2")))), (1, 2));
        assert_eq!(**prices.of(None), 2);
        assert!(!prices.is_same_for_all());
        assert!(read(&[("default", 2)]).unwrap().is_same_for_all());
        let dear = prices.map(|price| *price > 1);
        assert_eq!((**dear.of(Some(&name("org-1"))), **dear.of(None)), (false, true));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_key() {
        assert_eq!(read(&[("org-1", 13)]).unwrap_err(), "prices.org-1.each: must not be 13");
        assert!(
            read(&[("org 1", 1)]).unwrap_err().starts_with("prices: \"org 1\" is no organization's id: it ")
        );
    }

    #[tokio::test]
    async fn an_organization_that_is_new_is_found_by_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let store = pegcount_store::open(folder.path().join("db").to_str().unwrap()).unwrap();
        let store: Arc<dyn Store> = Arc::from(store);
        let names = Names::new(Arc::clone(&store));
        let prices = read(&[("org-2", 1)]).unwrap();
        assert_eq!(names.of(OrganizationNumber(2)).await.unwrap(), None);
        assert_eq!(*names.pick(&prices, OrganizationNumber(2)).await.unwrap(), 0);
        store.create_organization(&name("org-2"), Some(OrganizationNumber(2)), None).await.unwrap();
        assert_eq!(names.of(OrganizationNumber(2)).await.unwrap(), Some(name("org-2")));
        assert_eq!(*names.pick(&prices, OrganizationNumber(2)).await.unwrap(), 1);
    }
}
