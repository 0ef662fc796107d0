//! Who may call where.
//!
//! A trunk reaches the numbers of its organization. A user reaches the users, numbers and endpoints of its organization,
//! and others over a trunk of it, from a number of it. Nobody reaches anything else: what belongs to another
//! organization is as unknown as what does not exist.

use std::sync::Arc;

use pegcount_calls::{EndpointName, OrganizationName};
use pegcount_gateway::{Ask, Attempt, Denial, Dial, Disclosure, Plan, Target, TransferAsk, Who, sip::Uri};

use super::{
    address::dialled_number,
    denial::NoRoute,
    directory::{Directory, Line, Listing, Reach},
    note::Note,
    settings::{Rules, Trunk},
};

/// Fewest digits of a number that an ordered call goes to: those of emergency calls.
const FEWEST_DIGITS: usize = 3;

/// Why an ordered call is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoOrder {
    /// The organization has no trunk that calls go out by.
    NoTrunk,
    /// The calling number is not the organization's.
    From,
    /// What is called is no phone number.
    To,
    /// There is no such endpoint, or the calling number leads to none.
    Endpoint,
    /// The endpoint has no address.
    Unreachable,
}

/// An ordered call.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    /// The calling number.
    pub(super) from: &'a str,
    /// The called number.
    pub(super) to: &'a str,
    /// The endpoint to connect; `None`: that of the calling number.
    pub(super) endpoint: Option<&'a EndpointName>,
    /// What to find it by: the text of a JSON object.
    pub(super) metadata: Option<String>,
}

/// What decides: the configuration and the directory, as they are at one moment.
pub(super) struct Routing<'a> {
    pub(super) rules: &'a Rules,
    pub(super) directory: &'a Directory,
}

/// The organization of somebody, and what it has.
struct Place {
    organization: OrganizationName,
    listing: Arc<Listing>,
}

impl Place {
    fn account(&self) -> Arc<str> {
        self.listing.organization.0.to_string().into()
    }
}

/// A plan; or why there is none, and what is known of the call all the same.
type Routed = Result<Plan, (NoRoute, Box<Note>)>;

fn denial(why: NoRoute, attempt: Option<Attempt>) -> Denial {
    Denial { cause: why.cause(), reason: why.reason(), text: why.text().into(), attempt }
}

impl Routing<'_> {
    /// Where a call leads.
    pub(super) fn route(&self, ask: &Ask) -> Result<Plan, Denial> {
        let organization = match &ask.who {
            Who::Trunk(name) => {
                self.rules.trunks.iter().find(|trunk| trunk.name == *name).map(|trunk| &trunk.organization)
            }
            Who::User(name) => self.rules.users.get(name).map(|user| &user.organization),
        };
        let Some(place) = organization.and_then(|organization| self.place(organization)) else {
            return Err(denial(NoRoute::UnknownPeer, None));
        };
        let routed = match &ask.who {
            Who::Trunk(name) => self.of_trunk(name, &place, ask),
            Who::User(name) => self.of_user(name, &place, ask),
        };
        routed.map_err(|(why, note)| {
            let opt_out = self.rules.opted_out.contains(&place.organization);
            let note = Note { opt_out, ..*note };
            let trunk = match &ask.who {
                Who::Trunk(name) => self.rules.trunks.iter().find(|trunk| trunk.name == *name),
                Who::User(_) => None,
            };
            let attempt = Attempt {
                account: place.account(),
                direction: note.direction(),
                note: note.text(),
                headers: self.headers(trunk),
            };
            denial(why, Some(attempt))
        })
    }

    fn of_trunk(&self, name: &str, place: &Place, ask: &Ask) -> Routed {
        let note = Note { callee_is_ours: true, from: ask.from.clone(), ..Note::default() };
        let Some(trunk) = self.rules.trunks.iter().find(|trunk| trunk.name == *name) else {
            return Err((NoRoute::UnknownPeer, note.into()));
        };
        let Some(line) = line_called(&place.listing, ask) else {
            return Err((NoRoute::UnknownNumber, note.into()));
        };
        self.to_line(place, line, note, Some(trunk))
    }

    fn of_user(&self, name: &str, place: &Place, ask: &Ask) -> Routed {
        let Some(user) = self.rules.users.get(name) else {
            return Err((NoRoute::UnknownPeer, Box::default()));
        };
        let own = || user.endpoint.as_ref().and_then(|endpoint| place.listing.line_of(endpoint));
        let from = user.number.clone().or_else(|| own().map(|line| line.number.clone()));
        let inside = Note {
            caller_is_ours: true,
            hides_caller: ask.is_private,
            callee_is_ours: true,
            from: from.unwrap_or_else(|| name.to_owned()),
            ..Note::default()
        };
        if let Some(callee) = self.rules.users.get(&ask.to)
            && callee.organization == user.organization
        {
            let to = callee.number.clone().unwrap_or_else(|| ask.to.clone());
            let note = Note { to, endpoint: callee.endpoint.clone(), ..inside };
            let reach = callee.endpoint.as_ref().and_then(|endpoint| place.listing.reach(endpoint));
            return Ok(self.plan(place, vec![phone(&ask.to, reach)], note, None, reach));
        }
        if let Some(line) = line_called(&place.listing, ask) {
            return self.to_line(place, line, inside, None);
        }
        if let Some(endpoint) = EndpointName::new(&ask.to).ok().filter(|id| place.listing.reach(id).is_some())
        {
            let note = Note { to: ask.to.clone(), endpoint: Some(endpoint), ..inside };
            return self.to_endpoint(place, note, None);
        }
        let note = Note { callee_is_ours: false, ..inside };
        let denied = |why: NoRoute| (why, Box::new(note.clone()));
        let to = dialled_number(&ask.to).ok_or_else(|| denied(NoRoute::NotCallable))?;
        let trunk = self.way_out(place).ok_or_else(|| denied(NoRoute::NoTrunk))?;
        let line = user.number.as_deref().and_then(|number| place.listing.line(number)).or_else(own);
        let shown = || trunk.caller_number.as_deref().and_then(|number| place.listing.line(number));
        let line = line.or_else(shown).ok_or_else(|| denied(NoRoute::NoCallerNumber))?;
        let target = out(trunk, &to, line, ask.is_private).ok_or_else(|| denied(NoRoute::NoCallerNumber))?;
        let note = Note {
            from: line.number.clone(),
            to,
            line: Some(line.number.clone()),
            phone_number: Some(line.id.clone()),
            endpoint: user.endpoint.clone(),
            ..note
        };
        let reach = note.endpoint.as_ref().and_then(|endpoint| place.listing.reach(endpoint));
        Ok(self.plan(place, vec![target], note, Some(trunk), reach))
    }

    fn to_line(&self, place: &Place, line: &Line, note: Note, trunk: Option<&Trunk>) -> Routed {
        let note = Note {
            to: line.number.clone(),
            line: Some(line.number.clone()),
            phone_number: Some(line.id.clone()),
            endpoint: line.endpoint.clone(),
            ..note
        };
        self.to_endpoint(place, note, trunk)
    }

    /// To the endpoint that the note names. One that nobody can reach is not there at the moment.
    fn to_endpoint(&self, place: &Place, note: Note, trunk: Option<&Trunk>) -> Routed {
        let Some(endpoint) = note.endpoint.clone() else {
            return Err((NoRoute::UnassignedNumber, note.into()));
        };
        let reach = place.listing.reach(&endpoint);
        let targets = self.targets(place, &endpoint, &note.to);
        if targets.is_empty() {
            // An endpoint that does not exist is not made by being named.
            let note = Note { endpoint: reach.and(Some(endpoint)), ..note };
            return Err((NoRoute::NoAddress, note.into()));
        }
        Ok(self.plan(place, targets, note, trunk, reach))
    }

    /// Whom to try for an endpoint: its URIs, then the users that it is.
    fn targets(&self, place: &Place, endpoint: &EndpointName, number: &str) -> Vec<Target> {
        let reach = place.listing.reach(endpoint).cloned().unwrap_or_default();
        let uris = reach.uris.iter().map(|uri| {
            let mut target = Target::at(uri.replace("{number}", &escaped(number)));
            target.nat = reach.nat;
            target.disclosure = reach.disclosure();
            target
        });
        let users = self.rules.users.iter().filter(|(_, user)| {
            user.organization == place.organization && user.endpoint.as_ref() == Some(endpoint)
        });
        let users = users.map(|(name, _)| phone(name, Some(&reach)));
        uris.chain(users).take(Plan::MOST_TARGETS).collect()
    }

    fn plan(
        &self,
        place: &Place,
        targets: Vec<Target>,
        note: Note,
        trunk: Option<&Trunk>,
        reach: Option<&Reach>,
    ) -> Plan {
        let opt_out =
            self.rules.opted_out.contains(&place.organization) || reach.is_some_and(|reach| reach.opt_out);
        let record = reach
            .and_then(|reach| reach.record)
            .or_else(|| self.rules.record_of.get(&place.organization).copied())
            .unwrap_or(self.rules.record);
        let note = Note { opt_out, ..note };
        Plan {
            account: place.account(),
            direction: note.direction(),
            note: note.text(),
            trunk: trunk.map(|trunk| pegcount_gateway::Trunk {
                name: trunk.name.clone(),
                most_calls: trunk.most_calls,
            }),
            headers: self.headers(trunk),
            targets,
            record: record && !opt_out,
            limits: self.rules.limits,
        }
    }

    /// The headers of a call that are kept and passed on.
    fn headers(&self, trunk: Option<&Trunk>) -> Vec<String> {
        let mut names = self.rules.headers.clone();
        for name in trunk.into_iter().flat_map(|trunk| &trunk.headers) {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name.clone());
            }
        }
        names
    }

    /// A call that the organization orders: first the number outside, then the endpoint.
    pub(super) fn order(
        &self,
        organization: &OrganizationName,
        wanted: &Wanted<'_>,
    ) -> Result<Dial, NoOrder> {
        let place = self.place(organization).ok_or(NoOrder::NoTrunk)?;
        let trunk = self.way_out(&place).ok_or(NoOrder::NoTrunk)?;
        let line = place.listing.line(wanted.from).ok_or(NoOrder::From)?;
        let digits = |number: &String| number.bytes().filter(u8::is_ascii_digit).count();
        let to = dialled_number(wanted.to).filter(|number| digits(number) >= FEWEST_DIGITS);
        let to = to.ok_or(NoOrder::To)?;
        let endpoint = wanted.endpoint.or(line.endpoint.as_ref()).ok_or(NoOrder::Endpoint)?;
        let reach = place.listing.reach(endpoint).ok_or(NoOrder::Endpoint)?;
        let targets = self.targets(&place, endpoint, &line.number);
        if targets.is_empty() {
            return Err(NoOrder::Unreachable);
        }
        let first = out(trunk, &to, line, false).ok_or(NoOrder::NoTrunk)?;
        let note = Note {
            callee_is_ours: true,
            ordered: true,
            from: line.number.clone(),
            to: to.clone(),
            line: Some(line.number.clone()),
            phone_number: Some(line.id.clone()),
            endpoint: Some(endpoint.clone()),
            metadata: wanted.metadata.clone(),
            ..Note::default()
        };
        let plan = self.plan(&place, targets, note, Some(trunk), Some(reach));
        Ok(Dial { from: line.number.clone(), to, first: vec![first], plan })
    }

    /// Where a party is that somebody in a call asked to be replaced by. Who is not one of ours reaches what it could
    /// have called itself, the organization's numbers, and nothing that costs.
    pub(super) fn transfer(&self, ask: &TransferAsk<'_>) -> Option<Target> {
        let note = Note::read(ask.note);
        let place = self.place_numbered(ask.account)?;
        let to = Uri::read(ask.to)?.user_part().name.into_owned();
        if let Some(line) = place.listing.line(&to) {
            return self.targets(&place, line.endpoint.as_ref()?, &line.number).into_iter().next();
        }
        if !note.is_ours(ask.by) {
            return None;
        }
        if self.rules.users.get(&to).is_some_and(|user| user.organization == place.organization) {
            return Some(phone(&to, None));
        }
        if let Some(endpoint) = EndpointName::new(&to).ok().filter(|id| place.listing.reach(id).is_some()) {
            return self.targets(&place, &endpoint, &to).into_iter().next();
        }
        let line = place.listing.line(note.line.as_deref()?)?;
        out(self.way_out(&place)?, &dialled_number(&to)?, line, note.hides_caller)
    }

    fn place(&self, organization: &OrganizationName) -> Option<Place> {
        Some(Place { organization: organization.clone(), listing: self.directory.of(organization)? })
    }

    /// The organization of a call, by the account that its plan named.
    fn place_numbered(&self, account: &str) -> Option<Place> {
        let of_trunks = self.rules.trunks.iter().map(|trunk| &trunk.organization);
        let all = of_trunks.chain(self.rules.users.values().map(|user| &user.organization));
        let mut places = all.filter_map(|organization| self.place(organization));
        places.find(|place| place.listing.organization.0.to_string() == account)
    }

    /// The first trunk of the organization that calls go out by.
    fn way_out(&self, place: &Place) -> Option<&Trunk> {
        let own = |trunk: &&Trunk| trunk.organization == place.organization && trunk.outbound.is_some();
        self.rules.trunks.iter().find(own)
    }
}

/// A phone that registers, and the endpoint that it is.
fn phone(name: &str, reach: Option<&Reach>) -> Target {
    let disclosure = reach.map_or(Disclosure::Public, Reach::disclosure);
    Target { disclosure, ..Target::user(name) }
}

/// The organization's line that a call asks for. A local number is also looked for behind the prefix that it is said to be
/// valid in: that need not be its own (RFC 3966, 5.1.5), but here it is, where both together are a line.
fn line_called<'a>(listing: &'a Listing, ask: &Ask) -> Option<&'a Line> {
    let global = ask.to_context.as_deref().and_then(|context| listing.line(&format!("{context}{}", ask.to)));
    global.or_else(|| listing.line(&ask.to))
}

/// A number outside, over a trunk, from a line that may be hidden.
fn out(trunk: &Trunk, number: &str, line: &Line, hides_caller: bool) -> Option<Target> {
    let outbound = trunk.outbound.as_ref()?;
    let shown = dialled_number(&line.number)?;
    Some(Target {
        caller: Some(outbound.proxy.caller_uri(&shown)),
        hides_caller,
        disclosure: if trunk.trusted { Disclosure::Everything } else { Disclosure::Nothing },
        credential: outbound.credential.clone(),
        nat: trunk.nat,
        ..Target::at(outbound.proxy.uri_of(number))
    })
}

/// A number as it may stand in the user part of a URI.
fn escaped(number: &str) -> String {
    number.chars().filter(|c| c.is_ascii_alphanumeric() || "+-_.".contains(*c)).collect()
}

#[cfg(test)]
mod tests;
