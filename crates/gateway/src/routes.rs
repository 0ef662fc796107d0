//! What the gateway asks of the program: who may call, and where a call leads.

use std::{borrow::Cow, net::SocketAddr, sync::Arc, time::Duration};

use crate::{CallId, Cause, Direction, Disclosure, Side};

/// Decides for the gateway. It is asked while a caller waits and while nothing else of that caller is handled, so it
/// answers from memory: no wait for a disk or a network. Only who is known, a trunk or a user, is asked about.
pub trait Routes: Send + Sync + 'static {
    /// Where a call leads.
    ///
    /// # Errors
    /// When it may not be made, and why.
    fn route(&self, ask: &Ask) -> Result<Plan, Denial>;

    /// Where the party is that somebody asked to be replaced by; `None` when that may not be.
    fn transfer(&self, ask: &TransferAsk<'_>) -> Option<Target>;
}

/// Somebody in a call who wants to be replaced by another party.
#[derive(Clone, Copy, Debug)]
pub struct TransferAsk<'a> {
    /// Which call.
    pub call: &'a CallId,
    /// Whose it is: [`Plan::account`].
    pub account: &'a str,
    /// What its plan noted: [`Plan::note`].
    pub note: &'a str,
    /// Who asks. Somebody outside may not have others called at the account's cost.
    pub by: Side,
    /// The URI that it names.
    pub to: &'a str,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A trunk, known by its address or a digest.
    Trunk(String),
    /// A user, known by a digest.
    User(String),
}

/// A call that somebody wants to make.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Who: a trunk or a user.
    pub who: Who,
    /// The number or name in the caller's From, without parameters and escapes.
    pub from: String,
    /// The number or name it asks for, without parameters and escapes.
    pub to: String,
    /// Where that is a local number: the prefix of the global numbers among which it is valid (RFC 3966, 5.1.5).
    pub to_context: Option<String>,
    /// The whole URI it asks for.
    pub uri: String,
    /// Whether who calls wants not to be known (RFC 3323).
    pub is_private: bool,
}

/// Where a call leads, and within which limits.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whose call it is. The gateway only carries it: it stands in every report of the call, and in the name of its
    /// recording. Letters, digits, `_` and `-`; a call of any other account is not recorded.
    pub account: Arc<str>,
    /// Words of the owner's own, which the gateway only carries: they stand in the report of the beginning.
    pub note: Arc<str>,
    /// Which way it goes.
    pub direction: Direction,
    /// The trunk that it uses, and how many calls that may carry at a time.
    pub trunk: Option<Trunk>,
    /// Headers of the caller's INVITE that are reported, and passed on to targets with a [`Target::disclosure`]. Headers of
    /// SIP itself may not be among them. Those in which a network says who is in a call are taken from trunks only.
    pub headers: Vec<String>,
    /// Whom to try, in order. At most [`Plan::MOST_TARGETS`] are.
    pub targets: Vec<Target>,
    /// Whether it is recorded.
    pub record: bool,
    /// Its limits.
    pub limits: Limits,
}

impl Plan {
    /// Targets tried for one call.
    pub const MOST_TARGETS: usize = 16;
}

/// Why a call is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What the caller is answered with.
    pub cause: Cause,
    /// The reason in a word, for counters: `unknown_number`.
    pub reason: &'static str,
    /// The reason in a sentence, for who looks at the call.
    pub text: Cow<'static, str>,
    /// As what the attempt is reported; `None`: it is nobody's, and only counted.
    pub attempt: Option<Attempt>,
}

/// Whose attempt to call it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// [`Plan::account`].
    pub account: Arc<str>,
    /// [`Plan::note`].
    pub note: Arc<str>,
    /// [`Plan::direction`].
    pub direction: Direction,
    /// [`Plan::headers`], which are only reported.
    pub headers: Vec<String>,
}

impl From<&Plan> for Attempt {
    fn from(plan: &Plan) -> Self {
        Self {
            account: plan.account.clone(),
            note: plan.note.clone(),
            direction: plan.direction,
            headers: plan.headers.clone(),
        }
    }
}

/// A trunk that a call uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// Its name.
    pub name: String,
    /// How many calls it carries at a time; `None`: as many as the gateway does.
    pub most_calls: Option<usize>,
}

/// Somebody to invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The SIP URI: `sip:`, `sips:`, and with `;transport=tcp` or `tls` where it is so.
    pub uri: String,
    /// Where to send it, when not to where the URI points: a proxy, or the address a user registered from.
    pub destination: Option<SocketAddr>,
    /// The From to show, as a URI; `None`: the caller's number at our address, or an anonymous From for a private caller
    /// (see [`Target::disclosure`]).
    pub caller: Option<String>,
    /// Whether [`Target::caller`] is not to be known to who is called: From is anonymous, with `Privacy: id`. Only a target of the
    /// trust domain learns it, in P-Asserted-Identity.
    pub hides_caller: bool,
    /// What it learns about the caller, beside From.
    pub disclosure: Disclosure,
    /// What to answer a challenge with.
    pub credential: Option<Arc<Credential>>,
    /// Whether its media may come from elsewhere than its SDP says.
    pub nat: bool,
    /// Whether this is a place that a user registered from: its media is taken from the address that its messages come
    /// from, too.
    pub is_registered: bool,
    /// The user that this is: the places are tried that it registered from, the latest first, in the place of the URI.
    pub user: Option<String>,
}

impl Target {
    /// Somebody at a URI.
    pub fn at(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            destination: None,
            caller: None,
            hides_caller: false,
            disclosure: Disclosure::Nothing,
            credential: None,
            nat: false,
            is_registered: false,
            user: None,
        }
    }

    /// A user, wherever it is registered. One that is not registered has no answer (480).
    pub fn user(name: impl Into<String>) -> Self {
        Self { user: Some(name.into()), ..Self::at("") }
    }
}

/// A name and password for a challenge.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
    /// The realm it is for; `None`: any.
    pub realm: Option<String>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("user", &self.user).finish_non_exhaustive()
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until a target gives any sign of life.
    pub provisional: Duration,
    /// Until a target that did answers.
    pub ring: Duration,
    /// From the answer to the end.
    pub talk: Duration,
    /// Without any media from a side, while nobody is on hold.
    pub silence: Duration,
    /// The session interval that we ask for (RFC 4028); not under 90 s.
    pub session: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            provisional: Duration::from_secs(4),
            ring: Duration::from_secs(60),
            talk: Duration::from_secs(4 * 3_600),
            silence: Duration::from_secs(60),
            session: Duration::from_secs(1_800),
        }
    }
}
