//! Everything behind the door, and the door itself.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, clock::Clock as _, clock::DefaultClock};
use pegcount_store::{EndpointNumber, Organization, OrganizationNumber, Store, StoreError};

use super::{Access, Answer, Excess, KeyFault, Refusal, Thing};
use crate::{
    audit::{Action, Audit},
    auth::{Credentials, Keyring, Principal, Scope},
    clock::Clock,
    control::Control,
    intake::Intake,
    jobs::Jobs,
    links::{BadLink, Beginning, Links, Target},
    live::Live,
    recordings::{Object, Patience, Readable, Shelf},
};

/// How many requests one key may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a second in the long run.
    pub per_second: NonZeroU32,
    /// Requests at once.
    pub burst: NonZeroU32,
}

/// What a ledger is made of.
pub struct LedgerParts {
    /// Where calls are kept.
    pub store: Arc<dyn Store>,
    /// The way in.
    pub intake: Intake,
    /// The calls in progress.
    pub live: Arc<Live>,
    /// Hanging calls up.
    pub control: Arc<Control>,
    /// The keys.
    pub keyring: Arc<Keyring>,
    /// Signed links.
    pub links: Links,
    /// Our own recordings.
    pub shelf: Shelf,
    /// How long recordings may take to come.
    pub patience: Patience,
    /// Work that comes after calls.
    pub jobs: Arc<Jobs>,
    /// Who did what.
    pub audit: Arc<Audit>,
    /// The time.
    pub clock: Clock,
    /// How many requests one key may make; `None`: as many as it likes.
    pub rate_limit: Option<RateLimit>,
}

/// Everything a request may reach, but only through [`Ledger::admit`].
pub struct Ledger {
    pub(super) store: Arc<dyn Store>,
    pub(super) intake: Intake,
    pub(super) live: Arc<Live>,
    pub(super) control: Arc<Control>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) links: Links,
    pub(super) shelf: Shelf,
    pub(super) patience: Patience,
    pub(super) jobs: Arc<Jobs>,
    pub(super) audit: Arc<Audit>,
    pub(super) clock: Clock,
    limiter: Option<DefaultKeyedRateLimiter<Arc<str>>>,
    organizations: RwLock<BTreeMap<OrganizationNumber, Organization>>,
    reloading: tokio::sync::Mutex<()>,
}

/// What a watcher of the live counts may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// One organization.
    One(OrganizationNumber),
    /// Every organization.
    All,
}

impl Ledger {
    /// Puts the parts together.
    pub fn new(parts: LedgerParts) -> Self {
        let limiter = parts.rate_limit.map(|limit| {
            DefaultKeyedRateLimiter::keyed(Quota::per_second(limit.per_second).allow_burst(limit.burst))
        });
        Self {
            store: parts.store,
            intake: parts.intake,
            live: parts.live,
            control: parts.control,
            keyring: parts.keyring,
            links: parts.links,
            shelf: parts.shelf,
            patience: parts.patience,
            jobs: parts.jobs,
            audit: parts.audit,
            clock: parts.clock,
            limiter,
            organizations: RwLock::default(),
            reloading: tokio::sync::Mutex::default(),
        }
    }

    /// Sets what links begin with.
    pub fn links_begin_with(&self, beginning: Beginning) {
        self.links.begin_with(beginning);
    }

    /// Reads keys and organizations again, after a change.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read; then all stays as it was.
    pub async fn reload(&self) -> Result<(), StoreError> {
        // Of two reloads at once the one that read first could bring a revoked key back.
        let _turn = self.reloading.lock().await;
        let organizations = self.store.organizations().await?;
        let organizations = organizations.into_iter().map(|one| (one.number, one)).collect();
        self.keyring.reload(self.store.keys().await?);
        *self.organizations.write().unwrap_or_else(PoisonError::into_inner) = organizations;
        Ok(())
    }

    /// Lets in who shows these credentials, for the key's organization, or for the one named by id or number when the
    /// key may act for every organization.
    ///
    /// # Errors
    /// [`Refusal::Unauthorized`], [`Refusal::NotFound`] for an organization that is unknown or not the key's,
    /// [`Refusal::TooManyRequests`].
    pub fn admit(
        self: &Arc<Self>,
        credentials: Option<&Credentials>,
        named_organization: Option<&str>,
    ) -> Answer<Access> {
        let principal = self.principal(credentials)?;
        let organization = match named_organization {
            None => self.organization(principal.organization),
            Some(name) => self
                .organization_named(name)
                .filter(|one| one.number == principal.organization || principal.scopes.has(Scope::Server)),
        };
        let organization = organization.ok_or(Refusal::NotFound(Thing::Organization))?;
        Ok(self.access(organization, Some(principal)))
    }

    /// Lets anybody read one organization, where the configuration opened a dialect.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub fn admit_anybody(self: &Arc<Self>, organization: &str) -> Answer<Access> {
        let organization =
            self.organization_named(organization).ok_or(Refusal::NotFound(Thing::Organization))?;
        Ok(self.access(organization, None))
    }

    /// Lets in to the organization that has the endpoint of this number: its own key, a `server` key, or (with
    /// `open`) anybody. To everybody else that number is unknown.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn admit_to_endpoint(
        self: &Arc<Self>,
        credentials: Option<&Credentials>,
        open: bool,
        number: EndpointNumber,
    ) -> Answer<(Access, pegcount_store::Endpoint)> {
        let principal = match credentials {
            None if open => None,
            _ => Some(self.principal(credentials)?),
        };
        let endpoint = self.read(self.store.endpoint_numbered(number).await)?;
        let endpoint = endpoint
            .filter(|endpoint| match &principal {
                None => true,
                Some(principal) => {
                    principal.organization == endpoint.organization || principal.scopes.has(Scope::Server)
                }
            })
            .ok_or(Refusal::NotFound(Thing::Endpoint))?;
        let organization =
            self.organization(endpoint.organization).ok_or(Refusal::NotFound(Thing::Endpoint))?;
        Ok((self.access(organization, principal), endpoint))
    }

    /// Lets in who shows a signed link to one call.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when the link is not ours, [`Refusal::LinkExpired`].
    pub fn admit_by_link(
        self: &Arc<Self>,
        organization: i64,
        call: &str,
        query: Option<&str>,
    ) -> Answer<Access> {
        let number = OrganizationNumber(organization);
        let target = Target::Log { organization: number, call };
        self.check_link(target, query)?;
        let organization = self.organization(number).ok_or(Refusal::NotFound(Thing::Link))?;
        Ok(self.by_link(organization))
    }

    fn by_link(self: &Arc<Self>, organization: Organization) -> Access {
        Access { is_by_link: true, ..self.access(organization, None) }
    }

    fn access(self: &Arc<Self>, organization: Organization, principal: Option<Principal>) -> Access {
        Access { ledger: Arc::clone(self), organization, principal, is_by_link: false, reached_at: None }
    }

    /// Where a recording is, for who shows a signed link to it.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when the link is not ours or the call has no such recording any more,
    /// [`Refusal::LinkExpired`], [`Refusal::Unavailable`] when the disk or the object store does not say.
    pub async fn recording_by_link(
        self: &Arc<Self>,
        name: &str,
        query: Option<&str>,
    ) -> Answer<(Object, Readable)> {
        self.check_link(Target::Recording(name), query)?;
        let missing = || Refusal::NotFound(Thing::Recording);
        let object = Object::parse(name).ok_or_else(missing)?;
        let organization = self.organization(object.organization()).ok_or_else(missing)?;
        let access = self.by_link(organization);
        // The link was good when it was made; since then the call may have been erased, or have opted out.
        let filed = access.find_call(object.call().as_str()).await?;
        if Object::of(&filed).as_ref() != Some(&object) && !access.named_before(&filed, name).await? {
            return Err(missing());
        }
        match self.shelf.find(&object).await {
            Ok(Some(recording)) => {
                access.note_read(Action::RecordingHeard, &filed.head).await?;
                Ok((object, recording))
            }
            Ok(None) => Err(missing()),
            Err(error) => {
                tracing::error!(%error, cause = std::error::Error::source(&error), "a recording cannot be read");
                Err(unavailable("the recording cannot be read"))
            }
        }
    }

    fn check_link(&self, target: Target<'_>, query: Option<&str>) -> Answer<()> {
        let checked = self.links.check(target, query, self.clock.now());
        checked.map_err(|bad| match bad {
            BadLink::Foreign => Refusal::NotFound(Thing::Link),
            BadLink::Expired => Refusal::LinkExpired,
        })
    }

    /// What a watcher of live counts may see: with a key its organization, with a `server` key or (with `open`)
    /// without one every organization.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn admit_watcher(&self, credentials: Option<&Credentials>, open: bool) -> Answer<Watched> {
        if credentials.is_none() && open {
            return Ok(Watched::All);
        }
        let principal = self.principal(credentials)?;
        if principal.scopes.has(Scope::Server) {
            return Ok(Watched::All);
        }
        if !principal.scopes.has(Scope::CallsRead) {
            return Err(Refusal::Forbidden(Scope::CallsRead));
        }
        Ok(Watched::One(principal.organization))
    }

    /// Who shows these credentials. Asking costs the key none of its requests.
    pub fn recognize(&self, credentials: &Credentials) -> Option<Principal> {
        self.keyring.principal(credentials, self.clock.now())
    }

    /// The set of live calls, for watchers that [`Ledger::admit_watcher`] let in.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    fn principal(&self, credentials: Option<&Credentials>) -> Answer<Principal> {
        let credentials = credentials.ok_or(Refusal::Unauthorized(KeyFault::Missing))?;
        let principal = self
            .keyring
            .principal(credentials, self.clock.now())
            .ok_or(Refusal::Unauthorized(KeyFault::Unknown))?;
        if let Some(limiter) = &self.limiter
            && let Err(early) = limiter.check_key(&principal.key_id)
        {
            let retry_after = early.wait_time_from(DefaultClock::default().now());
            return Err(Refusal::TooManyRequests { retry_after });
        }
        Ok(principal)
    }

    fn organization(&self, number: OrganizationNumber) -> Option<Organization> {
        self.organizations.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    fn organization_named(&self, name: &str) -> Option<Organization> {
        let organizations = self.organizations.read().unwrap_or_else(PoisonError::into_inner);
        let by_number = name.parse().ok().and_then(|number| organizations.get(&OrganizationNumber(number)));
        let by_id = || organizations.values().find(|one| one.id.as_str() == name);
        by_number.or_else(by_id).cloned()
    }

    /// Turns what the store says into what the asker is told; the rest is for the log.
    pub(super) fn read<T>(&self, result: Result<T, StoreError>) -> Answer<T> {
        self.read_unless_cut(result, Excess::default)
    }

    /// The same; a query that was cut is answered with what it asked too much.
    pub(super) fn read_unless_cut<T>(
        &self,
        result: Result<T, StoreError>,
        excess: impl FnOnce() -> Excess,
    ) -> Answer<T> {
        result.map_err(|error| match error {
            StoreError::TooLong => {
                tracing::warn!("a query took too long and was cut");
                Refusal::TooLong(excess())
            }
            StoreError::Exists { what } => Refusal::Exists { what: what.to_owned() },
            StoreError::Full => unavailable("the disk is full"),
            error @ StoreError::Indexing => unavailable(&error.to_string()),
            StoreError::WholeWords => Refusal::WholeWords,
            StoreError::Unavailable(cause) => {
                tracing::error!(error = %cause, "the store cannot be used");
                unavailable("the store cannot be used")
            }
            error => {
                tracing::error!(%error, "the store is damaged");
                unavailable("something in the store cannot be read; run `pegcount doctor`")
            }
        })
    }
}

fn unavailable(reason: &str) -> Refusal {
    Refusal::Unavailable { reason: reason.to_owned(), retry_after: Duration::from_secs(5) }
}
